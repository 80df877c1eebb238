import type { ClosedNames, NamePolicy } from "@terok-shield/dns-tier";
import {
  coversRange,
  type Destination,
  type EgressPolicy,
  EVERY_PORT,
  type IpRange,
  type LearnedScope,
  type PortArea,
  type PortSpan,
  PRIVATE_RANGES,
  parseIpRange,
  type ShieldMode,
  sameArea,
  subtractRanges,
  type TimedDestination,
} from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, renderEntry } from "@terok-shield/profiles";
import type { ContainerMode, ContainerState } from "./container-state.ts";
import type { Decision } from "./decision.ts";
import type { Moment } from "./host/moment.ts";
import { type Lease, remainingSeconds } from "./lease.ts";
import { indexNameRules, type OpenPart, openParts } from "./name-rules.ts";
import { type NameConflict, planOpenNames } from "./open-names.ts";
import { rangeOfEntry } from "./range-of-entry.ts";
import { numberScopes, scopeOfPart } from "./scope-numbers.ts";

/** A container's policy as the kernel and the resolver have to be told. */
export interface Composition {
  readonly policy: EgressPolicy;
  readonly mode: ShieldMode;
  /** A name that is open in several scopes stands here once for each. */
  readonly names: NamePolicy;
  readonly closedInBypass: ClosedNames;
  readonly conflicts: readonly NameConflict[];
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Composes all that a state records: what kernel and resolver were told when it was written. A lease that has ended since
 * counts with 0 seconds, as the kernel keeps its empty sets; `withoutExpired` leaves it out.
 * Throws nothing: what cannot be said to dnsmasq stays closed.
 */
export function composePolicy(state: ContainerState, moment: Moment): Composition {
  const known = composed.get(state);
  if (known?.moment === moment) return known.composition;
  const composition = compose(state, moment);
  composed.set(state, { moment, composition });
  return composition;
}

/** A command asks for the same several times. States do not change. */
const composed = new WeakMap<ContainerState, { moment: Moment; composition: Composition }>();

function compose(state: ContainerState, moment: Moment): Composition {
  const names = state.tier === "dnsmasq" ? composeNames(state, moment) : composeResolved(state, moment);
  const { allow, deny, timed } = composeRanges(state, moment);
  const timedAllow = [...timed.allow, ...names.timedAllow];
  const isTimed = timedAllow.length + timed.deny.length + timed.lift.length > 0;
  return {
    policy: {
      revision: state.revision,
      allow,
      deny,
      ...(isTimed ? { timed: { ...timed, allow: timedAllow } } : {}),
      learned: names.learned,
      ...state.network,
      published: state.request.published,
    },
    mode: composeMode(state.mode, moment),
    names: names.policy,
    closedInBypass: names.closedInBypass,
    conflicts: names.conflicts,
    notes: names.notes,
  };
}

/** The names that are open themselves, not by a wildcard. */
export function openExactNames(state: ContainerState): string[] {
  const rules = indexNameRules(state);
  return [...rules.allow.exact.keys()].filter(
    (domain) => openParts(rules, { kind: "exact", domain }).length > 0,
  );
}

function composeMode(mode: ContainerMode, moment: Moment): ShieldMode {
  if (mode.kind !== "down") return mode;
  const { privateRanges, lease } = mode;
  return { kind: "down", privateRanges, ...timeOf({ lease }, moment) };
}

interface Ranges {
  readonly allow: readonly Destination[];
  readonly deny: readonly Destination[];
  readonly timed: NonNullable<EgressPolicy["timed"]>;
}

function composeRanges({ entries, decisions, network }: ContainerState, moment: Moment): Ranges {
  const permanent = decisions.filter(({ lease }) => lease === undefined);
  const temporary = decisions.filter(({ lease }) => lease !== undefined);
  const allowed = (list: readonly Decision[]) => list.filter(({ verdict }) => verdict === "allow");
  const denied = (list: readonly Decision[]) => list.filter(({ verdict }) => verdict === "deny");
  const deniedEntries = new Set(denied(permanent).map(({ entry }) => renderEntry(entry)));
  const opened = ({ entry }: { entry: AllowlistEntry }) => destinationsOf(entry, []);
  // A deny around it must not cut off the resolver. Nothing else reaches that address, denied or not.
  const spared = network.upstream === undefined ? [] : [network.upstream];
  const closed = ({ entry }: Decision) => destinationsOf(entry, spared);
  const forItsTime = (destinations: (decision: Decision) => Destination[]) => (decision: Decision) =>
    decision.lease === undefined ? [] : withTimes(destinations(decision), decision.lease, moment);
  return {
    allow: [...openedByProfile(entries), ...allowed(permanent).flatMap(opened)],
    deny: denied(permanent).flatMap(closed),
    timed: {
      allow: allowed(temporary).flatMap(forItsTime(opened)),
      deny: denied(temporary).flatMap(forItsTime(closed)),
      lift: allowed(temporary)
        .filter(({ entry }) => deniedEntries.has(renderEntry(entry)))
        .flatMap(forItsTime(closed)),
    },
  };
}

/** The states that a command goes through have the same entries, and there may be 100 000 of them. */
const openedByEntries = new WeakMap<ContainerState["entries"], readonly Destination[]>();

function openedByProfile(entries: ContainerState["entries"]): readonly Destination[] {
  const known = openedByEntries.get(entries);
  if (known !== undefined) return known;
  const opened = entries.flatMap((entry) => destinationsOf(entry, []));
  openedByEntries.set(entries, opened);
  return opened;
}

function destinationsOf(entry: AllowlistEntry, spared: readonly IpRange[]): Destination[] {
  if (entry.kind !== "range") return [];
  const range = rangeOfEntry(entry);
  const ranges = spared.length === 0 ? [range] : subtractRanges([range], spared);
  return ranges.map((part) => ({
    range: part,
    ...(entry.ports === undefined ? {} : { ports: entry.ports }),
  }));
}

function withTimes(destinations: readonly Destination[], lease: Lease, moment: Moment): TimedDestination[] {
  return destinations.map((destination) => ({
    ...destination,
    remainingSeconds: remainingSeconds(lease, moment),
  }));
}

interface ComposedNames {
  readonly policy: NamePolicy;
  readonly closedInBypass: ClosedNames;
  readonly conflicts: readonly NameConflict[];
  readonly learned: EgressPolicy["learned"];
  /** Of a static tier: what temporary names resolved to. */
  readonly timedAllow: readonly TimedDestination[];
  readonly notes: readonly string[];
}

const NO_NAMES: NamePolicy = { exact: [], wildcards: [], closedExact: [], closedWildcards: [] };

function composeNames(state: ContainerState, moment: Moment): ComposedNames {
  const open = planOpenNames(indexNameRules(state));
  const numbers = numberScopes(state.scopes, open).byKey;
  const scoped = ({ parts }: { parts: readonly OpenPart[] }) =>
    parts.map((part) => ({ scope: scopeOfPart(numbers, part) }));
  const scopes = new Map<number, LearnedScope>();
  for (const part of [...open.exact, ...open.wildcards].flatMap(({ parts }) => parts)) {
    const id = scopeOfPart(numbers, part);
    if (id !== 0) scopes.set(id, { id, area: part.area, ...timeOf(part, moment) });
  }
  return {
    policy: {
      exact: open.exact.flatMap((domain) => scoped(domain).map((scope) => ({ name: domain.name, ...scope }))),
      wildcards: open.wildcards.flatMap((domain) =>
        scoped(domain).map((scope) => ({ parent: domain.parent, ...scope })),
      ),
      closedExact: open.closedExact,
      closedWildcards: open.closedWildcards,
    },
    closedInBypass: open.closedInBypass,
    conflicts: open.conflicts,
    learned: {
      kind: "by-resolver",
      timeoutSeconds: state.dnsTimeoutSeconds,
      scopes: [...scopes.values()].sort((left, right) => left.id - right.id),
      queryGeneration: state.queryGeneration,
      flowGeneration: state.flowGeneration,
    },
    timedAllow: [],
    notes: open.conflicts.map(describeClosed),
  };
}

function describeClosed({ reason, closes, domain }: NameConflict): string {
  const what = closes === "exact" ? `${domain} stays` : `the names below ${domain} stay`;
  return reason === "crowded"
    ? `${what} closed: names open too many different ports and times`
    : `${what} closed: dnsmasq cannot tell apart what ${domain} opens and what the names below it open`;
}

function timeOf(
  { lease }: { readonly lease?: Lease | undefined },
  moment: Moment,
): { remainingSeconds?: number } {
  return lease === undefined ? {} : { remainingSeconds: remainingSeconds(lease, moment) };
}

/** The names of a static tier, as the addresses that they resolved to; private answers are kept out and noted. */
function composeResolved(state: ContainerState, moment: Moment): ComposedNames {
  const rules = indexNameRules(state);
  const destinations: Destination[] = [];
  const timedAllow: TimedDestination[] = [];
  const notes = new Set<string>();
  for (const [name, addresses] of state.resolved) {
    const parts = openParts(rules, { kind: "exact", domain: name });
    for (const range of parts.length === 0 ? [] : addresses.map(parseIpRange)) {
      if (coversRange(PRIVATE_RANGES, range)) {
        notes.add(`${name} answers a private address, which stays closed`);
        continue;
      }
      for (const part of parts) {
        const opened = spansOf(part.area).map((ports) => ({ range, ...ports }));
        if (part.lease === undefined) destinations.push(...opened);
        else timedAllow.push(...withTimes(opened, part.lease, moment));
      }
    }
  }
  return {
    policy: NO_NAMES,
    closedInBypass: NO_NAMES,
    conflicts: [],
    learned: { kind: "fixed", destinations },
    timedAllow,
    notes: [...notes],
  };
}

/** Protocols other than TCP and UDP are open with every port, or not at all: a hole in the ports closes them. */
function spansOf(area: PortArea): { ports?: PortSpan }[] {
  if (sameArea(area, EVERY_PORT)) return [{}];
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    area[protocol].map(({ first, last }) => ({ ports: { first, last, protocol } })),
  );
}
