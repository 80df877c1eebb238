import fc from "fast-check";
import type { NamePolicy } from "../src/name-policy.ts";

export interface NameLists {
  readonly exact?: readonly string[];
  readonly wildcards?: readonly string[];
  readonly closedExact?: readonly string[];
  readonly closedWildcards?: readonly string[];
}

/** A policy of names that are open on every port, or in the scope that follows an @: `good.test@2`. */
export function policyOf({
  exact = [],
  wildcards = [],
  closedExact = [],
  closedWildcards = [],
}: NameLists): NamePolicy {
  const scoped = (text: string) => {
    const [domain = "", scope = "0"] = text.split("@");
    return { domain, scope: Number(scope) };
  };
  return {
    exact: exact.map(scoped).map(({ domain, scope }) => ({ name: domain, scope })),
    wildcards: wildcards.map(scoped).map(({ domain, scope }) => ({ parent: domain, scope })),
    closedExact,
    closedWildcards,
  };
}

/** Few labels, so that the domains of a policy nest and meet often. */
export const domain = fc
  .array(fc.constantFrom("a", "b", "ab", "ba", "test"), { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join("."));

/** Any mixture of open and closed names, in scope 0. */
export const anyPolicy = fc
  .record({
    exact: fc.array(domain, { maxLength: 6 }),
    wildcards: fc.array(domain, { maxLength: 6 }),
    closedExact: fc.array(domain, { maxLength: 4 }),
    closedWildcards: fc.array(domain, { maxLength: 3 }),
  })
  .map(policyOf);

/** What a policy means, said as plainly as can be. */
export function isOpenByDefinition(policy: NamePolicy, name: string): boolean {
  return (
    !isClosedByDefinition(policy, name) &&
    (policy.exact.some((entry) => entry.name === name) ||
      policy.wildcards.some(({ parent }) => name.endsWith(`.${parent}`)))
  );
}

/** The same for what it closes. */
export function isClosedByDefinition(
  { closedExact, closedWildcards }: Pick<NamePolicy, "closedExact" | "closedWildcards">,
  name: string,
): boolean {
  return closedExact.includes(name) || closedWildcards.some((parent) => name.endsWith(`.${parent}`));
}
