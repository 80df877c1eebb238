import {
  areaOf,
  EVERY_PORT,
  NO_PORT,
  type PortArea,
  renderArea,
  sameArea,
  subtractAreas,
  unionAreas,
} from "@terok-shield/nft-ruleset";
import type { AllowlistEntry, SourceLine } from "@terok-shield/profiles";
import type { ContainerState } from "./container-state.ts";
import { type Decision, lifts } from "./decision.ts";
import { compareLeaseEnds, type Lease } from "./lease.ts";

/** An entry of a profile, or a decision of an operator. */
export type Rule =
  | { readonly entry: AllowlistEntry; readonly source: SourceLine; readonly decision?: undefined }
  | { readonly entry: AllowlistEntry; readonly decision: Decision };

/** What one domain stands for: itself, or every name below it that no other rule names. */
export interface Point {
  readonly kind: "exact" | "below";
  readonly domain: string;
}

/** Ports that are open at a point for good, or, with a lease, as long as that lasts. */
export interface OpenPart {
  readonly area: PortArea;
  readonly lease?: Lease;
}

/** The rules about names, found by domain. */
export interface NameRules {
  readonly allow: RulesByDomain;
  readonly deny: RulesByDomain;
  /** Every domain that a rule names, exactly or as the parent of a wildcard. */
  readonly exact: ReadonlySet<string>;
  readonly parents: ReadonlySet<string>;
}

interface RulesByDomain {
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  readonly below: ReadonlyMap<string, readonly Rule[]>;
}

/** The rules of a state's entries and of all its decisions, whether their leases are over or not. */
export function indexNameRules({ entries, decisions }: ContainerState): NameRules {
  const decided = decisions.map((decision): Rule => ({ entry: decision.entry, decision }));
  const allow = groupByDomain([
    ...entries.map(({ source, ...entry }): Rule => ({ entry, source })),
    ...decided.filter(({ decision }) => decision?.verdict === "allow"),
  ]);
  const deny = groupByDomain(decided.filter(({ decision }) => decision?.verdict === "deny"));
  return {
    allow,
    deny,
    exact: new Set([...allow.exact.keys(), ...deny.exact.keys()].sort()),
    parents: new Set([...allow.below.keys(), ...deny.below.keys()].sort()),
  };
}

/**
 * What is open at a point: the permanent part first, then temporary parts that open more, the longest first.
 * Deny beats allow; a temporary allow puts its own permanent deny out of force.
 */
export function openParts(rules: NameRules, point: Point): readonly OpenPart[] {
  const allowing = rulesAt(rules.allow, point);
  if (allowing.length === 0) return [];
  const denying = rulesAt(rules.deny, point);
  const areaAllowedBy = (rule: Rule) =>
    subtractAreas(
      areaOf(rule.entry.ports),
      unionOf(denying.filter((deny) => !isLifted(deny, rule)).map(({ entry }) => areaOf(entry.ports))),
    );
  const permanent = allowing.filter((rule) => rule.decision?.lease === undefined).map(areaAllowedBy);
  let open = unionOf(permanent);
  const parts: OpenPart[] = sameArea(open, NO_PORT) ? [] : [{ area: open }];
  for (const { rule, lease } of allowing.flatMap(withLease).sort(longestFirst)) {
    const area = areaAllowedBy(rule);
    if (isWithin(area, open)) continue;
    parts.push({ area, lease });
    open = unionAreas(open, area);
  }
  return parts;
}

/** All that decisions deny at a point, lifted or not. */
export function deniedArea(rules: NameRules, point: Point): PortArea {
  return unionOf(rulesAt(rules.deny, point).map(({ entry }) => areaOf(entry.ports)));
}

/** True when no port is left at the point, nor at any below it, for whoever has no temporary allow of the same entry. */
export function isDeniedWholly(rules: NameRules, point: Point): boolean {
  return sameArea(deniedArea(rules, point), EVERY_PORT);
}

/** The rules that say something about a point. */
export function rulesAtPoint(rules: NameRules, point: Point): Rule[] {
  return [...rulesAt(rules.allow, point), ...rulesAt(rules.deny, point)];
}

/** Equal for parts that open the same for the same time. */
export function renderParts(parts: readonly OpenPart[]): string {
  return parts.map(renderPart).join("; ");
}

export function renderPart({ area, lease }: OpenPart): string {
  return lease === undefined
    ? renderArea(area)
    : `${renderArea(area)} until ${lease.bootId} ${lease.deadline}`;
}

export function areaOfParts(parts: readonly OpenPart[]): PortArea {
  return unionOf(parts.map(({ area }) => area));
}

export function isWithin(inner: PortArea, outer: PortArea): boolean {
  return sameArea(outer, EVERY_PORT) || sameArea(subtractAreas(inner, outer), NO_PORT);
}

/** The nearest of `parents` that the domain is below. */
export function nearestParent(domain: string, parents: ReadonlySet<string>): string | undefined {
  return domainsAbove(domain).find((parent) => parents.has(parent));
}

/** `b.c` and `c` for `a.b.c`. */
export function domainsAbove(domain: string): string[] {
  const above: string[] = [];
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    above.push(domain.slice(dot + 1));
  }
  return above;
}

function rulesAt(rules: RulesByDomain, { kind, domain }: Point): Rule[] {
  const parents = kind === "below" ? [domain, ...domainsAbove(domain)] : domainsAbove(domain);
  return [
    ...(kind === "exact" ? (rules.exact.get(domain) ?? []) : []),
    ...parents.flatMap((parent) => rules.below.get(parent) ?? []),
  ];
}

function groupByDomain(rules: readonly Rule[]): RulesByDomain {
  const exact = new Map<string, Rule[]>();
  const below = new Map<string, Rule[]>();
  for (const rule of rules) {
    const { entry } = rule;
    if (entry.kind === "name") exact.set(entry.name, [...(exact.get(entry.name) ?? []), rule]);
    if (entry.kind === "wildcard") below.set(entry.parent, [...(below.get(entry.parent) ?? []), rule]);
  }
  return { exact, below };
}

function isLifted(deny: Rule, allow: Rule): boolean {
  return allow.decision !== undefined && deny.decision !== undefined && lifts(allow.decision, deny.decision);
}

function withLease(rule: Rule): { rule: Rule; lease: Lease }[] {
  const lease = rule.decision?.lease;
  return lease === undefined ? [] : [{ rule, lease }];
}

function longestFirst(left: { lease: Lease }, right: { lease: Lease }): number {
  return compareLeaseEnds(right.lease, left.lease);
}

function unionOf(areas: readonly PortArea[]): PortArea {
  return areas.reduce(unionAreas, NO_PORT);
}
