import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyPolicy, domain, isOpenByDefinition, policyOf } from "../testing/name-policies.ts";
import { isNameOpen, scopesBelow, scopesOfName } from "./name-policy.ts";

describe("the scopes of a name are", () => {
  const policy = policyOf({
    exact: ["good.test@1", "twice.test@3", "twice.test@2", "twice.test@3", "in.wild.test@4", "shut.test"],
    wildcards: ["wild.test@5", "narrow.wild.test@6", "shut.test@7", "secret.wild.test@8"],
    closedExact: ["shut.test", "bad.wild.test", "deep.bad.wild.test"],
    closedWildcards: ["secret.wild.test", "never.test"],
  });

  test.each([
    ["those of its own entry", "good.test", [1]],
    ["all of its own entries, ascending", "twice.test", [2, 3]],
    ["none below an exact name", "api.good.test", []],
    ["none of a name that only ends alike", "verygood.test", []],
    ["none of the parent of a wildcard", "wild.test", []],
    ["the wildcard's, at any depth", "c.b.a.wild.test", [5]],
    ["those of its own entry before the wildcard's", "in.wild.test", [4]],
    ["the wildcard's below an exact name that it covers", "x.in.wild.test", [5]],
    ["the longest wildcard's", "a.narrow.wild.test", [6]],
    ["the wider wildcard's of the parent of a narrower one", "narrow.wild.test", [5]],
    ["none of a closed name, whatever opens it", "shut.test", []],
    ["not touched below a closed exact name", "x.shut.test", [7]],
    ["none of a closed name under an open wildcard", "bad.wild.test", []],
    ["the wildcard's between two closed exact names", "x.bad.wild.test", [5]],
    ["none below a closed wildcard, even of a wildcard that is as long", "a.secret.wild.test", []],
    ["not touched by a closed wildcard on its parent", "secret.wild.test", [5]],
    ["none of what nobody opened", "a.never.test", []],
    ["none of no name", "", []],
  ] as const)("%s: %s", (_, name, scopes) => {
    expect(scopesOfName(policy, name)).toEqual(scopes);
    expect(isNameOpen(policy, name)).toBe(scopes.length > 0);
  });

  test.each([
    ["wild.test", [5]],
    ["narrow.wild.test", [6]],
    ["secret.wild.test", []],
    ["good.test", []],
    ["bad.wild.test", [5]],
    ["in.wild.test", [5]],
  ] as const)("those of the names below %s", (name, scopes) => {
    expect(scopesBelow(policy, name)).toEqual(scopes);
  });
});

test("no policy opens a name in the zone of the markers", () => {
  const greedy = policyOf({
    exact: ["terok-shield.invalid", "r1.terok-shield.invalid"],
    wildcards: ["invalid", "terok-shield.invalid"],
  });
  expect(isNameOpen(greedy, "other.invalid")).toBe(true);
  expect(isNameOpen(greedy, "notterok-shield.invalid")).toBe(true);
  for (const name of ["terok-shield.invalid", "r1.terok-shield.invalid", "a.b.terok-shield.invalid"]) {
    expect(isNameOpen(greedy, name)).toBe(false);
  }
});

test("any policy opens what one of its lists opens and none closes", () => {
  fc.assert(
    fc.property(anyPolicy, fc.array(domain), (policy, names) => {
      for (const name of names) expect(isNameOpen(policy, name)).toBe(isOpenByDefinition(policy, name));
    }),
    { numRuns: 1000 },
  );
});
