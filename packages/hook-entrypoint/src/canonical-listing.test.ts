import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalListing, sortLines } from "./canonical-listing.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

const listing = (...objects: unknown[]) => JSON.stringify({ nftables: objects });
const table = { table: { family: "inet", name: "terok_shield", handle: 1 } };
const rule = (handle: number, ...expr: unknown[]) => ({
  rule: { family: "inet", table: "terok_shield", chain: "output", handle, expr },
});
const accept = { accept: null };
const drop = { drop: null };

test("a listing becomes lines: the rules in their order, then the rest by name", () => {
  const json = listing(
    { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
    table,
    {
      set: {
        family: "inet",
        name: "deny_v4",
        table: "terok_shield",
        type: "ipv4_addr",
        handle: 3,
        flags: ["interval"],
      },
    },
    {
      chain: {
        family: "inet",
        table: "terok_shield",
        name: "output",
        handle: 2,
        hook: "output",
        prio: 0,
        policy: "drop",
      },
    },
    rule(7, drop),
    rule(5, { counter: { packets: 12, bytes: 840 } }, accept),
  );
  expect(canonicalListing(json)).toEqual([
    '{"rule":{"chain":"output","expr":[{"drop":null}],"family":"inet","table":"terok_shield"}}',
    '{"rule":{"chain":"output","expr":[{"counter":{}},{"accept":null}],"family":"inet","table":"terok_shield"}}',
    '{"chain":{"family":"inet","hook":"output","name":"output","policy":"drop","prio":0,"table":"terok_shield"}}',
    '{"set":{"family":"inet","flags":["interval"],"name":"deny_v4","table":"terok_shield","type":"ipv4_addr"}}',
    '{"table":{"family":"inet","name":"terok_shield"}}',
  ]);
});

const set = (change: object) => ({
  set: { family: "inet", name: "s", table: "t", type: "ipv4_addr", ...change },
});
const destinations = (...elements: unknown[][]) =>
  set({ flags: ["interval"], elem: elements.map((concat) => ({ concat })) });
const match = (right: unknown) => rule(1, { match: { op: "==", left: { ct: { key: "state" } }, right } });
const metaMatch = (key: string, right: unknown, op = "==") =>
  rule(1, { match: { op, left: { meta: { key } }, right } });

describe("is the same:", () => {
  test.each<[string, unknown[], unknown[]]>([
    ["a handle", [rule(1, accept)], [rule(2, accept)]],
    [
      "what a counter counted",
      [rule(1, { counter: { packets: 0, bytes: 0 } })],
      [rule(1, { counter: { packets: 9, bytes: 9 } })],
    ],
    ["the order of keys", [{ table: { a: 1, b: 2 } }], [{ table: { b: 2, a: 1 } }]],
    ["the order of sets", [set({ name: "a" }), set({ name: "b" })], [set({ name: "b" }), set({ name: "a" })]],
    [
      "the order of elements",
      [set({ elem: ["192.0.2.1", "192.0.2.2"] })],
      [set({ elem: ["192.0.2.2", "192.0.2.1"] })],
    ],
    [
      "the order of flags",
      [set({ flags: ["interval", "constant"] })],
      [set({ flags: ["constant", "interval"] })],
    ],
    ["the order of a match's values", [match(["new", "related"])], [match(["related", "new"])]],
    ["the order in an anonymous set", [match({ set: [22, 53] })], [match({ set: [53, 22] })]],
    [
      "what a timed set learned",
      [set({ flags: ["timeout"], timeout: 9, elem: ["192.0.2.1"] })],
      [set({ flags: ["timeout"], timeout: 9 })],
    ],
    [
      "what ends by itself in a set without a timeout for all",
      [
        set({
          flags: ["interval", "timeout"],
          elem: [{ elem: { val: { prefix: { addr: "192.0.2.0", len: 28 } }, timeout: 600, expires: 12 } }],
        }),
      ],
      [set({ flags: ["interval", "timeout"] })],
    ],
    [
      "the flag dynamic, which older nft leaves out of a timed set",
      [set({ timeout: 9, flags: ["timeout", "dynamic"] })],
      [set({ timeout: 9, flags: ["timeout"] })],
    ],
    [
      "tcp as a number, where /etc/protocols is missing",
      [metaMatch("l4proto", 6)],
      [metaMatch("l4proto", "tcp")],
    ],
    ["udp as a number", [metaMatch("l4proto", 17, "!=")], [metaMatch("l4proto", "udp", "!=")]],
    [
      "the protocol of a destination as a number",
      [destinations(["192.0.2.1", 6, 443], ["192.0.2.1", 17, 443])],
      [destinations(["192.0.2.1", "udp", 443], ["192.0.2.1", "tcp", 443])],
    ],
    [
      "the version of nft",
      [{ metainfo: { version: "1.0.6" } }, table],
      [{ metainfo: { version: "1.1.3" } }, table],
    ],
  ])("%s", (_, left, right) => {
    expect(canonicalListing(listing(...left))).toEqual(canonicalListing(listing(...right)));
  });
});

describe("is not the same:", () => {
  test.each<[string, unknown[], unknown[]]>([
    ["a rule more", [rule(1, accept)], [rule(1, accept), rule(2, accept)]],
    ["the order of rules", [rule(1, accept), rule(2, drop)], [rule(1, drop), rule(2, accept)]],
    ["the order in a rule", [rule(1, accept, drop)], [rule(1, drop, accept)]],
    ["a verdict", [rule(1, accept)], [rule(1, drop)]],
    ["a comment", [{ rule: { comment: "a" } }], [{ rule: { comment: "b" } }]],
    ["the policy of a chain", [{ chain: { policy: "drop" } }], [{ chain: { policy: "accept" } }]],
    ["the hook of a chain", [{ chain: { hook: "output" } }], [{ chain: {} }]],
    ["an element more", [set({ elem: ["192.0.2.1"] })], [set({ elem: ["192.0.2.1", "192.0.2.2"] })]],
    ["the ends of a range", [match({ range: [1, 9] })], [match({ range: [9, 1] })]],
    [
      "the timeout of a set",
      [set({ flags: ["timeout"], timeout: 9 })],
      [set({ flags: ["timeout"], timeout: 8 })],
    ],
    ["a flag", [set({ flags: ["interval", "timeout"] })], [set({ flags: ["timeout"] })]],
    ["the type of a timed set", [set({ flags: ["timeout"] })], [set({ flags: ["timeout"], type: "mark" })]],
    [
      "the order of a set's types",
      [set({ type: ["mark", "verdict"] })],
      [set({ type: ["verdict", "mark"] })],
    ],
    [
      "an element of a set whose timeout nobody can see to be one",
      [set({ timeout: 9, elem: ["192.0.2.1"] })],
      [set({ timeout: 9 })],
    ],
    [
      "the order in a destination",
      [destinations(["192.0.2.1", "tcp", 443])],
      [destinations(["tcp", "192.0.2.1", 443])],
    ],
    [
      "a port that is a protocol's number",
      [destinations(["192.0.2.1", "tcp", 17])],
      [destinations(["192.0.2.1", "tcp", "udp"])],
    ],
    [
      "the protocol of a destination",
      [destinations(["192.0.2.1", 6, 443])],
      [destinations(["192.0.2.1", "udp", 443])],
    ],
    [
      "the timeout of an element",
      [set({ elem: [{ elem: { val: "192.0.2.1", timeout: 9 } }] })],
      [set({ elem: ["192.0.2.1"] })],
    ],
    ["another protocol", [metaMatch("l4proto", 17)], [metaMatch("l4proto", "tcp")]],
    ["all protocols but tcp", [metaMatch("l4proto", 6, "!=")], [metaMatch("l4proto", "tcp")]],
    ["tcp among others", [metaMatch("l4proto", { set: [6, 17] })], [metaMatch("l4proto", "tcp")]],
    ["a 6 that is no protocol", [metaMatch("mark", 6)], [metaMatch("mark", "tcp")]],
    ["a table more", [table], [table, { table: { family: "ip", name: "other" } }]],
    ["an object that nft learned to list", [table], [table, { flowtable: { name: "f" } }]],
  ])("%s", (_, left, right) => {
    expect(canonicalListing(listing(...left))).not.toEqual(canonicalListing(listing(...right)));
  });
});

test.each([
  "",
  "table inet terok_shield {}",
  "null",
  "5",
  "[]",
  "{}",
  '{"nftables":null}',
  '{"nftables":{}}',
])("%j is no listing", (text) =>
  expect(() => canonicalListing(text)).toThrow(new ShieldRefusal("nft did not list the rules as JSON")),
);

test("an empty ruleset has no lines", () => {
  expect(canonicalListing(listing({ metainfo: {} }))).toEqual([]);
});

test("lines that were sorted once stay as they are, in whatever order the objects came", () => {
  const objects = fc.array(
    fc.dictionary(fc.constantFrom("rule", "set", "chain", "table"), fc.jsonValue(), {
      minKeys: 1,
      maxKeys: 1,
    }),
  );
  fc.assert(
    fc.property(objects, (list) => {
      const lines = canonicalListing(listing(...list));
      expect(sortLines(lines)).toEqual(lines);
      const others = list.filter((object) => !("rule" in object)).reverse();
      const rules = list.filter((object) => "rule" in object);
      expect(canonicalListing(listing(...others, ...rules))).toEqual(lines);
    }),
  );
});
