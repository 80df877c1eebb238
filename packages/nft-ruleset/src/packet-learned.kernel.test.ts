import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BY_RESOLVER, DOWN, NOTHING_ALLOWED, to, UP } from "../testing/sample-policies.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import { queryMark } from "./marks.ts";
import { areaOf } from "./port-area.ts";

const POLICY: EgressPolicy = {
  ...NOTHING_ALLOWED,
  learned: {
    ...BY_RESOLVER,
    scopes: [{ id: 1, area: areaOf({ first: 80, last: 80 }) }],
  },
  upstream: parseIpRange("10.0.2.3"),
  reserved: [parseIpRange("10.0.2.0/24")],
};

const CONTAINER = { 4: "198.18.0.2", 6: "2001:2::2" };
const AT = {
  learned: { 4: "203.0.113.7", 6: "2001:db8::7" },
  onPort: { 4: "203.0.113.8", 6: "2001:db8::8" },
  bypassed: { 4: "203.0.113.9", 6: "2001:db8::9" },
} as const;
const UPSTREAM = "10.0.2.3";

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab([...Object.values(AT).flatMap((at) => [at[4], at[6]]), UPSTREAM]);
});

afterAll(() => lab.stop());

beforeEach(() => lab.reset());

describe.each([4, 6] as const)("by IPv%i", (family) => {
  const [learned, onPort, bypassed] = [AT.learned[family], AT.onPort[family], AT.bypassed[family]];
  const refusal = family === 4 ? "EHOSTUNREACH" : "ECONNREFUSED";
  const sets = { [`dns_v${family}`]: [learned], [`dns_1_v${family}`]: [onPort] };

  describe("an address that nobody uses for longer than it is remembered", () => {
    const forgetful = { ...POLICY, learned: { ...BY_RESOLVER, timeoutSeconds: 1 } };

    test("is closed for new connections, and a silent one goes on, in bypass too", async () => {
      await lab.load(forgetful, UP, { [`dns_v${family}`]: [learned] });
      const flows = [await lab.flow("tcp", learned), await lab.flow("udp", learned)];
      await lab.untilEmpty(`dns_v${family}`);

      expect(await lab.attempt("tcp", learned)).toEqual({ error: refusal });
      for (const flow of flows) expect(await lab.echo(flow)).toEqual({ value: "x" });
      for (const mode of [DOWN, UP]) {
        await lab.change({ mode });
        for (const flow of flows) expect(await lab.echo(flow)).toEqual({ value: "x" });
      }
      expect(await lab.counters()).toEqual({ allowed: 2, refused_blocked: 1 });
    });

    test("is cut with another generation of flows, what is remembered is not", async () => {
      await lab.load({ ...forgetful, learned: BY_RESOLVER }, UP, { [`dns_v${family}`]: [learned, onPort] });
      const [silent, remembered] = [await lab.flow("tcp", learned), await lab.flow("tcp", onPort)];
      const silentToo = await lab.flow("udp", learned);
      await lab.nft(`delete element inet terok_shield dns_v${family} { ${learned} }`);
      expect(await lab.echo(silent)).toEqual({ value: "x" });
      expect(await lab.echo(silentToo)).toEqual({ value: "x" });

      await lab.change({ policy: { learned: { ...BY_RESOLVER, flowGeneration: 2 } } });
      expect(await lab.ask("workload", "send", { id: silentToo, text: "x" })).toEqual({ error: "EPERM" });
      expect(await lab.echo(silent)).toEqual({ error: "ECONNRESET" });
      expect(await lab.echo(remembered)).toEqual({ value: "x" });
    });
  });

  test("an address may leave while it is not there any more", async () => {
    await lab.load(POLICY, UP, { [`dns_v${family}`]: [learned] });
    const forgotten = [learned, bypassed, bypassed].map(parseIpRange);
    await lab.change({}, new Map([[`dns_v${family}`, forgotten]]));
    expect((await lab.live()).learned.get(`dns_v${family}`)).toEqual([]);
    expect(await lab.attempt("tcp", learned)).toEqual({ error: refusal });
  });

  test("an address that leaves under a stream of packets is gone, and so is what was open to it", async () => {
    const learnedBefore = { ...BY_RESOLVER, flowGeneration: 0 };
    for (let round = 1; round <= 20; round++) {
      await lab.load({ ...POLICY, learned: learnedBefore }, UP, { [`dns_v${family}`]: [learned, bypassed] });
      const [leaves, stays] = [await lab.flow("udp", learned), await lab.flow("udp", bypassed)];
      await lab.ask("workload", "start_sending", { ids: [leaves, stays] });
      await lab.change(
        { policy: { learned: { ...learnedBefore, flowGeneration: 1 } } },
        new Map([[`dns_v${family}`, [parseIpRange(learned)]]]),
      );
      const { value } = await lab.ask("workload", "stop_sending");
      expect([round, (await lab.live()).learned.get(`dns_v${family}`)]).toEqual([
        round,
        [expect.objectContaining(parseIpRange(bypassed))],
      ]);
      expect(value).toMatchObject({ [stays]: 0 });
      const sent = await lab.ask("workload", "send", { id: leaves, text: "x" });
      expect(sent).toEqual({ error: expect.stringMatching(/^E(PERM|ACCES|HOSTUNREACH)$/) });
      await lab.reset();
    }
  });

  describe("bypass", () => {
    test("forgets when it ends what it has learned, and cuts its flows", async () => {
      await lab.load(POLICY, UP, sets);
      await lab.change({ mode: DOWN });
      await lab.nft(`add element inet terok_shield dns_v${family} { ${bypassed} }`);
      const flow = await lab.flow("tcp", bypassed);
      const outsideOfScope = await lab.flow("tcp", onPort, 443);
      expect(await lab.counters()).toEqual({ bypassed: 2 });

      await lab.change({ mode: UP });
      for (const id of [flow, outsideOfScope]) {
        expect(await lab.echo(id)).toEqual({ error: "ECONNRESET" });
      }
      expect(await lab.attempt("tcp", bypassed)).toEqual({ error: refusal });
    });

    test("remembers what was learned before it, with its ports and the time that is left", async () => {
      await lab.load(POLICY, UP, sets);
      await lab.nft(`delete element inet terok_shield dns_1_v${family} { ${onPort} }
add element inet terok_shield dns_1_v${family} { ${onPort} timeout 1800s expires 60s }`);
      const flow = await lab.flow("tcp", learned);
      await lab.change({ mode: DOWN });
      await lab.change({ mode: UP });

      const [left] = (await lab.live()).learned.get(`dns_1_v${family}`) ?? [];
      expect(left?.expiresSeconds).toBeLessThanOrEqual(60);
      expect(await lab.echo(flow)).toEqual({ value: "x" });
      expect(await lab.attempt("tcp", learned)).toEqual({ value: "answered" });
      expect(await lab.attempt("tcp", onPort)).toEqual({ value: "answered" });
      expect(await lab.attempt("tcp", onPort, { to: [onPort, 443] })).toEqual({ error: refusal });
    });

    test("that turns into a blackout, and back, forgets and remembers the same", async () => {
      await lab.load(POLICY, UP, sets);
      await lab.change({ mode: DOWN });
      await lab.nft(`add element inet terok_shield dns_v${family} { ${bypassed} }`);
      await lab.change({ mode: { kind: "block" } });
      expect(await lab.attempt("tcp", learned)).toEqual({ error: refusal });
      await lab.change({ mode: UP });
      expect(await lab.attempt("tcp", learned)).toEqual({ value: "answered" });
      expect(await lab.attempt("tcp", bypassed)).toEqual({ error: refusal });
    });

    test("what is denied meanwhile is closed at once, and stays so", async () => {
      await lab.load(POLICY, DOWN);
      const id = await lab.flow("tcp", bypassed);
      await lab.change({ policy: { deny: [to(bypassed)] } });
      expect(await lab.echo(id)).toEqual({ error: "ECONNRESET" });
      for (const mode of [{ ...DOWN, privateRanges: "open" } as const, UP]) {
        await lab.change({ mode });
        expect(await lab.attempt("tcp", bypassed)).toEqual({ error: refusal });
      }
    });
  });
});

test("a workload cannot have its packet taken for the answer in a connection to a learned address", async () => {
  const [learned, closed] = [AT.learned[6], AT.bypassed[6]];
  const foreign = { family: 6, type: "udp", foreign: true };
  await lab.load(POLICY, UP, { dns_v6: [learned] });
  const lure = await lab.open("workload", { ...foreign, source: [closed, 4445] });
  const spoof = await lab.open("workload", { ...foreign, source: [learned, 81] });
  expect(await lab.send("workload", lure, [learned, 81])).toEqual({ value: 1 });
  for (const _ of [1, 2]) {
    expect(await lab.send("workload", spoof, [closed, 4445])).toEqual({ error: "EPERM" });
    expect(await lab.send("workload", lure, [learned, 81])).toEqual({ value: 1 });
  }
  expect((await lab.arrivals()).filter((packet) => packet.includes(closed))).toEqual([]);
});

test("a workload cannot have the mark of a learned address put on a way to another, for after bypass", async () => {
  const [learned, closed] = [AT.learned[6], AT.bypassed[6]];
  const foreign = { family: 6, type: "udp", foreign: true };
  await lab.load(POLICY, DOWN, { kept_v6: [learned] });
  const away = await lab.open("workload", { ...foreign, source: [learned, 81] });
  const back = await lab.open("workload", { ...foreign, source: [closed, 4445] });
  expect(await lab.send("workload", away, [closed, 4445])).toEqual({ value: 1 });
  expect(await lab.send("workload", back, [learned, 81])).toEqual({ value: 1 });
  expect(await lab.send("workload", away, [closed, 4445])).toEqual({ value: 1 });
  expect(await lab.arrivals()).toEqual([`udp ${closed}:4445`, `udp ${learned}:81`, `udp ${closed}:4445`]);

  await lab.change({ mode: UP });
  expect(await lab.send("workload", back, [learned, 81])).toEqual({ value: 1 });
  expect(await lab.send("workload", away, [closed, 4445])).toEqual({ error: "EPERM" });
  expect((await lab.arrivals()).filter((packet) => packet.includes(closed))).toEqual([]);
});

describe("with another generation of queries", () => {
  const next = { learned: { ...BY_RESOLVER, queryGeneration: 2 } };
  const [old, young] = [queryMark(1), queryMark(2)];

  test("a query of the generation before is refused, and its late answer is not heard", async () => {
    await lab.load(POLICY);
    const open = (mark: number) =>
      lab.open("resolver", { family: 4, type: "udp", mark, source: [CONTAINER[4], 0] });
    const query = await open(old);
    expect(await lab.send("resolver", query, [UPSTREAM, 53])).toEqual({ value: 1 });
    expect(await lab.ask("resolver", "receive", { id: query })).toEqual({ value: "x" });
    const upstream = await lab.open("internet", { family: 4, type: "udp", source: [UPSTREAM, 53] });
    const { value: port } = await lab.ask("resolver", "port", { id: query });
    const answer = () => lab.send("internet", upstream, [CONTAINER[4], port as number]);
    expect(await answer()).toEqual({ value: 1 });
    expect(await lab.ask("resolver", "receive", { id: query })).toEqual({ value: "x" });

    await lab.change({ policy: next });
    expect(await answer()).toEqual({ value: 1 });
    expect(await lab.ask("resolver", "receive", { id: query })).toEqual({ error: "ETIMEDOUT" });
    expect(await lab.send("resolver", query, [UPSTREAM, 53])).toEqual({ error: "EPERM" });
    await lab.ask("internet", "close", { id: upstream });
    const again = await open(young);
    expect(await lab.send("resolver", again, [UPSTREAM, 53])).toEqual({ value: 1 });
    expect(await lab.ask("resolver", "receive", { id: again })).toEqual({ value: "x" });
  });

  test("a TCP connection to the resolver keeps its mark, while queries by UDP and new connections get the new one", async () => {
    await lab.load(POLICY);
    await lab.nft(`table inet watch
delete table inet watch
table inet watch {
	counter old { }
	counter young { }
	chain output {
		type filter hook output priority 10;
		oifname "lo" meta l4proto { tcp, udp } th dport 53 ct mark ${old} counter name "old"
		oifname "lo" meta l4proto { tcp, udp } th dport 53 ct mark ${young} counter name "young"
	}
}`);
    const server = await lab.open("workload", { family: 4, type: "tcp", source: ["127.0.0.1", 53] });
    await lab.ask("workload", "listen", { id: server });
    const connect = async (type: string) => {
      const id = await lab.open("workload", { family: 4, type });
      await lab.ask("workload", "connect", { id, to: ["127.0.0.1", 53] });
      return id;
    };
    const ask = async (id: string) => {
      await lab.run("nft", ["reset", "counters", "table", "inet", "watch"]);
      expect(await lab.ask("workload", "send", { id, text: "x" })).toEqual({ value: 1 });
      const text = await lab.run("nft", ["-j", "list", "counters", "table", "inet", "watch"]);
      const { nftables } = JSON.parse(text) as {
        nftables: { counter?: { name: string; packets: number } }[];
      };
      return nftables.flatMap(({ counter }) => (counter && counter.packets > 0 ? [counter.name] : []));
    };
    const resolver = await lab.open("resolver", { family: 4, type: "udp", source: ["127.0.0.1", 53] });
    const [tcp, udp] = [await connect("tcp"), await connect("udp")];
    expect(resolver).toBeDefined();
    for (const id of [tcp, udp]) expect(await ask(id)).toEqual(["old"]);

    await lab.change({ policy: next });
    expect(await ask(tcp)).toEqual(["old"]);
    expect(await ask(udp)).toEqual(["young"]);
    expect(await ask(await connect("tcp"))).toEqual(["young"]);
    await lab.nft("delete table inet watch");
  });
});
