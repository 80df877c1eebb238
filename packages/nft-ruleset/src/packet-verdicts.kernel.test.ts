import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BLOCK, BY_RESOLVER, DOWN, DOWN_ALL, DOWN_FOR, to, UP } from "../testing/sample-policies.ts";
import { type Counted, type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { parseIpRange, renderIpRange } from "./ip-range.ts";
import { MARK, queryMark } from "./marks.ts";

const QUERY = queryMark(BY_RESOLVER.queryGeneration);

const POLICY: EgressPolicy = {
  revision: 1,
  allow: [
    "203.0.113.0/24",
    "2001:db8::/48",
    "10.8.0.0/24",
    "fd00:8::/64",
    "169.254.0.0/16",
    "fd00:ec2::/64",
    "10.0.2.0/24",
    "fd00:2::/64",
  ].map(to),
  deny: ["203.0.113.9", "2001:db8::bad"].map(to),
  learned: BY_RESOLVER,
  upstream: parseIpRange("10.0.2.3"),
  reserved: ["10.0.2.0/24", "fd00:2::/64"].map(parseIpRange),
  hostLoopback: { addresses: [parseIpRange("10.0.2.2")], ports: [443] },
  published: [
    { protocol: "tcp", port: 8080 },
    { protocol: "udp", port: 8080 },
  ],
};

const CONTAINER = { 4: "198.18.0.2", 6: "2001:2::2" };

/** Every address at which the other side answers, by what policy makes of it. */
const AT = {
  allowed: { 4: "203.0.113.7", 6: "2001:db8::7" },
  denied: { 4: "203.0.113.9", 6: "2001:db8::bad" },
  learned: { 4: "198.51.100.50", 6: "2001:db8:50::1" },
  unlisted: { 4: "198.51.100.1", 6: "2001:db8:1::1" },
  private: { 4: "10.9.0.1", 6: "fd00:9::1" },
  privateLearned: { 4: "10.9.0.2", 6: "fd00:9::2" },
  privateWritten: { 4: "10.8.0.1", 6: "fd00:8::1" },
  carrierNat: { 4: "100.64.0.1", 6: "64:ff9b::6440:1" },
  metadata: { 4: "169.254.169.254", 6: "fd00:ec2::254" },
  translated: { 4: "198.51.100.2", 6: "64:ff9b::c633:6402" },
  translatedPrivate: { 4: "10.9.0.3", 6: "64:ff9b::a09:3" },
  reserved: { 4: "10.0.2.9", 6: "fd00:2::9" },
  upstream: { 4: "10.0.2.3", 6: "fd00:2::3" },
  host: { 4: "10.0.2.2", 6: "fd00:2::2" },
} as const;

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab(Object.values(AT).flatMap((address) => [address[4], address[6]]));
});

afterAll(() => lab.stop());

beforeEach(() => lab.reset());

test("without rules every address answers, by TCP and by UDP", async () => {
  for (const address of Object.values(AT).flatMap((both) => [both[4], both[6]])) {
    for (const type of ["tcp", "udp"]) {
      expect([address, await lab.attempt(type, address)]).toEqual([address, { value: "answered" }]);
    }
  }
  const arrived = new Set((await lab.arrivals()).map((packet) => packet.split(" ")[0]));
  expect(arrived).toEqual(new Set(["tcp", "udp"]));
});

const VERDICTS: { mode: ShieldMode; counted: Record<string, Counted> }[] = [
  {
    mode: UP,
    counted: {
      allowed: { allowed: 1 },
      denied: { refused_denied: 1 },
      learned: { allowed: 1 },
      unlisted: { refused_blocked: 1 },
      private: { refused_private: 1 },
      privateLearned: { refused_private: 1 },
      privateWritten: { allowed: 1 },
      carrierNat: { refused_private: 1 },
      metadata: { refused_private: 1 },
      translated: { refused_blocked: 1 },
      translatedPrivate: { refused_private: 1 },
      reserved: { refused_private: 1 },
    },
  },
  {
    mode: DOWN,
    counted: {
      allowed: { allowed: 1 },
      denied: { refused_denied: 1 },
      learned: { allowed: 1 },
      unlisted: { bypassed: 1 },
      private: { refused_private: 1 },
      privateLearned: { refused_private: 1 },
      metadata: { refused_private: 1 },
      translated: { bypassed: 1 },
      translatedPrivate: { refused_private: 1 },
    },
  },
  {
    mode: DOWN_ALL,
    counted: {
      allowed: { allowed: 1 },
      denied: { refused_denied: 1 },
      private: { bypassed: 1 },
      reserved: { refused_private: 1 },
    },
  },
  {
    mode: BLOCK,
    counted: {
      allowed: { refused_blocked: 1 },
      learned: { refused_blocked: 1 },
      unlisted: { refused_blocked: 1 },
    },
  },
];

let lastPort = 20_000;

describe.each(VERDICTS)("in mode $mode.kind $mode.privateRanges a first packet", ({ mode, counted }) => {
  beforeAll(() => load(mode));

  const cases = Object.entries(counted).flatMap(([to, counts]) =>
    ([4, 6] as const).map((family) => ({ to: AT[to as keyof typeof AT][family], family, counts })),
  );

  test.each(cases)("to $to counts as $counts", async ({ to, family, counts }) => {
    const passes = counts.allowed === 1 || counts.bypassed === 1;

    expect(await lab.attempt("tcp", to)).toEqual(
      passes ? { value: "answered" } : { error: family === 4 ? "EHOSTUNREACH" : "ECONNREFUSED" },
    );
    expect(await lab.counters()).toEqual(counts);
    // From a port that none had before: a datagram from the same one goes on with what was counted already.
    const source = [family === 4 ? "0.0.0.0" : "::", ++lastPort];
    expect(await lab.attempt("udp", to, { source })).toEqual(
      passes ? { value: "answered" } : { error: "EPERM" },
    );
    expect(await lab.counters()).toEqual(counts);

    expect(new Set(await lab.arrivals())).toEqual(new Set(passes ? [`tcp ${to}:80`, `udp ${to}:80`] : []));
  });
});

describe.each([4, 6] as const)("by IPv%i", (family) => {
  beforeAll(() => load(UP));

  test("finds its router with an empty neighbour cache", async () => {
    await lab.run("ip", ["neigh", "flush", "all"]);
    expect(await lab.attempt("tcp", AT.allowed[family], { seconds: 3 })).toEqual({ value: "answered" });
  });

  test("a ping follows the same rules", async () => {
    expect(await lab.attempt("icmp", AT.allowed[family])).toEqual({ value: "answered" });
    expect(await lab.arrivals()).toEqual([
      `${family === 4 ? "icmp type 8" : "icmpv6 type 128"} ${AT.allowed[family]}`,
    ]);
    expect(await lab.attempt("icmp", AT.unlisted[family])).toEqual({
      error: family === 4 ? "EPERM" : "EACCES",
    });
    expect(await lab.arrivals()).toEqual([]);
  });

  test("what stays on lo is nobody's business, in every mode", async () => {
    for (const mode of [UP, DOWN, BLOCK]) {
      await load(mode);
      const server = await lab.open("workload", { family, type: "udp", source: [CONTAINER[family], 0] });
      const loopback = family === 4 ? "127.0.0.1" : "::1";
      const bound = await lab.open("workload", { family, type: "udp", source: [loopback, 0] });
      const { value: port } = await lab.ask("workload", "port", { id: bound });
      expect(await lab.send("workload", server, [loopback, port as number])).toEqual({ value: 1 });
      expect(await lab.ask("workload", "receive", { id: bound })).toEqual({ value: "x" });
    }
    expect(await lab.counters()).toEqual({});
  });
});

describe("the upstream resolver", () => {
  beforeEach(() => load(UP));

  test.each(["tcp", "udp"])("answers the container's resolver by %s, uncounted", async (type) => {
    const upstream = [AT.upstream[4], 53];
    const answer = await lab.ask("resolver", "attempt", { family: 4, type, mark: QUERY, to: upstream });
    expect(answer).toEqual({ value: "answered" });
    expect(await lab.counters()).toEqual({});
    expect(new Set(await lab.arrivals())).toEqual(new Set([`${type} 10.0.2.3:53`]));
  });

  test.each([
    { what: "a workload, which has no mark", who: "workload", to: [AT.upstream[4], 53], error: "EPERM" },
    {
      what: "a workload that would set the mark",
      who: "workload",
      mark: QUERY,
      to: [AT.upstream[4], 53],
      error: "EPERM",
    },
    {
      what: "a resolver without a query of the container",
      who: "resolver",
      to: [AT.upstream[4], 53],
      error: "EPERM",
    },
    { what: "another mark", who: "resolver", mark: MARK.allowed, to: [AT.upstream[4], 53], error: "EPERM" },
    {
      what: "the mark at another port",
      who: "resolver",
      mark: QUERY,
      to: [AT.upstream[4], 80],
      error: "EPERM",
    },
    {
      what: "the mark at another address",
      who: "resolver",
      mark: QUERY,
      to: [AT.unlisted[4], 53],
      error: "EPERM",
    },
  ] as const)("refuses $what", async ({ who, to, error, ...options }) => {
    const mark = "mark" in options ? { mark: options.mark } : {};
    expect(await lab.ask(who, "attempt", { family: 4, type: "udp", to, ...mark })).toEqual({ error });
    expect(await lab.arrivals()).toEqual([]);
  });

  test("a flow of the resolver opens nothing for a workload that takes over its port", async () => {
    const source = [CONTAINER[4], 5353];
    const to = [AT.upstream[4], 53];
    expect(await lab.ask("resolver", "attempt", { family: 4, type: "udp", mark: QUERY, source, to })).toEqual(
      {
        value: "answered",
      },
    );
    await lab.arrivals();
    expect(await lab.ask("workload", "attempt", { family: 4, type: "udp", source, to })).toEqual({
      error: "EPERM",
    });
    expect(await lab.arrivals()).toEqual([]);
  });
});

describe("a flow that stands ends with what allowed it", () => {
  beforeEach(() => load(UP));

  const denied = (family: 4 | 6) => [...POLICY.deny, to(AT.allowed[family])];
  const withoutAllowed = POLICY.allow.filter(
    ({ range }) => range.family === 4 && range.first >> 24n !== 203n,
  );

  describe.each([4, 6] as const)("by IPv%i", (family) => {
    test.each<{
      what: string;
      target: keyof typeof AT;
      from?: ShieldMode;
      change?: Parameters<ShieldedLab["change"]>[0];
      forget?: true;
    }>([
      { what: "a deny", target: "allowed", change: { policy: { deny: denied(family) } } },
      { what: "an entry that leaves", target: "allowed", change: { policy: { allow: withoutAllowed } } },
      {
        what: "a learned address that leaves, and another generation of flows",
        target: "learned",
        change: { policy: { learned: { ...BY_RESOLVER, flowGeneration: 2 } } },
        forget: true,
      },
      { what: "bypass that ends", target: "unlisted", from: DOWN, change: { mode: UP } },
      {
        what: "bypass of private ranges that ends",
        target: "private",
        from: DOWN_ALL,
        change: { mode: DOWN },
      },
      { what: "a blackout", target: "allowed", change: { mode: BLOCK } },
    ])("$what ends it", async ({ target, from, change = {}, forget }) => {
      if (from !== undefined) await load(from);
      const address = AT[target][family];
      const flows = { tcp: await lab.flow("tcp", address), udp: await lab.flow("udp", address) };
      await lab.arrivals();

      await lab.change(change, forget && new Map([[`dns_v${family}`, [parseIpRange(address)]]]));
      expect(await lab.ask("workload", "send", { id: flows.udp, text: "x" })).toEqual({ error: "EPERM" });
      expect(await lab.echo(flows.tcp)).toEqual({ error: "ECONNRESET" });
      expect(await lab.arrivals()).toEqual([]);
    });

    test("a flow to an allowed address lives through bypass and back, and is counted once", async () => {
      const id = await lab.flow("tcp", AT.allowed[family]);
      for (const mode of [DOWN, DOWN_ALL, DOWN, UP]) {
        await lab.change({ mode });
        expect(await lab.echo(id)).toEqual({ value: "x" });
      }
      expect(await lab.counters()).toEqual({ allowed: 1 });
    });

    test("a flow of bypass lives on when its address was allowed meanwhile", async () => {
      await load(DOWN);
      const id = await lab.flow("tcp", AT.unlisted[family]);
      await lab.change({ policy: { allow: [...POLICY.allow, to(AT.unlisted[family])] } });
      await lab.change({ mode: UP });
      expect(await lab.echo(id)).toEqual({ value: "x" });
      expect(await lab.counters()).toEqual({ bypassed: 1, allowed: 1 });
    });
  });

  test("a peer that is denied is not heard any more", async () => {
    const id = await lab.flow("udp", AT.allowed[4]);
    const { value: port } = await lab.ask("workload", "port", { id });
    const peer = await lab.open("internet", { family: 4, type: "udp", source: [AT.allowed[4], 80] });
    expect(await lab.send("internet", peer, [CONTAINER[4], port as number])).toEqual({ value: 1 });
    expect(await lab.ask("workload", "receive", { id })).toEqual({ value: "x" });

    await lab.change({ policy: { deny: denied(4) } });
    expect(await lab.send("internet", peer, [CONTAINER[4], port as number])).toEqual({ value: 1 });
    expect(await lab.ask("workload", "receive", { id })).toEqual({ error: "ETIMEDOUT" });
  });

  test("each packet renews what the resolver learned", async () => {
    const id = await lab.flow("udp", AT.learned[4]);
    await lab.nft(`delete element inet terok_shield dns_v4 { ${AT.learned[4]} }
add element inet terok_shield dns_v4 { ${AT.learned[4]} timeout 1800s expires 60s }`);
    expect(await lab.echo(id)).toEqual({ value: "x" });
    const addresses = (await lab.live()).learned.get("dns_v4");
    const [learned] = addresses?.filter((address) => renderIpRange(address) === AT.learned[4]) ?? [];
    expect(learned?.expiresSeconds).toBeGreaterThan(1700);
  });
});

describe("a change", () => {
  beforeEach(() => load(UP));

  test("is one step: meanwhile nothing closed opens and nothing open closes, for new connections or old", async () => {
    const flows = [await lab.flow("udp", AT.allowed[4]), await lab.flow("udp", AT.learned[6])];
    const open = [...Object.values(AT.allowed), ...Object.values(AT.learned)];
    const closed = [...Object.values(AT.denied), ...Object.values(AT.private)];
    await lab.arrivals();
    await lab.ask("workload", "start_sending", { ids: flows, fresh: [...open, ...closed] });
    for (const mode of [DOWN, UP, DOWN, DOWN_FOR, UP, DOWN, UP]) await lab.change({ mode });
    for (const more of [[to("192.0.2.0/24")], [to("203.0.113.0/25 443")], [to("203.0.113.128/25")], []]) {
      await lab.change({ policy: { allow: [...POLICY.allow, ...more] } });
      await lab.change({ policy: { deny: [...POLICY.deny, ...more] } });
    }
    const { value: failures } = await lab.ask("workload", "stop_sending");

    const arrived = await lab.arrivals();
    for (const key of [...flows, ...open]) expect(failures).toMatchObject({ [key]: 0 });
    // A socket that is closed before the echo is there makes the kernel send an ICMP error.
    const reached = arrived.map((packet) =>
      packet.replace(/^udp (.*):80$|^icmp(?:v6)? type \d (.*)$/, "$1$2"),
    );
    expect(new Set(reached)).toEqual(new Set(open));
    expect(arrived.length).toBeGreaterThan(100);
  });
});

describe("what comes in", () => {
  beforeEach(() => load(UP));

  test("a published port is open, and its answers arrive", async () => {
    const server = await lab.open("workload", { family: 4, type: "tcp", source: ["0.0.0.0", 8080] });
    await lab.ask("workload", "listen", { id: server });
    const client = await lab.open("internet", { family: 4, type: "tcp", source: [AT.private[4], 0] });
    expect(await lab.ask("internet", "connect", { id: client, to: [CONTAINER[4], 8080] })).toEqual({
      value: null,
    });
    const connection = `${server}-connection`;
    expect(await lab.ask("workload", "accept", { id: server, connection })).toEqual({ value: AT.private[4] });
    await lab.ask("workload", "send", { id: connection, text: "hello" });
    expect(await lab.ask("internet", "receive", { id: client })).toEqual({ value: "hello" });
    expect(await lab.counters()).toEqual({});

    await lab.change({ mode: BLOCK });
    await lab.ask("workload", "send", { id: connection, text: "gone" });
    expect(await lab.ask("internet", "receive", { id: client })).toEqual({ error: "ETIMEDOUT" });
  });

  test.each([
    { what: "a port that is not published", port: 8081, from: AT.allowed[4] },
    { what: "a published port, asked by a denied address", port: 8080, from: AT.denied[4] },
  ])("$what is silent", async ({ port, from }) => {
    const server = await lab.open("workload", { family: 4, type: "tcp", source: ["0.0.0.0", port] });
    await lab.ask("workload", "listen", { id: server });
    const client = await lab.open("internet", { family: 4, type: "tcp", source: [from, 0] });
    expect(await lab.ask("internet", "connect", { id: client, to: [CONTAINER[4], port] })).toEqual({
      error: "ETIMEDOUT",
    });
    expect(await lab.arrivals()).toEqual([]);
  });

  test("a forwarder that comes in by lo is shut out in a blackout too, and cut, other ports of lo are not", async () => {
    const serve = async (port: number) => {
      const server = await lab.open("workload", { family: 4, type: "tcp", source: ["127.0.0.1", port] });
      await lab.ask("workload", "listen", { id: server });
      const client = await lab.open("resolver", { family: 4, type: "tcp" });
      expect(await lab.ask("resolver", "connect", { id: client, to: ["127.0.0.1", port] })).toEqual({
        value: null,
      });
      const connection = `${server}-connection`;
      await lab.ask("workload", "accept", { id: server, connection });
      return { client, connection };
    };
    const [published, own] = [await serve(8080), await serve(8081)];
    const arrives = async ({ client, connection }: typeof own) => {
      await lab.ask("resolver", "send", { id: client, text: "x" });
      return (await lab.ask("workload", "receive", { id: connection })).value === "x";
    };
    expect([await arrives(published), await arrives(own)]).toEqual([true, true]);
    await lab.change({ mode: BLOCK });
    expect([await arrives(published), await arrives(own)]).toEqual([false, true]);
    const attempt = (port: number) =>
      lab.ask("resolver", "attempt", { family: 4, type: "tcp", to: ["127.0.0.1", port] });
    expect(await attempt(8080)).toEqual({ error: "EHOSTUNREACH" });
    expect(await attempt(8081)).toEqual({ error: "ETIMEDOUT" });
  });

  test("the granted port of the host's loopback is open, no other", async () => {
    const to = (port: number) =>
      lab.ask("workload", "attempt", { family: 4, type: "tcp", to: [AT.host[4], port] });
    expect(await to(443)).toEqual({ value: "answered" });
    expect(await to(80)).toEqual({ error: "EHOSTUNREACH" });
    expect(new Set(await lab.arrivals())).toEqual(new Set(["tcp 10.0.2.2:443"]));
  });
});

describe("what a workload may try", () => {
  beforeEach(() => load(UP));

  test("to steer conntrack: a packet that looks like the answer to one from a foreign address", async () => {
    const [open6, closed6] = [AT.allowed[6], AT.unlisted[6]];
    const lure = await lab.open("workload", {
      family: 6,
      type: "udp",
      foreign: true,
      source: [closed6, 4444],
    });
    const spoof = await lab.open("workload", { family: 6, type: "udp", foreign: true, source: [open6, 80] });
    expect(await lab.send("workload", lure, [open6, 80])).toEqual({ value: 1 });
    expect(await lab.arrivals()).toEqual([`udp ${open6}:80`]);
    expect(await lab.send("workload", spoof, [closed6, 4444])).toEqual({ error: "EPERM" });
    expect((await lab.arrivals()).filter((packet) => packet.includes(closed6))).toEqual([]);
  });

  test("to steer conntrack in bypass, for after it", async () => {
    const [open6, closed6] = [AT.allowed[6], AT.unlisted[6]];
    const spoof = await lab.open("workload", { family: 6, type: "udp", foreign: true, source: [open6, 81] });
    const lure = await lab.open("workload", {
      family: 6,
      type: "udp",
      foreign: true,
      source: [closed6, 4445],
    });
    await load(DOWN);
    expect(await lab.send("workload", spoof, [closed6, 4445])).toEqual({ value: 1 });
    expect(await lab.arrivals()).toEqual([`udp ${closed6}:4445`]);
    await lab.change({ mode: UP });
    expect(await lab.send("workload", lure, [open6, 81])).toEqual({ value: 1 });
    expect(await lab.send("workload", spoof, [closed6, 4445])).toEqual({ error: "EPERM" });
    expect((await lab.arrivals()).filter((packet) => packet.includes(closed6))).toEqual([]);
  });

  test("to look like a caller of its own published port", async () => {
    const caller = await lab.open("workload", {
      family: 6,
      type: "udp",
      foreign: true,
      source: [AT.unlisted[6], 4447],
    });
    const server = await lab.open("workload", { family: 6, type: "udp", source: [CONTAINER[6], 8080] });
    expect(await lab.send("workload", caller, [CONTAINER[6], 8080])).toEqual({ value: 1 });
    expect(await lab.ask("workload", "receive", { id: server })).toEqual({ value: "x" });
    expect(await lab.send("workload", server, [AT.unlisted[6], 4447])).toEqual({ error: "EPERM" });
    expect(await lab.arrivals()).toEqual([]);
  });

  test("to have the ICMP error of a refusal carry its packet to a foreign address", async () => {
    const id = await lab.open("workload", {
      family: 6,
      type: "udp",
      foreign: true,
      source: [AT.translated[6], 4448],
    });
    expect(await lab.send("workload", id, [AT.unlisted[6], 80])).toEqual({ error: "EPERM" });
    expect(await lab.arrivals()).toEqual([]);
    expect(await lab.counters()).toEqual({ refused_blocked: 2 });
  });

  test("to send from a foreign IPv4 address", async () => {
    const id = await lab.open("workload", {
      family: 4,
      type: "udp",
      foreign: true,
      source: [AT.unlisted[4], 4444],
    });
    expect(await lab.send("workload", id, [AT.allowed[4], 80])).toEqual({ error: "ENETUNREACH" });
  });

  test("to bind to lo: nothing leaves, and the mark of a query opens no way in", async () => {
    const source = [CONTAINER[4], 4446];
    const bound = await lab.open("workload", { family: 4, type: "udp", device: "lo", source });
    expect(await lab.send("workload", bound, [AT.unlisted[4], 53])).toEqual({ value: 1 });
    expect(await lab.arrivals()).toEqual([]);
    await lab.ask("workload", "close_all");
    const listener = await lab.open("workload", { family: 4, type: "udp", source });
    const peer = await lab.open("internet", { family: 4, type: "udp", source: [AT.unlisted[4], 53] });
    expect(await lab.send("internet", peer, [CONTAINER[4], 4446])).toEqual({ value: 1 });
    expect(await lab.ask("workload", "receive", { id: listener })).toEqual({ error: "ETIMEDOUT" });
  });

  test.each([
    { what: "multicast", family: 4, to: ["224.0.0.251", 5353] },
    { what: "multicast", family: 6, to: ["ff02::fb%eth0", 5353] },
    { what: "limited broadcast", family: 4, to: ["255.255.255.255", 67] },
    { what: "subnet broadcast", family: 4, to: ["198.18.0.255", 67] },
    { what: "link-local", family: 6, to: ["fe80::1%eth0", 80] },
    { what: "an IPv4-mapped address", family: 6, to: [`::ffff:${AT.unlisted[4]}`, 80] },
    { what: "an IPv4-mapped denied address", family: 6, to: [`::ffff:${AT.denied[4]}`, 80] },
  ] as const)("$what, $to", async ({ family, to }) => {
    const id = await lab.open("workload", { family, type: "udp" });
    expect(await lab.send("workload", id, to)).toEqual({ error: "EPERM" });
    expect(await lab.arrivals()).toEqual([]);
  });

  test("an IPv4-mapped address that is allowed is IPv4", async () => {
    const id = await lab.open("workload", { family: 6, type: "udp" });
    expect(await lab.send("workload", id, [`::ffff:${AT.allowed[4]}`, 80])).toEqual({ value: 1 });
    expect(await lab.arrivals()).toEqual([`udp ${AT.allowed[4]}:80`]);
  });

  test.each([
    { what: "loose source routing", family: 4, option: { ip_options: "830704c6120001" + "00" } },
    { what: "strict source routing", family: 4, option: { ip_options: "890704c6120001" + "00" } },
    {
      what: "a routing header",
      family: 6,
      option: { rthdr: `0002040000000000${"20010002".padEnd(31, "0")}1` },
    },
  ] as const)("$what, refused even in bypass", async ({ family, option }) => {
    await load(DOWN);
    const router = family === 4 ? "198.18.0.1" : "2001:2::1";
    const plain = await lab.open("resolver", { family, type: "udp" });
    expect(await lab.send("resolver", plain, [router, 80])).toEqual({ value: 1 });
    expect(await lab.arrivals()).toEqual([`udp ${router}:80`]);
    const routed = await lab.open("resolver", { family, type: "udp", ...option });
    expect(await lab.send("resolver", routed, [router, 80])).toEqual({ error: "EPERM" });
    expect(await lab.arrivals()).toEqual([]);
    expect(await lab.counters()).toEqual({ bypassed: 1, refused_blocked: 1 });
  });
});

/** A fresh table in `mode`, with what the resolver learned and no counts. */
function load(mode: ShieldMode): Promise<void> {
  const learned = mode.kind === "down" ? "kept" : "dns";
  return lab.load(POLICY, mode, {
    [`${learned}_v4`]: [AT.learned[4], AT.privateLearned[4]],
    [`${learned}_v6`]: [AT.learned[6], AT.privateLearned[6]],
  });
}
