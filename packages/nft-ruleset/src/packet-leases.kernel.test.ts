import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BY_RESOLVER, NOTHING_ALLOWED, to, UP } from "../testing/sample-policies.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import { queryMark } from "./marks.ts";
import { EVERY_PORT } from "./port-area.ts";
import { readShieldState } from "./shield-state.ts";

const POLICY: EgressPolicy = {
  ...NOTHING_ALLOWED,
  upstream: parseIpRange("10.0.2.3"),
  reserved: [parseIpRange("10.0.2.0/24")],
};

const CONTAINER = { 4: "198.18.0.2", 6: "2001:2::2" };
const UPSTREAM = "10.0.2.3";
/** Some that an entry names as they are, some by their port 80. */
const EVERY = ["203.0.113.1", "2001:db8::1"];
const ON_PORT = ["203.0.113.64", "2001:db8:64::1"];
const TARGETS = [...EVERY, ...ON_PORT];
const ENTRIES = [...EVERY, ...ON_PORT.map((address) => `${address} 80`)];
const LASTING = ["203.0.113.128", "2001:db8:128::1"];
const PRIVATE = ["10.9.0.1", "fd00:9::1"];

/** Time to open flows and look at them before it is over. */
const SECONDS = 2;
const BYPASS: ShieldMode = { kind: "down", privateRanges: "open", remainingSeconds: SECONDS };
const NOTHING_TIMED = { allow: [], deny: [], lift: [] };

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab([...TARGETS, ...LASTING, ...PRIVATE, UPSTREAM]);
});

afterAll(() => lab.stop());

beforeEach(() => lab.reset());

describe("an allow for a time, of every port or of some,", () => {
  const timed = { ...NOTHING_TIMED, allow: inTime(ENTRIES) };

  test("ends for new connections and for flows in both directions, not before, and for nothing else", async () => {
    await lab.load({ ...POLICY, allow: LASTING.map(to), timed });
    const flows = await flowsTo(TARGETS);
    const lasting = await flowsTo(LASTING);
    await expectHeard(flows);

    await untilOver("timed_allow");
    await expectCut(flows);
    await expectRefused(TARGETS);
    await expectHeard(lasting);
  });

  test("goes on where a change made it permanent, or longer", async () => {
    const [mark, longer] = [inTime(PRIVATE), LASTING.map((text) => ({ ...to(text), remainingSeconds: 600 }))];
    await lab.load({ ...POLICY, timed: { ...timed, allow: [...timed.allow, ...inTime(LASTING), ...mark] } });
    const flows = await flowsTo([...TARGETS, ...LASTING]);
    await lab.change({
      policy: { allow: ENTRIES.map(to), timed: { ...NOTHING_TIMED, allow: [...longer, ...mark] } },
    });
    await lab.untilUnlisted("timed_allow_v4", PRIVATE[0] ?? "");
    await expectHeard(flows);
  });

  test.each([false, true])("can be taken back; has it ended by then: %j", async (hasEnded) => {
    await lab.load({ ...POLICY, timed });
    const flows = await flowsTo(TARGETS);
    if (hasEnded) await untilOver("timed_allow");
    await lab.change({ policy: { timed: NOTHING_TIMED } });
    await expectCut(flows);
    expect(await lab.listing()).not.toContain("timed_allow");
  });
});

test("a deny for a time, of every port or of some, cuts at once, and is over when it ends", async () => {
  await lab.load({ ...POLICY, allow: TARGETS.map(to) });
  const flows = await flowsTo(TARGETS);
  const longer = inTime(ENTRIES).map((entry) => ({ ...entry, remainingSeconds: 600 }));
  await lab.change({ policy: { timed: { ...NOTHING_TIMED, deny: longer } } });
  await expectCut(flows);
  await expectRefused(TARGETS);

  await lab.change({ policy: { timed: { ...NOTHING_TIMED, deny: inTime(ENTRIES) } } });
  await expectRefused(TARGETS);
  await untilOver("timed_deny");
  for (const address of TARGETS) expect(await lab.attempt("tcp", address)).toEqual({ value: "answered" });
});

describe("a denial that is lifted for a time, of every port or of some,", () => {
  const denied = { ...POLICY, allow: TARGETS.map(to), deny: ENTRIES.map(to) };
  const timed = { ...NOTHING_TIMED, lift: inTime(ENTRIES) };

  test("is back when that is over", async () => {
    await lab.load(denied);
    await expectRefused(TARGETS);
    await lab.change({ policy: { timed } });
    const flows = await flowsTo(TARGETS);
    await expectHeard(flows);

    await untilOver("lift");
    await expectCut(flows);
    await expectRefused(TARGETS);
  });

  test.each<[string, Partial<EgressPolicy>]>([
    ["a wider denial", { deny: [...ENTRIES, "203.0.113.0/24", "2001:db8::/32"].map(to) }],
    ["a denial of more ports", { deny: [...denied.deny, ...TARGETS.map((text) => to(`${text} 1-100`))] }],
    ["a denial for a time", { timed: { ...timed, deny: inTime(TARGETS) } }],
  ])("stays in force where %s covers it", async (_, more) => {
    await lab.load({ ...denied, timed });
    for (const address of TARGETS) expect(await lab.attempt("tcp", address)).toEqual({ value: "answered" });
    await lab.load({ ...denied, timed, ...more });
    await expectRefused(TARGETS);
  });
});

describe("names for a time", () => {
  const scoped = (remainingSeconds: number) => ({
    ...BY_RESOLVER,
    timeoutSeconds: 1,
    scopes: [{ id: 5, area: EVERY_PORT, remainingSeconds }],
  });
  const [learned4 = "", learned6 = ""] = EVERY;
  const sets = { dns_5_v4: [learned4], dns_5_v6: [learned6] };

  test("end for new connections and for flows in both directions, and not before", async () => {
    await lab.load({ ...POLICY, learned: scoped(SECONDS) }, UP, sets);
    const flows = await flowsTo(EVERY);
    await expectHeard(flows);

    await lab.untilEmpty("active_5");
    await lab.nft(`add element inet terok_shield dns_5_v4 { ${learned4} }
add element inet terok_shield dns_5_v6 { ${learned6} }`);
    await expectCut(flows);
    await expectRefused(EVERY);
  });

  test("hold a connection that is silent for longer than its address is remembered", async () => {
    await lab.load({ ...POLICY, learned: scoped(600) }, UP, sets);
    const flows = await flowsTo(EVERY);
    for (const set of Object.keys(sets)) await lab.untilEmpty(set);
    await expectRefused(EVERY);
    await expectHeard(flows);
    await lab.change({ policy: { learned: { ...scoped(600), flowGeneration: 2 } } });
    await expectCut(flows);
  });
});

describe("bypass for a time", () => {
  test("ends: private ranges, flows in both directions, new connections; what was allowed before stays", async () => {
    const [kept4 = "", kept6 = ""] = LASTING;
    await lab.load(POLICY, BYPASS, { kept_v4: [kept4], kept_v6: [kept6, ...PRIVATE.slice(1)] });
    const flows = await flowsTo([...TARGETS, ...PRIVATE]);
    const lasting = await flowsTo(LASTING);
    await expectHeard(flows);

    await lab.untilEmpty("bypass_lease");
    await expectCut(flows);
    await lab.counters();
    await expectRefused([...TARGETS, ...PRIVATE]);
    expect(await lab.counters()).toEqual({ refused_blocked: 4, refused_private: 2 });
    await expectHeard(lasting);
    for (const address of LASTING) expect(await lab.attempt("tcp", address)).toEqual({ value: "answered" });
    expect(readShieldState(await lab.listing(), POLICY)).toEqual({ ...BYPASS, remainingSeconds: 0 });
  });

  test("that is over lets no name be asked for: until `up`, the resolver would still ask for any", async () => {
    const mark = queryMark(BY_RESOLVER.queryGeneration);
    const ask = (type: string) =>
      lab.ask("resolver", "attempt", { family: 4, type, mark, to: [UPSTREAM, 53] });
    await lab.load(POLICY, BYPASS);
    for (const type of ["tcp", "udp"]) expect(await ask(type)).toEqual({ value: "answered" });
    await lab.untilEmpty("bypass_lease");
    expect(await ask("udp")).toEqual({ error: "EPERM" });
    expect(await ask("tcp")).toEqual({ error: "EHOSTUNREACH" });
    await lab.change({ mode: UP });
    for (const type of ["tcp", "udp"]) expect(await ask(type)).toEqual({ value: "answered" });
  });
});

function inTime(texts: readonly string[]) {
  return texts.map((text) => ({ ...to(text), remainingSeconds: SECONDS }));
}

async function untilOver(sets: string): Promise<void> {
  for (const suffix of ["v4", "v6", "ports_v4", "ports_v6"]) await lab.untilEmpty(`${sets}_${suffix}`);
}

interface Flow {
  readonly address: string;
  readonly tcp: string;
  readonly udp: string;
}

async function flowsTo(addresses: readonly string[]): Promise<Flow[]> {
  const flows: Flow[] = [];
  for (const address of addresses) {
    flows.push({ address, tcp: await lab.flow("tcp", address), udp: await lab.flow("udp", address) });
  }
  return flows;
}

/** Both ways are open, and the other side is heard without being asked. */
async function expectHeard(flows: readonly Flow[]): Promise<void> {
  for (const { address, tcp, udp } of flows) {
    expect([address, await lab.echo(tcp)]).toEqual([address, { value: "x" }]);
    expect([address, await lab.echo(udp)]).toEqual([address, { value: "x" }]);
    expect([address, await hearsPeer(udp, address)]).toEqual([address, true]);
  }
}

async function expectCut(flows: readonly Flow[]): Promise<void> {
  await lab.arrivals();
  for (const { address, tcp, udp } of flows) {
    expect([address, await hearsPeer(udp, address)]).toEqual([address, false]);
    expect(await lab.ask("workload", "send", { id: udp, text: "x" })).toEqual({ error: "EPERM" });
    expect(await lab.echo(tcp)).toEqual({ error: "ECONNRESET" });
    expect((await lab.arrivals()).filter((packet) => packet.includes(`${address}:`))).toEqual([]);
  }
}

async function expectRefused(addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const error = address.includes(":") ? "ECONNREFUSED" : "EHOSTUNREACH";
    expect([address, await lab.attempt("tcp", address)]).toEqual([address, { error }]);
  }
}

/** Whether what the other side of a UDP flow sends by itself arrives. */
async function hearsPeer(id: string, address: string): Promise<boolean> {
  const family = address.includes(":") ? 6 : 4;
  const { value: port } = await lab.ask("workload", "port", { id });
  const peer = await lab.open("internet", { family, type: "udp", source: [address, 80] });
  expect(await lab.send("internet", peer, [CONTAINER[family], port as number])).toEqual({ value: 1 });
  const { value } = await lab.ask("workload", "receive", { id });
  await lab.ask("internet", "close", { id: peer });
  return value === "x";
}
