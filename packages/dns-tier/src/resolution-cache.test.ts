import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFresh, parseResolutionCache, renderResolutionCache } from "./resolution-cache.ts";

const HOUR = 3_600_000;
const NOW = 1_800_000_000_000;

test.each([
  [0, true],
  [1, true],
  [HOUR - 1, true],
  [HOUR, false],
  [10 * HOUR, false],
  [-1, false],
])("an entry that is %d ms old is fresh: %j", (age, expected) => {
  expect(isFresh({ addresses: ["198.18.0.7"], resolvedAtMilliseconds: NOW - age }, NOW)).toBe(expected);
});

test("renders sorted names, and none that has no address", () => {
  const cache = new Map([
    ["b.test", { addresses: ["198.18.0.7"], resolvedAtMilliseconds: NOW }],
    ["none.test", { addresses: [], resolvedAtMilliseconds: NOW }],
    ["a.test", { addresses: ["2001:2::7"], resolvedAtMilliseconds: NOW }],
  ]);
  expect([...parseResolutionCache(renderResolutionCache(cache)).keys()]).toEqual(["a.test", "b.test"]);
});

test("reads back what it wrote", () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
  const resolution = fc.record({
    addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1 }),
    resolvedAtMilliseconds: fc.integer(),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(name, resolution)), (entries) => {
      const cache = new Map(entries);
      expect(new Map(parseResolutionCache(renderResolutionCache(cache)))).toEqual(cache);
    }),
  );
});

describe("a cache file counts as empty", () => {
  const entry = { name: "a.test", addresses: ["198.18.0.7"], resolvedAtMilliseconds: NOW };
  const good = { name: "b.test", addresses: ["198.18.0.8"], resolvedAtMilliseconds: NOW };

  test("unless all of it is right", () => {
    expect(parseResolutionCache(JSON.stringify({ v: 1, entries: [entry, good] })).size).toBe(2);
  });

  test.each([
    ["torn", '{"v":1,"entries":[{"na'],
    ["empty", ""],
    ["null", "null"],
    ["of another version", JSON.stringify({ v: 2, entries: [good] })],
    ["without entries", JSON.stringify({ v: 1 })],
    ["with entries that are no list", JSON.stringify({ v: 1, entries: { length: 1, 0: good } })],
    ["with a null entry", JSON.stringify({ v: 1, entries: [good, null] })],
    ["with a wrong name", JSON.stringify({ v: 1, entries: [good, { ...entry, name: "a b" }] })],
    [
      "with a hosts line for a name",
      JSON.stringify({ v: 1, entries: [{ ...entry, name: "a.test\n198.18.0.1 b.test" }] }),
    ],
    [
      "with a wrong address",
      JSON.stringify({ v: 1, entries: [good, { ...entry, addresses: ["198.18.0"] }] }),
    ],
    ["with no address", JSON.stringify({ v: 1, entries: [good, { ...entry, addresses: [] }] })],
    ["with a number for an address", JSON.stringify({ v: 1, entries: [{ ...entry, addresses: [7] }] })],
    [
      "with a time that is none",
      JSON.stringify({ v: 1, entries: [{ ...entry, resolvedAtMilliseconds: "now" }] }),
    ],
  ])("when it is %s", (_, text) => {
    expect(parseResolutionCache(text).size).toBe(0);
  });

  test("and never throws", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseResolutionCache(text)));
  });
});
