import { expect, test } from "vitest";
import { judgeEveryPort, judgePacket, readListedRuleset } from "./evaluate-listing.ts";
import type { FirstPacket } from "./evaluate-listing-match.ts";
import { parseIpRange } from "./ip-range.ts";

const OUTPUT = { type: "filter", hook: "output", prio: 0, policy: "drop" };
const DPORT = { payload: { protocol: "tcp", field: "dport" } };
const DADDR = { payload: { protocol: "ip", field: "daddr" } };
const ACCEPT = { accept: null };
const DROP = { drop: null };

const is = (left: unknown, right: unknown, op = "==") => ({ match: { op, left, right } });

/** Rules of the chain `output`, those of the chain `other`, and further objects. */
function rulesetOf(output: unknown[][], other: unknown[][] = [], more: object[] = [], base: object = OUTPUT) {
  const place = { family: "inet", table: "t" };
  const rule = (chain: string) => (expr: unknown[], index: number) => ({
    rule: { ...place, chain, handle: index + 1, expr },
  });
  const nftables = [
    { metainfo: {} },
    { table: { family: "inet", name: "t" } },
    { chain: { ...place, name: "output", ...base } },
    { chain: { ...place, name: "other" } },
    ...more,
    ...output.map(rule("output")),
    ...other.map(rule("other")),
  ];
  return readListedRuleset(JSON.stringify({ nftables }));
}

const PACKET = {
  address: parseIpRange("198.51.100.7"),
  protocol: "tcp",
  port: 443,
  isLocal: false,
} as const;
const verdictOf = (ruleset: ReturnType<typeof rulesetOf>) => judgePacket(ruleset, PACKET).verdict;

test.each<[string, unknown[][], unknown[][], string]>([
  ["no rule: the policy", [], [], "dropped"],
  ["the first that matches", [[is(DPORT, 80), ACCEPT], [is(DPORT, 443), ACCEPT], [DROP]], [], "accepted"],
  [
    "a jump that comes back",
    [[{ jump: { target: "other" } }], [ACCEPT]],
    [[is(DPORT, 80), DROP]],
    "accepted",
  ],
  ["a return", [[{ jump: { target: "other" } }], [ACCEPT]], [[{ return: null }], [DROP]], "accepted"],
  ["a goto that does not come back", [[{ goto: { target: "other" } }], [ACCEPT]], [], "dropped"],
  [
    "a mark that a rule sets and another sees",
    [[{ mangle: { key: { ct: { key: "mark" } }, value: 7 } }], [is({ ct: { key: "mark" } }, 7), ACCEPT]],
    [],
    "accepted",
  ],
  [
    "a set without a name, with a range",
    [[is(DPORT, { set: [80, { range: [440, 450] }] }), ACCEPT]],
    [],
    "accepted",
  ],
  [
    "a header that is not there, denied",
    [[is({ payload: { protocol: "ip6", field: "daddr" } }, "::1", "!="), ACCEPT]],
    [],
    "dropped",
  ],
  [
    "what only counts and logs",
    [[{ counter: "c" }, { limit: { rate: 1, per: "second" } }, { log: {} }], [ACCEPT]],
    [],
    "accepted",
  ],
  ["over a rate", [[{ limit: { rate: 1, per: "second", inv: true } }, DROP], [ACCEPT]], [], "accepted"],
  [
    "a doubt about what does not match anyway",
    [[is({ rt: { key: "mtu" } }, 1), is(DPORT, 80), ACCEPT]],
    [],
    "dropped",
  ],
])("%s", (_, output, other, verdict) => {
  expect(verdictOf(rulesetOf(output, other))).toBe(verdict);
});

test.each<[string, unknown[][]]>([
  ["a match", [[is({ rt: { key: "mtu" } }, 1), ACCEPT]]],
  ["an operator", [[is(DPORT, 500, "<"), ACCEPT]]],
  ["a value", [[is(DADDR, { map: {} }), ACCEPT]]],
  ["a set that is not listed", [[is(DADDR, "@gone"), ACCEPT]]],
  ["a statement", [[{ vmap: {} }]]],
  ["a statement of no kind", [[null], [ACCEPT]]],
  ["a rate that decides", [[{ limit: { rate: 1, per: "second" } }, ACCEPT]]],
  ["a chain that is not there", [[{ jump: { target: "gone" } }]]],
  ["a jump in a circle", [[{ jump: { target: "output" } }]]],
  ["what is set", [[{ mangle: { key: { payload: {} }, value: 7 } }, ACCEPT]]],
  ["a queue", [[{ queue: null }]]],
])("what is not understood where it matters gives no verdict: %s", (_, output) => {
  const judged = judgePacket(rulesetOf([...output, [ACCEPT]]), PACKET);
  expect(judged.verdict).toBe("unknown");
  expect(judged.reason).toBeTruthy();
});

test.each([
  ["rewrites addresses", { ...OUTPUT, type: "nat" }],
  ["chooses the way", { ...OUTPUT, type: "route" }],
  ["comes after", { ...OUTPUT, hook: "postrouting" }],
])("a chain that %s gives no verdict", (_, base) => {
  expect(verdictOf(rulesetOf([[ACCEPT]], [], [], base))).toBe("unknown");
});

test("so does a table of a family that is not known here", () => {
  const netdev = { table: { family: "netdev", name: "n" } };
  expect(verdictOf(rulesetOf([[ACCEPT]], [], [netdev]))).toBe("unknown");
});

test("a chain for what comes in, or passes through, has no say", () => {
  expect(verdictOf(rulesetOf([[DROP]], [], [], { ...OUTPUT, hook: "input" }))).toBe("accepted");
});

test("what is for the container itself leaves by lo", () => {
  const ruleset = rulesetOf([[is({ meta: { key: "oifname" } }, "lo"), ACCEPT]]);
  expect(verdictOf(ruleset)).toBe("dropped");
  expect(judgePacket(ruleset, { ...PACKET, isLocal: true }).verdict).toBe("accepted");
});

test("the trail names the rules and the elements that were found, with the time that is left", () => {
  const elem = [{ elem: { val: "198.51.100.7", timeout: 60, expires: 42 } }, "203.0.113.1"];
  const set = { set: { family: "inet", table: "t", name: "s", elem } };
  const ruleset = rulesetOf(
    [[DROP].slice(1), [is(DADDR, "@s"), { goto: { target: "other" } }]],
    [[ACCEPT]],
    [set],
  );
  expect(judgePacket(ruleset, PACKET).trail).toEqual([
    {
      ...{ table: "t", chain: "output", handle: 2 },
      found: [{ set: "s", element: "198.51.100.7", remainingSeconds: 42 }],
    },
    { table: "t", chain: "other", handle: 1, found: [] },
  ]);
});

test("every port, in runs, and a ping", () => {
  const ruleset = rulesetOf([[is(DPORT, { set: [443, { range: [8000, 8010] }] }), ACCEPT]]);
  const runs = judgeEveryPort(ruleset, { address: PACKET.address, isLocal: false });
  expect(
    runs.map(({ protocol, first, last, judgement }) => `${protocol} ${first}-${last} ${judgement.verdict}`),
  ).toEqual([
    "tcp 1-442 dropped",
    "tcp 443-443 accepted",
    "tcp 444-7999 dropped",
    "tcp 8000-8010 accepted",
    "tcp 8011-65535 dropped",
    "udp 1-65535 dropped",
    "icmp 0-65535 dropped",
  ]);
});

const meta = (key: string) => ({ meta: { key } });
const ct = (key: string) => ({ ct: { key } });
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const SERVICE = { concat: [DADDR, meta("l4proto"), payload("th", "dport")] };
const PING = { address: PACKET.address, protocol: "icmp", isLocal: false } as const;
const OVER_IPV6 = { ...PACKET, address: parseIpRange("2001:db8::7") };
const PING_OVER_IPV6 = { ...PING, address: OVER_IPV6.address };
const LOCAL = { ...PACKET, isLocal: true };
const UDP = { ...PACKET, protocol: "udp" } as const;

/** What a rule that accepts what it matches does with the packet, before a policy of drop. */
test.each<[FirstPacket, unknown, string]>([
  [PACKET, is(meta("l4proto"), "tcp"), "accepted"],
  [PACKET, is(meta("l4proto"), 6), "accepted"],
  [PACKET, is(meta("l4proto"), { set: ["udp", "tcp"] }), "accepted"],
  [PACKET, is(meta("l4proto"), "udp"), "dropped"],
  [PACKET, is(meta("l4proto"), "tcp", "!="), "dropped"],
  [UDP, is(meta("l4proto"), "udp"), "accepted"],
  [UDP, is(meta("l4proto"), "tcp", "!="), "accepted"],
  [PACKET, is(meta("l4proto"), "sctp"), "unknown"],
  [PING, is(meta("l4proto"), "icmp"), "accepted"],
  [PING, is(meta("l4proto"), "ipv6-icmp"), "dropped"],
  [PING_OVER_IPV6, is(meta("l4proto"), "ipv6-icmp"), "accepted"],
  [PING_OVER_IPV6, is(meta("l4proto"), "icmpv6"), "accepted"],
  [PING_OVER_IPV6, is(meta("l4proto"), "icmp"), "dropped"],
  [PACKET, is(meta("nfproto"), "ipv4"), "accepted"],
  [PACKET, is(meta("nfproto"), "ipv6"), "dropped"],
  [PACKET, is(meta("nfproto"), 2), "unknown"],
  [OVER_IPV6, is(meta("nfproto"), "ipv6"), "accepted"],
  [PACKET, is(meta("mark"), 0), "accepted"],
  [PACKET, is(meta("mark"), 7), "dropped"],
  [PACKET, is(meta("skuid"), 0), "unknown"],
  [PACKET, is(ct("state"), "new", "in"), "accepted"],
  [PACKET, is(ct("state"), ["established", "new"], "in"), "accepted"],
  [PACKET, is(ct("state"), ["established", "related"], "in"), "dropped"],
  [PACKET, is(ct("direction"), "original"), "accepted"],
  [PACKET, is(ct("direction"), "reply"), "dropped"],
  [PACKET, is(ct("mark"), { set: [0, 5] }), "accepted"],
  [PACKET, is(ct("mark"), 5), "dropped"],
  [PACKET, is(ct("mark"), 0, "in"), "unknown"],
  [PACKET, is(ct("expiration"), 0), "unknown"],
  [PACKET, is(meta("oifname"), "lo"), "dropped"],
  [PACKET, is(meta("oifname"), "eth0"), "unknown"],
  [PACKET, is(meta("oifname"), "l*"), "unknown"],
  [LOCAL, is(meta("oifname"), "lo"), "accepted"],
  [LOCAL, is(meta("oifname"), "eth0"), "dropped"],
  [LOCAL, is(meta("oifname"), "l*"), "unknown"],
  [PACKET, is(DPORT, 443), "accepted"],
  [PACKET, is(DPORT, { range: [440, 443] }), "accepted"],
  [PACKET, is(DPORT, { range: [443, 450] }), "accepted"],
  [PACKET, is(DPORT, { range: [444, 450] }), "dropped"],
  [PACKET, is(DPORT, { range: [440, 442] }), "dropped"],
  [PACKET, is(DPORT, { range: [440, 443, 450] }), "unknown"],
  [PACKET, is(payload("th", "dport"), 443), "accepted"],
  [PING, is(payload("th", "dport"), 443), "unknown"],
  [PACKET, is(payload("udp", "dport"), 443), "dropped"],
  [PACKET, is(payload("udp", "dport"), 443, "!="), "dropped"],
  [UDP, is(payload("udp", "dport"), 443), "accepted"],
  [PACKET, is(payload("tcp", "sport"), 443), "unknown"],
  [PACKET, is(payload("ip", "saddr"), "198.51.100.7"), "unknown"],
  [PACKET, is(DADDR, "198.51.100.7"), "accepted"],
  [PACKET, is(DADDR, "198.51.100.7", "!="), "dropped"],
  [PACKET, is(DADDR, "198.51.100.8", "!="), "accepted"],
  [PACKET, is(DADDR, { prefix: { addr: "198.51.100.0", len: 24 } }), "accepted"],
  [PACKET, is(DADDR, { range: ["198.51.100.8", "198.51.100.9"] }), "dropped"],
  [PACKET, is(DADDR, { range: ["198.51.100.1", "198.51.100.6"] }), "dropped"],
  [PACKET, is(DADDR, "2001:db8::7"), "dropped"],
  [PACKET, is(payload("ip6", "daddr"), "2001:db8::7"), "dropped"],
  [OVER_IPV6, is(payload("ip6", "daddr"), "2001:db8::7"), "accepted"],
  [OVER_IPV6, is(DADDR, "198.51.100.7"), "dropped"],
  [PING, is(payload("icmp", "type"), "echo-request"), "accepted"],
  [PING, is(payload("icmp", "type"), 8), "accepted"],
  [PING, is(payload("icmp", "type"), 0), "dropped"],
  [PING, is(payload("icmp", "type"), "echo-reply"), "dropped"],
  [PING, is(payload("icmp", "code"), 0), "unknown"],
  [PING, is(payload("icmpv6", "type"), "echo-request"), "dropped"],
  [PING_OVER_IPV6, is(payload("icmpv6", "type"), 128), "accepted"],
  [PING_OVER_IPV6, is(payload("icmp", "type"), 8), "dropped"],
  [PACKET, is(payload("icmp", "type"), 8), "dropped"],
  [PACKET, is(payload("sctp", "dport"), 443), "unknown"],
  [PACKET, is({ "ip option": { name: "lsrr" } }, true), "dropped"],
  [PACKET, is({ "ip option": { name: "lsrr" } }, false), "accepted"],
  [PACKET, is({ "ip option": { name: "lsrr", field: "ptr" } }, true), "unknown"],
  [PACKET, is({ exthdr: { name: "rt" } }, true), "dropped"],
  [PACKET, is({ exthdr: { name: "rt" } }, true, "!="), "unknown"],
  [PACKET, is(SERVICE, { set: [{ concat: ["198.51.100.7", "tcp", 443] }] }), "accepted"],
  [PACKET, is(SERVICE, { set: [{ concat: ["198.51.100.7", 6, { range: [1, 500] }] }] }), "accepted"],
  [PACKET, is(SERVICE, { set: [{ concat: ["198.51.100.7", "udp", 443] }] }), "dropped"],
  [PACKET, is(SERVICE, { set: [{ concat: ["198.51.100.7", "tcp"] }] }), "unknown"],
  [PACKET, is(SERVICE, { set: ["?", { concat: ["198.51.100.7", "tcp", 443] }] }), "accepted"],
  [PACKET, is(DADDR, "@addresses"), "accepted"],
  [PACKET, is(DADDR, "@addresses", "!="), "dropped"],
  [{ ...PACKET, address: parseIpRange("10.0.0.1") }, is(DADDR, "@addresses"), "dropped"],
  [{ ...PACKET, address: parseIpRange("10.0.0.1") }, is(DADDR, "@addresses", "!="), "accepted"],
  [{ ...PACKET, address: parseIpRange("203.0.113.200") }, is(DADDR, "@addresses"), "accepted"],
  [{ ...PACKET, address: parseIpRange("192.0.2.1") }, is(DADDR, "@addresses"), "accepted"],
  [PACKET, is(DADDR, "@strange"), "unknown"],
  [{ ...PACKET, address: parseIpRange("10.0.0.9") }, is(DADDR, "@strange"), "accepted"],
])("%o before a rule that accepts %j", (packet, match, verdict) => {
  const place = { family: "inet", table: "t" };
  const addresses = [{ prefix: { addr: "203.0.113.0", len: 24 } }, "192.0.2.1", "198.51.100.7"];
  const sets = [
    { set: { ...place, name: "addresses", elem: addresses } },
    { set: { ...place, name: "strange", elem: ["10.0.0.9", { jhash: {} }] } },
  ];
  expect(judgePacket(rulesetOf([[match, ACCEPT]], [], sets), packet).verdict).toBe(verdict);
});

test.each([
  [{ concat: ["198.51.100.7", "tcp", { range: [440, 450] }] }, "198.51.100.7 . tcp . 440-450"],
  [{ concat: [{ prefix: { addr: "198.51.100.0", len: 24 } }, "tcp", 443] }, "198.51.100.0/24 . tcp . 443"],
])("the element %j is named as nft writes it", (listed, element) => {
  const set = { set: { family: "inet", table: "t", name: "s", elem: [listed] } };
  const { trail } = judgePacket(rulesetOf([[is(SERVICE, "@s"), ACCEPT]], [], [set]), PACKET);
  expect(trail.flatMap(({ found }) => found)).toEqual([{ set: "s", element }]);
});

test("packet marks and connection marks are two things, and what else is set is not understood", () => {
  const setMark = (key: object, value: unknown) => ({ mangle: { key, value } });
  const seen = (set: unknown, sees: unknown) => verdictOf(rulesetOf([[set], [sees, ACCEPT]]));
  expect(seen(setMark(meta("mark"), 7), is(meta("mark"), 7))).toBe("accepted");
  expect(seen(setMark(meta("mark"), 7), is(ct("mark"), 7))).toBe("dropped");
  expect(seen(setMark(ct("mark"), 7), is(ct("mark"), 7))).toBe("accepted");
  expect(seen(setMark(ct("mark"), 7), is(meta("mark"), 7))).toBe("dropped");
  expect(seen(setMark(ct("mark"), "7"), ACCEPT)).toBe("unknown");
  expect(seen(setMark(meta("priority"), 7), ACCEPT)).toBe("unknown");
});

test("base chains have their say by priority, in every table of the packet's family", () => {
  const table = (family: string, name: string, priority: number, policy: string) => [
    { table: { family, name } },
    { chain: { family, table: name, name: "c", type: "filter", hook: "output", prio: priority, policy } },
  ];
  const trailOf = (more: object[]) =>
    judgePacket(rulesetOf([[ACCEPT]], [], more), PACKET).trail.map((rule) => rule.table);
  expect(trailOf([...table("ip", "late", 10, "accept"), ...table("ip", "early", -10, "accept")])).toEqual([
    "early",
    "t",
    "late",
  ]);
  expect(trailOf(table("ip", "early", -10, "drop"))).toEqual(["early"]);
  expect(trailOf(table("ip6", "other", -10, "drop"))).toEqual(["t"]);
  const strange = rulesetOf([], [], [], { ...OUTPUT, policy: "queue" });
  expect(judgePacket(strange, PACKET)).toMatchObject({ verdict: "unknown", reason: "policy queue" });
});

test("a rule that was left without a verdict leaves no trace on the way", () => {
  const jumps = [[{ jump: { target: "other" } }], [ACCEPT]];
  expect(judgePacket(rulesetOf(jumps, [[is(DPORT, 80), DROP]]), PACKET).trail).toEqual([
    { table: "t", chain: "output", handle: 2, found: [] },
  ]);
});
