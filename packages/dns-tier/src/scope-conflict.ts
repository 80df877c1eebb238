import { assertDomainName } from "./domain-name.ts";
import { domainsOf, findParent, type NamePolicy, scopesBelow, scopesOfName } from "./name-policy.ts";

/** What of a policy dnsmasq cannot carry out. */
export type ScopeConflict =
  /** The name and the names below it are open in different scopes, which dnsmasq cannot tell apart. */
  | {
      readonly kind: "below";
      readonly name: string;
      readonly scopes: readonly number[];
      readonly scopesBelow: readonly number[];
    }
  /** The name, or those below it, have more scopes than fit into a line. */
  | { readonly kind: "many"; readonly name: string; readonly scopes: readonly number[] };

/** The most scopes that one name may have. */
export const MOST_SCOPES = 8;

/** Finds the first conflict, by name; `renderDnsmasqConfig` throws where this finds one. */
export function findScopeConflict(policy: NamePolicy): ScopeConflict | undefined {
  for (const name of domainsOf(policy)) {
    const scopes = scopesOfName(policy, name);
    const below = scopesBelow(policy, name);
    if (scopes.length > 0 && below.length > 0 && !sameScopes(scopes, below)) {
      return { kind: "below", name, scopes, scopesBelow: below };
    }
    const most = scopes.length > 0 ? scopes : below;
    if (most.length > MOST_SCOPES) return { kind: "many", name, scopes: most };
  }
  return undefined;
}

/** A domain, and the scopes of its own name and of all below it that no longer domain ends. */
export interface ScopedDomain {
  readonly domain: string;
  readonly scopes: readonly number[];
}

/**
 * The domains that differ in scope from what is around them, where all names are in scope 0.
 * @throws Error when there is a scope conflict or a name that is not canonical.
 */
export function scopedDomains(policy: NamePolicy): ScopedDomain[] {
  const conflict = findScopeConflict(policy);
  if (conflict !== undefined) {
    throw new Error(`the scopes of ${conflict.name} (${conflict.scopes.join(", ")}) cannot be kept apart`);
  }
  const scoped = new Map<string, readonly number[]>();
  const parentsFirst = domainsOf(policy).sort((left, right) => left.length - right.length);
  for (const domain of parentsFirst) {
    assertDomainName(domain);
    const own = scopesOfName(policy, domain);
    const scopes = own.length > 0 ? own : scopesBelow(policy, domain);
    const parent = findParent(domain, scoped);
    const around = parent === undefined ? [0] : (scoped.get(parent) ?? []);
    if (scopes.length > 0 && !sameScopes(scopes, around)) scoped.set(domain, scopes);
  }
  return [...scoped].map(([domain, scopes]) => ({ domain, scopes }));
}

function sameScopes(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((scope, index) => scope === right[index]);
}
