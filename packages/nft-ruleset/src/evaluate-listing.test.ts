import { expect, test } from "vitest";
import { judgeEveryPort, judgePacket, readListedRuleset } from "./evaluate-listing.ts";
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
