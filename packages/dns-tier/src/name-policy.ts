/** Canonical names that policy opens and closes. A scope is the number of what an open name opens: which protocols and ports. */
export interface NamePolicy {
  /** Exactly these names. What stands here several times has all of its scopes. */
  readonly exact: readonly { readonly name: string; readonly scope: number }[];
  /** Every name below these, at any depth, and not these themselves: `wild.example` for `*.wild.example`. */
  readonly wildcards: readonly { readonly parent: string; readonly scope: number }[];
  /** Closed, whatever opens them. The names below them are as the rest of the policy says. */
  readonly closedExact: readonly string[];
  /** Every name below these is closed, whatever opens it. */
  readonly closedWildcards: readonly string[];
}

/** What a policy closes. */
export type ClosedNames = Pick<NamePolicy, "closedExact" | "closedWildcards">;

/** Markers are names below this one. dnsmasq answers for it alone, and no policy opens a name in it. */
export const MARKER_ZONE = "terok-shield.invalid";

/** True when dnsmasq forwards the name. */
export function isNameOpen(policy: NamePolicy, name: string): boolean {
  return scopesOfName(policy, name).length > 0;
}

/**
 * The scopes of a name, ascending; none when it is closed. Of the entries that open it the most specific one
 * decides, the exact one or else the longest wildcard: a caller who wants it to have the scope of a wider
 * wildcard too says so in its entry.
 */
export function scopesOfName(policy: NamePolicy, name: string): readonly number[] {
  const { exact } = indexOf(policy);
  return isNameClosed(policy, name) ? [] : (exact.get(name) ?? wildcardScopes(policy, name));
}

/** The scopes of the names below `domain` that no entry is about. */
export function scopesBelow(policy: NamePolicy, domain: string): readonly number[] {
  const { wildcards } = indexOf(policy);
  return isClosedBelow(policy, domain) ? [] : (wildcards.get(domain) ?? wildcardScopes(policy, domain));
}

/** True when the name is denied, which is not all that is not open. */
export function isNameClosed(closed: ClosedNames, name: string): boolean {
  const { closedExact, closedWildcards, longest } = indexOf(closed);
  return closedExact.has(name) || findParent(name, closedWildcards, longest) !== undefined;
}

/** True when every name below `domain` is denied. */
export function isClosedBelow(closed: ClosedNames, domain: string): boolean {
  const { closedWildcards, longest } = indexOf(closed);
  return closedWildcards.has(domain) || findParent(domain, closedWildcards, longest) !== undefined;
}

/**
 * The longest of `domains` that `name` is below: `b.c` rather than `c` for `a.b.c`.
 * @param longest the length that none of them exceeds: it spares a hostile name of a hundred labels most look-ups
 */
export function findParent(
  name: string,
  domains: Pick<ReadonlySet<string>, "has">,
  longest = name.length,
): string | undefined {
  const firstDot = name.indexOf(".", Math.max(0, name.length - longest - 1));
  for (let dot = firstDot; dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const parent = name.slice(dot + 1);
    if (domains.has(parent)) return parent;
  }
  return undefined;
}

/** Every domain that an entry of the policy names, sorted. */
export function domainsOf(policy: ClosedNames & Partial<NamePolicy>): string[] {
  const domains = [
    ...(policy.exact ?? []).map(({ name }) => name),
    ...(policy.wildcards ?? []).map(({ parent }) => parent),
    ...policy.closedExact,
    ...policy.closedWildcards,
  ];
  return [...new Set(domains)].filter((domain) => !isInMarkerZone(domain)).sort();
}

/** True for the zone of the markers and every name below it. */
export function isInMarkerZone(name: string): boolean {
  return name === MARKER_ZONE || name.endsWith(`.${MARKER_ZONE}`);
}

/** Those of the longest wildcard that covers the name. */
function wildcardScopes(policy: NamePolicy, name: string): readonly number[] {
  const { wildcards, longest } = indexOf(policy);
  const parent = findParent(name, wildcards, longest);
  return parent === undefined ? [] : (wildcards.get(parent) ?? []);
}

interface NameIndex {
  readonly exact: ReadonlyMap<string, readonly number[]>;
  readonly wildcards: ReadonlyMap<string, readonly number[]>;
  readonly closedExact: ReadonlySet<string>;
  readonly closedWildcards: ReadonlySet<string>;
  /** The length of the longest wildcard's parent. */
  readonly longest: number;
}

/** A policy is asked about each name of a log, so its lists are walked once. */
const indexes = new WeakMap<ClosedNames, NameIndex>();

function indexOf(policy: ClosedNames & Partial<NamePolicy>): NameIndex {
  const known = indexes.get(policy);
  if (known !== undefined) return known;
  const wildcards = scopesByDomain((policy.wildcards ?? []).map(({ parent, scope }) => [parent, scope]));
  const closedWildcards = new Set([...policy.closedWildcards, MARKER_ZONE]);
  const index = {
    exact: scopesByDomain((policy.exact ?? []).map(({ name, scope }) => [name, scope])),
    wildcards,
    closedExact: new Set([...policy.closedExact, MARKER_ZONE]),
    closedWildcards,
    longest: [...wildcards.keys(), ...closedWildcards].reduce(
      (most, { length }) => Math.max(most, length),
      0,
    ),
  };
  indexes.set(policy, index);
  return index;
}

function scopesByDomain(entries: readonly (readonly [string, number])[]): Map<string, readonly number[]> {
  const sets = new Map<string, Set<number>>();
  for (const [domain, scope] of entries) {
    const scopes = sets.get(domain);
    if (scopes === undefined) sets.set(domain, new Set([scope]));
    else scopes.add(scope);
  }
  return new Map([...sets].map(([domain, scopes]) => [domain, [...scopes].sort((a, b) => a - b)]));
}
