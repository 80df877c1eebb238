import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { destinations } from "../testing/arbitrary-policies.ts";
import { kernelJson, type ListedObject, listedObjects } from "../testing/kernel-json.ts";
import { GOLDENS, UP, WITH_RESOLVER } from "../testing/sample-policies.ts";
import { pieceElement } from "./elements.ts";
import {
  differingObjects,
  expectedListing,
  listPiece,
  parseListedPiece,
  readListing,
  sameListing,
} from "./listing.ts";
import { permanentPieces } from "./pieces.ts";

describe("readListing", () => {
  test.each(GOLDENS)("$golden: what the kernel numbers and counts does not matter", ({ policy, mode }) => {
    const expected = expectedListing(policy, mode);
    expect(sameListing(expected, readListing(kernelJson(listedObjects(policy, mode))))).toBe(true);
  });

  test("an empty kernel lists nothing", () => {
    expect(readListing('{"nftables": [{"metainfo": {"version": "1.0.6"}}]}')).toEqual([]);
  });

  test.each([
    ["", "Unexpected end of JSON input"],
    ["nft: command not found", "Unexpected token"],
    ["{}", "nft printed JSON without a list of objects"],
    ["[]", "nft printed JSON without a list of objects"],
    ["null", "nft printed JSON without a list of objects"],
    ['{"nftables": {}}', "nft printed JSON without a list of objects"],
    ['{"nftables": ["rule"]}', "nft printed JSON without a list of objects"],
    ['{"nftables": [null]}', "nft printed JSON without a list of objects"],
    ['{"nftables": [[null]]}', "nft printed JSON without a list of objects"],
    ['{"nftables": [{"rule": null}]}', "nft printed JSON without a list of objects"],
    ['{"nftables": [{"rule": "accept"}]}', "nft printed JSON without a list of objects"],
  ])("%j is not a listing", (json, message) => {
    expect(() => readListing(json)).toThrow(message);
  });

  test.each<[string, ListedObject, ListedObject]>([
    ["the order of an object's keys", { set: { name: "x", type: "t" } }, { set: { type: "t", name: "x" } }],
    ["a range in pieces", permanent(["10.0.0.0", "10.0.0.1"]), permanent([prefix("10.0.0.0", 31)])],
    ["the order of elements", permanent(["10.0.0.9", "10.0.0.1"]), permanent(["10.0.0.1", "10.0.0.9"])],
    ["the order of the values of an anonymous set", portRule([443, 80]), portRule([80, 443])],
    ["what a resolver learned", timed({ elem: ["10.0.0.9"] }), timed({})],
    ["the flag dynamic, which old nft does not list", timed({ flags: ["dynamic", "timeout"] }), timed({})],
    ["tcp as a number, where /etc/protocols is missing", metaRule("l4proto", 6), metaRule("l4proto", "tcp")],
    ["udp as a number", metaRule("l4proto", 17, "!="), metaRule("l4proto", "udp", "!=")],
    [
      "a protocol as a number in an element",
      permanent([{ concat: ["10.0.0.1", 6, 443] }, { concat: ["10.0.0.1", 17, 443] }]),
      permanent([{ concat: ["10.0.0.1", "udp", 443] }, { concat: ["10.0.0.1", "tcp", 443] }]),
    ],
    [
      "what of a timed set has not ended",
      permanent([{ elem: { val: "10.0.0.1", timeout: 9, expires: 8 } }], ["interval", "timeout"]),
      permanent([], ["interval", "timeout"]),
    ],
    ["the value of a counter", { counter: { name: "x", packets: 1, bytes: 2 } }, { counter: { name: "x" } }],
  ])("%s does not matter", (_, one, other) => {
    expect(readListing(kernelJson([one]))).toEqual(readListing(kernelJson([other])));
  });

  test.each<[string, ListedObject, ListedObject]>([
    [
      "an element with a timeout",
      permanent([{ elem: { val: "10.0.0.1", timeout: 9 } }]),
      permanent(["10.0.0.1"]),
    ],
    [
      "an element with a comment",
      permanent([{ elem: { val: "10.0.0.1", comment: "" } }]),
      permanent(["10.0.0.1"]),
    ],
    ["a permanent set made a timed one", timed({ flags: ["interval", "timeout"] }), timed({})],
    ["a set whose default timeout has another length", timed({ timeout: 31 }), timed({})],
    ["a set that is a map", { map: { ...timed({}).set } }, timed({})],
    ["a set's size", timed({ size: 1 }), timed({})],
    ["a set's garbage collection", timed({ "gc-interval": 1 }), timed({})],
    ["a set's policy", timed({ policy: "memory" }), timed({})],
    ["a statement of a set", timed({ stmt: [{ counter: null }] }), timed({})],
    ["a table that is dormant", { table: { name: "x", flags: ["dormant"] } }, { table: { name: "x" } }],
    ["a comment", { chain: { name: "x", comment: "y" } }, { chain: { name: "x" } }],
    ["a chain's device", { chain: { name: "x", dev: "eth0" } }, { chain: { name: "x" } }],
    [
      "the order of statements",
      rule([{ drop: null }, { accept: null }]),
      rule([{ accept: null }, { drop: null }]),
    ],
    ["the ends of a port range", portRule([{ range: [1, 9] }]), portRule([{ range: [9, 1] }])],
    ["another protocol", metaRule("l4proto", 17), metaRule("l4proto", "tcp")],
    [
      "port 6",
      permanent([{ concat: ["10.0.0.1", "tcp", 6] }]),
      permanent([{ concat: ["10.0.0.1", "tcp", "tcp"] }]),
    ],
    [
      "what an element is put together from",
      permanent([{ concat: ["10.0.0.1", "tcp", 443] }]),
      permanent([{ concat: ["tcp", "10.0.0.1", 443] }]),
    ],
    ["a set that has no end", permanent([], ["interval", "timeout"]), permanent([])],
    ["all protocols but tcp", metaRule("l4proto", 6, "!="), metaRule("l4proto", "tcp")],
    ["tcp among others", metaRule("l4proto", { set: [6, 17] }), metaRule("l4proto", "tcp")],
    ["a 6 that is no protocol", metaRule("mark", 6), metaRule("mark", "tcp")],
    ["a rule's own counter", rule([{ counter: { packets: 0, bytes: 0 } }]), rule([])],
    [
      "a count as a value to match",
      rule([{ match: { left: 1, packets: 1 } }]),
      rule([{ match: { left: 1 } }]),
    ],
    ["a rule's comment", { rule: { ...rule([]).rule, comment: "x" } }, rule([])],
    ["a second kind in one object", { rule: {}, quota: {} }, { rule: {} }],
  ])("%s matters", (_, one, other) => {
    expect(readListing(kernelJson([one]))).not.toEqual(readListing(kernelJson([other])));
  });
});

describe("parseListedPiece", () => {
  test.each<[unknown, string]>([
    ["10.0.0.1", "10.0.0.1"],
    [prefix("2001:db8::", 32), "2001:db8::/32"],
    [{ range: ["10.0.0.1", "10.0.0.2"] }, "10.0.0.1-10.0.0.2"],
    [{ concat: ["10.0.0.1", "tcp", 443] }, "10.0.0.1 . tcp . 443"],
    [{ concat: ["10.0.0.1", 6, 443] }, "10.0.0.1 . tcp . 443"],
    [{ concat: [prefix("10.0.0.0", 8), 17, { range: [1, 65535] }] }, "10.0.0.0/8 . udp . 1-65535"],
  ])("reads %j", (element, text) => {
    const piece = parseListedPiece(element);
    expect(piece && pieceElement(piece).text).toBe(text);
  });

  test.each([
    "ipv4",
    "",
    null,
    undefined,
    443,
    {},
    { concat: "10.0.0.1" },
    { concat: ["10.0.0.1", "tcp"] },
    { concat: ["10.0.0.1", "tcp", 443, 1] },
    { concat: ["10.0.0.1", "icmp", 443] },
    { concat: ["10.0.0.1", 1, 443] },
    { concat: ["tcp", "10.0.0.1", 443] },
    { concat: ["10.0.0.1", "tcp", "https"] },
    { concat: ["10.0.0.1", "tcp", { range: [1] }] },
    { concat: ["10.0.0.1", "tcp", { range: [1, "9"] }] },
    { concat: ["10.0.0.1", "tcp", null] },
  ])("%j is none", (element) => {
    expect(parseListedPiece(element)).toBeUndefined();
  });

  test("reads back what listPiece wrote", () => {
    fc.assert(
      fc.property(destinations(), (entries) => {
        const { everyPort, somePorts } = permanentPieces(entries);
        for (const piece of [...everyPort, ...somePorts])
          expect(parseListedPiece(listPiece(piece))).toEqual(piece);
      }),
    );
  });
});

describe("sameListing and differingObjects", () => {
  const expected = expectedListing(WITH_RESOLVER, UP);
  const rules = expected.filter((line) => line.startsWith('{"rule":'));

  test("objects other than rules may come in any order", () => {
    const others = expected.filter((line) => !rules.includes(line));
    const shuffled = [...others.toReversed(), ...rules];
    expect(sameListing(expected, shuffled)).toBe(true);
    expect(differingObjects(expected, shuffled)).toEqual([]);
  });

  test("chains may come in any order, with their rules", () => {
    const chainOf = (line: string) => (JSON.parse(line) as ListedObject).rule?.chain;
    const [first, ...others] = [...new Set(rules.map(chainOf))];
    const [moved, stayed] = [first, undefined].map((chain) =>
      rules.filter((line) =>
        chain === undefined ? others.includes(chainOf(line)) : chainOf(line) === chain,
      ),
    );
    const reordered = [
      ...expected.filter((line) => !rules.includes(line)),
      ...(stayed ?? []),
      ...(moved ?? []),
    ];
    expect(reordered).not.toEqual(expected);
    expect(sameListing(expected, reordered)).toBe(true);
  });

  test.each([
    {
      what: "a rule taken away",
      changed: expected.filter((line) => line !== rules.at(-1)),
      named: ["chain input"],
    },
    { what: "a rule doubled", changed: [...expected, rules.at(-1) ?? ""], named: ["chain input"] },
    {
      what: "two rules swapped",
      changed: [...expected.slice(0, -2), ...expected.slice(-2).reverse()],
      named: ["chain input"],
    },
    {
      what: "a set taken away",
      changed: expected.filter((line) => !line.includes("private_v4")),
      named: ["set private_v4", "chain output"],
    },
    {
      what: "a table of someone else",
      changed: [...expected, '{"table":{"family":"ip","name":"nat"}}'],
      named: ['table "nat"'],
    },
    {
      what: "a chain of someone else",
      changed: [...expected, '{"chain":{"family":"ip","name":"output","table":"nat"}}'],
      named: ['chain output of table "nat"'],
    },
    {
      what: "nothing there",
      changed: [],
      named: expect.arrayContaining(["table terok_shield", "chain output"]),
    },
  ])("$what is named", ({ changed, named }) => {
    expect(sameListing(expected, changed)).toBe(false);
    expect(differingObjects(expected, changed)).toEqual(named);
  });
});

function permanent(elem: unknown[], flags: readonly string[] = ["interval"]): ListedObject {
  return { set: { name: "x", table: "y", type: "ipv4_addr", flags, elem } };
}

function timed(changes: Record<string, unknown>): ListedObject {
  return {
    set: { name: "x", table: "y", type: "ipv4_addr", size: 9, flags: ["timeout"], timeout: 30, ...changes },
  };
}

function rule(expr: unknown[]): ListedObject {
  return { rule: { table: "y", chain: "x", expr } };
}

function portRule(set: unknown[]): ListedObject {
  return rule([
    { match: { op: "==", left: { payload: { protocol: "tcp", field: "dport" } }, right: { set } } },
  ]);
}

function metaRule(key: string, right: unknown, op = "=="): ListedObject {
  return rule([{ match: { op, left: { meta: { key } }, right } }]);
}

function prefix(addr: string, len: number): object {
  return { prefix: { addr, len } };
}
