import fc from "fast-check";
import { expect, test } from "vitest";
import { domain, policyOf } from "../testing/name-policies.ts";
import { domainsOf, findParent, isNameOpen, type NamePolicy, scopesOfName } from "./name-policy.ts";
import { findScopeConflict, MOST_SCOPES, scopedDomains } from "./scope-conflict.ts";

test.each([
  ["an exact name and its own wildcard", { exact: ["good.test@1"], wildcards: ["good.test@2"] }],
  ["one of them on every port", { exact: ["good.test"], wildcards: ["good.test@2"] }],
  ["one of them with a scope more", { exact: ["good.test@1", "good.test@2"], wildcards: ["good.test@1"] }],
])("finds what dnsmasq cannot tell apart: %s", (_, lists) => {
  expect(findScopeConflict(policyOf(lists))).toMatchObject({ kind: "below", name: "good.test" });
});

test.each([
  [
    "an exact name under a wildcard",
    { exact: ["api.good.test@1"], wildcards: ["good.test@2"] },
    { kind: "below", name: "api.good.test", scopes: [1], scopesBelow: [2] },
  ],
  [
    "a wildcard under a wildcard, which opens its parent",
    { wildcards: ["good.test@1", "api.good.test@2"] },
    { kind: "below", name: "api.good.test", scopes: [1], scopesBelow: [2] },
  ],
  [
    "more scopes than a line can hold",
    { exact: Array.from({ length: MOST_SCOPES + 1 }, (_, scope) => `good.test@${scope}`) },
    { kind: "many", name: "good.test", scopes: [0, 1, 2, 3, 4, 5, 6, 7, 8] },
  ],
  [
    "more scopes than a line can hold, below a name",
    { wildcards: Array.from({ length: MOST_SCOPES + 1 }, (_, scope) => `good.test@${scope}`) },
    { kind: "many", name: "good.test", scopes: [0, 1, 2, 3, 4, 5, 6, 7, 8] },
  ],
])("names the place and the scopes: %s", (_, lists, conflict) => {
  expect(findScopeConflict(policyOf(lists))).toEqual(conflict);
  expect(() => scopedDomains(policyOf(lists))).toThrow(`the scopes of ${conflict.name}`);
});

test.each([
  ["the same scopes", { exact: ["good.test@2", "good.test@1"], wildcards: ["good.test@1", "good.test@2"] }],
  ["an exact name below another", { exact: ["good.test@1", "api.good.test@2"] }],
  ["a wildcard below an exact name", { exact: ["good.test@1"], wildcards: ["api.good.test@2"] }],
  ["neighbours", { exact: ["good.test@1", "verygood.test@2"], wildcards: ["od.test@3"] }],
  ["a closed name", { exact: ["good.test@1"], wildcards: ["good.test@2"], closedExact: ["good.test"] }],
  ["closed names below", { exact: ["good.test@1"], wildcards: ["test@2"], closedWildcards: ["good.test"] }],
  ["a wildcard whose parent is closed", { wildcards: ["test@1", "a.test@2"], closedExact: ["a.test"] }],
])("finds no fault with %s", (_, lists) => {
  expect(findScopeConflict(policyOf(lists))).toBeUndefined();
});

test.each([
  ["nothing for names on every port", { exact: ["a.test"], wildcards: ["b.test"] }, []],
  ["nothing for closed names", { exact: ["a.test@1"], closedExact: ["a.test", "b.test"] }, []],
  ["an exact name", { exact: ["a.test@1"] }, ["a.test 1"]],
  ["every scope of a name at once", { exact: ["a.test@2", "a.test@0"] }, ["a.test 0,2"]],
  ["a domain once, with its wildcard", { exact: ["a.test@1"], wildcards: ["a.test@1"] }, ["a.test 1"]],
  [
    "no name that is as what is around it",
    { exact: ["x.a.test@1"], wildcards: ["a.test@1"], closedExact: ["y.a.test"] },
    ["a.test 1"],
  ],
  [
    "a name that has every port again below one that has not",
    { exact: ["a.test@1", "b.a.test"] },
    ["a.test 1", "b.a.test 0"],
  ],
])("dnsmasq is told %s", (_, lists, expected) => {
  const told = scopedDomains(policyOf(lists)).map((one) => `${one.domain} ${one.scopes.join(",")}`);
  expect(told).toEqual(expected);
});

const scoped = fc.array(
  fc.tuple(domain, fc.constantFrom(0, 1, 2)).map(([name, scope]) => `${name}@${scope}`),
  { maxLength: 5 },
);
const scopedPolicy = fc
  .record({
    exact: scoped,
    wildcards: scoped,
    closedExact: fc.array(domain, { maxLength: 3 }),
    closedWildcards: fc.array(domain, { maxLength: 2 }),
  })
  .map(policyOf);

test("of any policy without conflict each open name learns into its own scopes, by the longest domain that ends it", () => {
  let checked = 0;
  fc.assert(
    fc.property(scopedPolicy, fc.array(domain), (policy, names) => {
      fc.pre(findScopeConflict(policy) === undefined);
      const near = domainsOf(policy).flatMap((one) => [one, `a.${one}`, `b.a.${one}`]);
      for (const name of [...near, ...names].filter((candidate) => isNameOpen(policy, candidate))) {
        expect(scopesByLongestDomain(policy, name)).toEqual(scopesOfName(policy, name));
        checked++;
      }
    }),
    { numRuns: 2000 },
  );
  expect(checked).toBeGreaterThan(5000);
});

function scopesByLongestDomain(policy: NamePolicy, name: string): readonly number[] {
  const lines = new Map(scopedDomains(policy).map((one) => [one.domain, one.scopes]));
  const longest = lines.has(name) ? name : findParent(name, lines);
  return longest === undefined ? [0] : (lines.get(longest) ?? []);
}
