import { expect, test } from "vitest";
import { NOTHING_ALLOWED, to, WITH_LEASES } from "../testing/sample-policies.ts";
import { areaOf } from "./port-area.ts";
import { planRuleset, type RuleChain } from "./ruleset.ts";
import { accept } from "./statement.ts";
import { isWithinLimits, MOST_EDITS, roomForEdits } from "./transaction-room.ts";

/** A chain of one rule, of statements that long. */
const chainOf = (...lengths: readonly number[]): RuleChain => ({
  name: "output",
  rules: [lengths.map((length) => ({ ...accept, text: "x".repeat(length) }))],
});

// 210 000 bytes: 7 a letter of rules (50 more letters a chain, one a statement), 300 a set, 82 an edit.
test.each([
  { what: "nothing", chains: [], sets: 0, room: MOST_EDITS },
  { what: "a short rule", chains: [chainOf(6)], sets: 0, room: MOST_EDITS },
  { what: "a long rule", chains: [chainOf(20_000)], sets: 0, room: 849 },
  { what: "a long rule and sets", chains: [chainOf(20_000)], sets: 10, room: 812 },
  {
    what: "as many letters in many statements",
    chains: [chainOf(...Array(2000).fill(10))],
    sets: 0,
    room: 678,
  },
  { what: "as many letters in many chains", chains: Array(200).fill(chainOf(100)), sets: 0, room: 0 },
  { what: "more than a message holds", chains: [chainOf(40_000)], sets: 0, room: 0 },
  { what: "many sets", chains: [], sets: 400, room: 1097 },
])("a transaction that brings $what has room for $room edits", ({ chains, sets, room }) => {
  const [set] = planRuleset(NOTHING_ALLOWED, { kind: "up" }).sets;
  if (set === undefined) throw new Error("there are no sets");
  expect(roomForEdits(chains, Array(sets).fill(set))).toBe(room);
});

test("a policy has limits in the ports that names open, and none in its addresses", () => {
  const scopes = (count: number) =>
    Array.from({ length: count }, (_, id) => ({ id: id + 1, area: areaOf({ first: id + 1, last: id + 1 }) }));
  const withScopes = (count: number) => ({
    ...WITH_LEASES,
    learned: {
      ...WITH_LEASES.learned,
      kind: "by-resolver" as const,
      timeoutSeconds: 60,
      queryGeneration: 1,
      flowGeneration: 1,
      scopes: scopes(count),
    },
  });
  expect(isWithinLimits(withScopes(10))).toBe(true);
  expect(isWithinLimits(withScopes(500))).toBe(false);
  const allow = Array.from({ length: 5000 }, (_, index) => to(`2001:db8:${index.toString(16)}::1`));
  expect(isWithinLimits({ ...NOTHING_ALLOWED, allow })).toBe(true);
});
