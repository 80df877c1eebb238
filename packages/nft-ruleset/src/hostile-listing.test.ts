import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { kernelJson, type ListedObject, listedObjects } from "../testing/kernel-json.ts";
import { DOWN_ALL_FOR, UP, WITH_LEASES, WITH_PORTS } from "../testing/sample-policies.ts";
import { judgeEveryPort, judgePacket, readListedRuleset } from "./evaluate-listing.ts";
import { parseIpRange } from "./ip-range.ts";
import { readListing } from "./listing.ts";
import { readLiveSets } from "./live-sets.ts";
import { readSetSizes } from "./set-sizes.ts";
import { readShieldState } from "./shield-state.ts";

const LISTED = [...listedObjects(WITH_LEASES, DOWN_ALL_FOR), ...listedObjects(WITH_PORTS, UP)];
const KEYS = [
  "family",
  "table",
  "name",
  "type",
  "hook",
  "prio",
  "policy",
  "chain",
  "expr",
  "elem",
  "flags",
  "handle",
];

/** Where there is text of nothing that nft prints, and objects with something else in some places. */
const anyListing = fc.oneof(
  anyText(),
  fc.json(),
  fc.array(fc.jsonValue()).map((nftables) => JSON.stringify({ nftables })),
  fc
    .array(
      fc
        .tuple(
          fc.constantFrom(...LISTED),
          fc.dictionary(fc.constantFrom(...KEYS), hostileValue(), { maxKeys: 2 }),
        )
        .map(([object, change]) => changed(object, change)),
      { maxLength: 12 },
    )
    .map((objects) => kernelJson(objects)),
);

function hostileValue(): fc.Arbitrary<unknown> {
  const statement = fc.constantFrom(
    "match",
    "set",
    "goto",
    "jump",
    "limit",
    "mangle",
    "reject",
    "accept",
    "counter",
  );
  const element = fc.constantFrom("elem", "prefix", "range", "concat", "val", "expires", "addr", "len");
  return fc.oneof(
    fc.jsonValue(),
    fc.array(fc.dictionary(statement, fc.jsonValue(), { maxKeys: 2 })),
    fc.array(
      fc.dictionary(element, fc.oneof(fc.jsonValue(), fc.constant(["10.0.0.1", 6, 443])), { maxKeys: 3 }),
    ),
  );
}

function changed(object: ListedObject, change: object): ListedObject {
  return Object.fromEntries(Object.entries(object).map(([kind, body]) => [kind, { ...body, ...change }]));
}

test("whatever is listed, the state is one that there is, and never up or down unless it is", () => {
  fc.assert(
    fc.property(anyListing, (listing) => {
      expect(["inactive", "error"]).toContain(readShieldState(listing, WITH_LEASES).kind);
    }),
    { numRuns: 300 },
  );
});

test("whatever is listed, what is read of it is right, or an Error says that it is no listing", () => {
  const packet = {
    address: parseIpRange("198.51.100.7"),
    protocol: "tcp",
    port: 443,
    isLocal: false,
  } as const;
  fc.assert(
    fc.property(anyListing, (listing) => {
      const lines = resultOf(() => readListing(listing));
      const live = resultOf(() => readLiveSets(listing));
      const sizes = resultOf(() => readSetSizes(listing));
      const ruleset = resultOf(() => readListedRuleset(listing));
      if (lines === undefined) return;
      for (const { packets, bytes } of Object.values(live?.counters ?? {})) {
        expect([packets, bytes].every((count) => Number.isSafeInteger(count) && count >= 0)).toBe(true);
      }
      for (const { elements } of sizes ?? []) expect(elements).toBeGreaterThanOrEqual(0);
      if (ruleset === undefined) return;
      expect(["accepted", "dropped", "rejected", "unknown"]).toContain(judgePacket(ruleset, packet).verdict);
      expect(judgeEveryPort(ruleset, packet).length).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
});

function resultOf<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}
