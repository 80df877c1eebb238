import {
  areaOf,
  coversRange,
  type IpRange,
  NO_PORT,
  type PortArea,
  parseIpRange,
  sameArea,
  subtractAreas,
  subtractRanges,
} from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, renderEntry } from "@terok-shield/profiles";
import type { ContainerState } from "./container-state.ts";
import { type Decision, lifts, type Verdict } from "./decision.ts";
import { describeConflict, describePrivate, findEntryFault } from "./entry-faults.ts";
import { withoutOver } from "./expiry.ts";
import type { Moment } from "./host/moment.ts";
import type { Lease } from "./lease.ts";
import { domainsAbove, indexNameRules, isWithin, openParts, type Point } from "./name-rules.ts";
import { MOST_PARTS, type NameConflict, viewNames } from "./open-names.ts";
import { ShieldError } from "./shield-error.ts";

/** What an operator wants of one entry, for good or for the length of a lease. */
export interface Wish {
  readonly verdict: Verdict;
  readonly entry: AllowlistEntry;
  readonly lease?: Lease;
}

export type DecisionOutcome =
  /** It is recorded; what the notes name is the owner's to know. */
  | { readonly kind: "decided"; readonly notes: readonly string[] }
  /** Nothing has changed: these denies leave nothing of what was to be allowed. */
  | { readonly kind: "covered"; readonly by: readonly Decision[] };

/**
 * Decides about one entry: the last decision on it wins and undoes its opposite, a temporary one lies over a permanent one.
 * @throws ShieldError (usage) for what cannot be enforced in this container.
 */
export function decide(
  before: ContainerState,
  wish: Wish,
  moment: Moment,
): { readonly state: ContainerState; readonly outcome: DecisionOutcome } {
  const present = withoutOver(before, moment);
  refuseUnenforceable(wish, present);
  const others = present.decisions.filter(
    ({ verdict, entry }) => verdict === "deny" && renderEntry(entry) !== renderEntry(wish.entry),
  );
  const near = wish.verdict === "allow" ? others.filter(({ entry }) => meets(entry, wish.entry)) : [];
  if (near.length > 0 && isCovered(wish.entry, near)) {
    return {
      state: before,
      outcome: { kind: "covered", by: near.filter(({ entry }) => reaches(entry, wish.entry)) },
    };
  }
  const state = { ...present, decisions: record(present.decisions, wish, moment) };
  if (wish.entry.kind !== "range") refuseConflicts(present, state, wish.entry);
  const isPrivate = wish.verdict === "allow" ? describePrivate(wish.entry) : undefined;
  const notes = [...describeDenied(near), ...(isPrivate === undefined ? [] : [isPrivate])];
  return { state, outcome: { kind: "decided", notes } };
}

/** Which of the addresses that a name led to stay closed although the name is open, and for which deny. */
export function findDeniedAddresses(
  { decisions }: ContainerState,
  addresses: readonly string[],
  ports: AllowlistEntry["ports"],
): ReadonlyMap<string, Decision> {
  const denies = decisions.filter(
    (deny) =>
      deny.verdict === "deny" &&
      deny.entry.kind === "range" &&
      isWithin(areaOf(ports), areaOf(deny.entry.ports)) &&
      !decisions.some((allow) => allow.verdict === "allow" && lifts(allow, deny)),
  );
  const found = new Map<string, Decision>();
  for (const address of addresses) {
    const range = parseIpRange(address);
    const deny = denies.find(({ entry }) => coversRange(rangesOf(entry), range));
    if (deny !== undefined) found.set(address, deny);
  }
  return found;
}

function refuseUnenforceable({ verdict, entry }: Wish, state: ContainerState): void {
  const fault = verdict === "allow" ? findEntryFault(entry, state) : findDenyFault(entry, state);
  if (fault !== undefined) throw new ShieldError(fault, { code: "usage" });
}

function findDenyFault(entry: AllowlistEntry, { network }: ContainerState): string | undefined {
  const [range] = rangesOf(entry);
  if (range === undefined || network.upstream === undefined) return undefined;
  return coversRange([network.upstream], range)
    ? `${renderEntry(entry)} is where the container's resolver asks, and nothing else in the container reaches it. To close names, deny the names.`
    : undefined;
}

function record(decisions: readonly Decision[], wish: Wish, moment: Moment): Decision[] {
  const key = renderEntry(wish.entry);
  const isUndone = ({ entry, lease }: Decision) =>
    (wish.lease === undefined || lease !== undefined) && renderEntry(entry) === key;
  return [
    ...decisions.filter((decision) => !isUndone(decision)),
    { ...wish, decidedAt: moment.date.toISOString() },
  ];
}

/** True when the denies together leave nothing of an entry. */
function isCovered(entry: AllowlistEntry, denies: readonly Decision[]): boolean {
  const reaching = denies.filter((deny) => reaches(deny.entry, entry));
  if (entry.kind !== "range") {
    const left = reaching.reduce(
      (area, deny) => subtractAreas(area, areaOf(deny.entry.ports)),
      areaOf(entry.ports),
    );
    return sameArea(left, NO_PORT);
  }
  const wholly = reaching.filter((deny) => isWithin(areaOf(entry.ports), areaOf(deny.entry.ports)));
  const ranges = subtractRanges(
    rangesOf(entry),
    wholly.flatMap((deny) => rangesOf(deny.entry)),
  );
  const pieces = ranges.map((range): Piece => ({ range, area: areaOf(entry.ports) }));
  const partly = reaching.filter((deny) => !wholly.includes(deny));
  return (
    partly.reduce((left, deny) => left.flatMap((piece) => without(piece, deny.entry)), pieces).length === 0
  );
}

interface Piece {
  readonly range: IpRange;
  readonly area: PortArea;
}

function without({ range, area }: Piece, entry: AllowlistEntry): Piece[] {
  const outside = subtractRanges([range], rangesOf(entry));
  const inside = subtractRanges([range], outside);
  const left = subtractAreas(area, areaOf(entry.ports));
  return [
    ...outside.map((part) => ({ range: part, area })),
    ...(sameArea(left, NO_PORT) ? [] : inside.map((part) => ({ range: part, area: left }))),
  ];
}

/** True when a deny closes something of an entry, or of the names that a wildcard opens. */
function meets(deny: AllowlistEntry, entry: AllowlistEntry): boolean {
  if (!sharePorts(deny, entry)) return false;
  if (reaches(deny, entry)) return true;
  const domain = domainOf(deny);
  return entry.kind === "wildcard" && domain !== undefined && domainsAbove(domain).includes(entry.parent);
}

/** True when a deny is about the very thing that an entry names: the name, all that the wildcard means, some of the range. */
function reaches(deny: AllowlistEntry, entry: AllowlistEntry): boolean {
  if (!sharePorts(deny, entry)) return false;
  switch (entry.kind) {
    case "range": {
      const range = rangesOf(entry);
      return !sameSize(subtractRanges(range, rangesOf(deny)), range);
    }
    case "name":
      return deny.kind === "name"
        ? deny.name === entry.name
        : deny.kind === "wildcard" && domainsAbove(entry.name).includes(deny.parent);
    case "wildcard":
      return deny.kind === "wildcard" && [entry.parent, ...domainsAbove(entry.parent)].includes(deny.parent);
  }
}

function sharePorts(left: AllowlistEntry, right: AllowlistEntry): boolean {
  const area = areaOf(left.ports);
  return !sameArea(subtractAreas(area, areaOf(right.ports)), area);
}

function sameSize(left: readonly IpRange[], right: readonly IpRange[]): boolean {
  const size = (ranges: readonly IpRange[]) =>
    ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  return size(left) === size(right);
}

function rangesOf(entry: AllowlistEntry): IpRange[] {
  return entry.kind === "range" ? [parseIpRange(entry.range)] : [];
}

function domainOf(entry: AllowlistEntry): string | undefined {
  return entry.kind === "name" ? entry.name : entry.kind === "wildcard" ? entry.parent : undefined;
}

/** What is new of what dnsmasq cannot carry out, now or once all that is temporary has ended. */
function refuseConflicts(before: ContainerState, after: ContainerState, entry: AllowlistEntry): void {
  const known = new Set(conflictsOf(before).map(keyOf));
  const conflict = conflictsOf(after).find((candidate) => !known.has(keyOf(candidate)));
  if (conflict !== undefined) throw new ShieldError(describeConflict(conflict), { code: "usage" });
  const point: Point = {
    kind: entry.kind === "name" ? "exact" : "below",
    domain: domainOf(entry) ?? "",
  };
  if (after.tier === "dnsmasq" && openParts(indexNameRules(after), point).length > MOST_PARTS) {
    throw new ShieldError(
      `${renderEntry(entry)} would be open for more than ${MOST_PARTS} different times. End one of them first.`,
      { code: "usage" },
    );
  }
}

function conflictsOf(state: ContainerState): NameConflict[] {
  if (state.tier !== "dnsmasq") return [];
  const permanent = state.decisions.filter(({ lease }) => lease === undefined);
  return [state.decisions, permanent].flatMap(
    (decisions) => viewNames(indexNameRules({ ...state, decisions })).conflicts,
  );
}

function keyOf({ reason, closes, domain }: NameConflict): string {
  return `${reason} ${closes} ${domain}`;
}

const MOST_NAMED = 5;

/** Denies beat an allow around them. */
function describeDenied(denies: readonly Decision[]): string[] {
  if (denies.length === 0) return [];
  const named = denies.slice(0, MOST_NAMED).map(({ entry }) => renderEntry(entry));
  const more = denies.length > MOST_NAMED ? ` and ${denies.length - MOST_NAMED} more` : "";
  return [`${named.join(", ")}${more} ${denies.length === 1 ? "stays" : "stay"} denied`];
}
