import type { ShieldEvent } from "@terok-shield/audit";
import { coversRange, parseIpRange } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, coversEntry, type PortScope, renderEntry } from "@terok-shield/profiles";
import { parseTarget } from "./decision.ts";
import { findCrowdedParents, suspectName } from "./learn-suspicion.ts";
import { type Answers, ApartList, collectUses, plainText, type SetApart, type Use } from "./learn-uses.ts";
import { ShieldError } from "./shield-error.ts";

/** What is already decided for the container that is learned from. */
export interface PresentPolicy {
  readonly inForce: readonly AllowlistEntry[];
  readonly denied: readonly AllowlistEntry[];
  /** Names can be opened by wildcards. */
  readonly hasWildcards: boolean;
  readonly answers: Answers;
  /** Why an entry can open nothing here. */
  readonly findFault: (entry: AllowlistEntry) => string | undefined;
  /** Why these entries cannot stand beside those in force. */
  readonly findConflict: (entries: readonly AllowlistEntry[]) => string | undefined;
}

/** An entry that would let through what was tried. */
export interface ProposedEntry {
  readonly entry: AllowlistEntry;
  readonly count: number;
  /** Of a wildcard, which opens more than was seen: the names that it stands for. */
  readonly names?: readonly string[];
  /** Of a name to which nothing is attributed: the one whose address it shares. */
  readonly sharesWith?: string;
}

export interface Proposal {
  readonly added: readonly ProposedEntry[];
  /** Used, and in force already. */
  readonly kept: readonly AllowlistEntry[];
  /** What is left to the owner, the most frequent first. */
  readonly apart: readonly SetApart[];
  /** Connections that the kernel counted and the log left out. */
  readonly leftOut: number;
}

/** More nobody reads. */
export const MOST_PROPOSED = 200;
/** More ports of one host are no service, but a scan. */
const MOST_PORTS = 16;
/** More addresses without a name are no hosts that somebody means, but a scan. */
const MOST_BARE_ADDRESSES = 64;
const FEWEST_NAMES_OF_WILDCARD = 3;

/**
 * Proposes the entries under which a container gets what it was refused, or had in bypass: nothing that was not seen, but
 * for wildcards, and nothing that somebody should look at first.
 */
export function proposeProfile(events: Iterable<ShieldEvent>, present: PresentPolicy): Proposal {
  const { uses, askedNames, apart: unusable, leftOut } = collectUses(events, present.answers);
  const apart = new ApartList();
  for (const { what, reason, count } of unusable) apart.add(what, reason, count);
  const trusted = withoutSuspects({ uses, askedNames }, apart);
  const kept = new Map<string, AllowlistEntry>();
  const wanted = planCandidates(trusted, apart).flatMap((candidate) => {
    const entries = candidate.entries.filter((entry) => {
      if (isInForce(entry, candidate, present.inForce)) {
        if (!candidate.isVague) kept.set(renderEntry(entry), entry);
        return false;
      }
      const fault = isCovered(entry, present.denied) ? "you denied it" : present.findFault(entry);
      if (fault !== undefined) apart.add(renderEntry(entry), fault, candidate.count);
      return fault === undefined;
    });
    return entries.length === 0 ? [] : [{ ...candidate, entries }];
  });
  const wildcards = present.hasWildcards ? planWildcards(wanted) : [];
  const added = chooseCompatible(wanted, wildcards, present, apart);
  const shown = [...added].sort((left, right) => right.count - left.count).slice(0, MOST_PROPOSED);
  for (const { entry, count } of added) {
    if (!shown.some((proposed) => proposed.entry === entry)) {
      apart.add(renderEntry(entry), `more than ${MOST_PROPOSED} entries: this looks like a scan`, count);
    }
  }
  return {
    added: shown.sort(byTarget),
    kept: [...kept.values()],
    apart: apart.list().sort((left, right) => right.count - left.count),
    leftOut,
  };
}

interface Seen {
  readonly uses: readonly Use[];
  readonly askedNames: ReadonlyMap<string, number>;
}

function withoutSuspects({ uses, askedNames }: Seen, apart: ApartList): Seen {
  const named = uses.filter(({ kind }) => kind === "name");
  const crowded = findCrowdedParents(new Set([...named.map(({ host }) => host), ...askedNames.keys()]));
  const isTrusted = (name: string, what: readonly string[], count: number): boolean => {
    const parent = crowdedParentOf(name, crowded);
    // All of them in one line: their names are the data.
    if (parent !== undefined)
      apart.add(`*.${parent}`, "many names below one parent can carry data out", count);
    const reason = parent === undefined ? suspectName(name) : undefined;
    if (reason !== undefined) for (const text of what) apart.add(text, reason, count);
    return parent === undefined && reason === undefined;
  };
  return {
    uses: uses.filter((use) => use.kind === "range" || isTrusted(use.host, describeUse(use), use.count)),
    askedNames: new Map([...askedNames].filter(([name, count]) => isTrusted(name, [plainText(name)], count))),
  };
}

/** The widest that belongs to one owner. */
function crowdedParentOf(name: string, crowded: ReadonlySet<string>): string | undefined {
  if (crowded.size === 0) return undefined;
  const labels = name.split(".");
  for (let first = labels.length - 2; first >= 1; first--) {
    const parent = labels.slice(first).join(".");
    if (crowded.has(parent) && parseWildcard(parent) !== undefined) return parent;
  }
  return undefined;
}

function describeUse(use: Use): string[] {
  return entriesOf(use).map(renderEntry);
}

/** One destination; without ports where only its name was asked for. */
interface Candidate {
  readonly entries: readonly AllowlistEntry[];
  readonly count: number;
  /** Nothing is known to have gone there. */
  readonly isVague: boolean;
  readonly sharesWith?: string;
}

function planCandidates({ uses, askedNames }: Seen, apart: ApartList): Candidate[] {
  const bare = uses.filter(({ kind }) => kind === "range");
  const isScan = bare.length > MOST_BARE_ADDRESSES;
  if (isScan) {
    apart.add(`${bare.length} addresses without a name`, "so many look like a scan", sumOf(bare));
  }
  const used = uses.flatMap((use): Candidate[] => {
    if (use.kind === "range" && isScan) return [];
    const ports = [...use.ports.values()].reduce((sum, { size }) => sum + size, 0);
    if (ports > MOST_PORTS) {
      apart.add(use.host, `${ports} different ports: this looks like a scan`, use.count);
      return [];
    }
    const { count, sharesWith } = use;
    const shared = sharesWith === undefined ? {} : { sharesWith };
    return [{ entries: entriesOf(use), count, isVague: sharesWith !== undefined, ...shared }];
  });
  const usedNames = new Set(uses.map(({ host }) => host));
  const asked = [...askedNames].flatMap(([name, count]): Candidate[] =>
    usedNames.has(name) ? [] : [{ entries: [{ kind: "name", name }], count, isVague: true }],
  );
  return [...used, ...asked];
}

function sumOf(uses: readonly Use[]): number {
  return uses.reduce((sum, { count }) => sum + count, 0);
}

function entriesOf({ kind, host, ports }: Use): AllowlistEntry[] {
  const target = kind === "name" ? { kind, name: host } : { kind, range: host };
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    joinPorts(ports.get(protocol) ?? []).map(
      (span): AllowlistEntry => ({ ...target, ports: { ...span, protocol } }),
    ),
  );
}

/** Neighbours in one range, none in between that was not seen. */
function joinPorts(ports: Iterable<number>): Pick<PortScope, "first" | "last">[] {
  const spans: { first: number; last: number }[] = [];
  for (const port of [...ports].sort((left, right) => left - right)) {
    const span = spans.at(-1);
    if (span !== undefined && span.last === port - 1) span.last = port;
    else spans.push({ first: port, last: port });
  }
  return spans;
}

/** A name that was asked for, and of which some port is open by now, is no reason to open the others. */
function isInForce(
  entry: AllowlistEntry,
  { isVague }: Candidate,
  inForce: readonly AllowlistEntry[],
): boolean {
  if (!isVague) return isCovered(entry, inForce);
  return isCovered(
    entry,
    inForce.map(({ ports: _, ...target }) => target),
  );
}

function isCovered(entry: AllowlistEntry, by: readonly AllowlistEntry[]): boolean {
  return by.some((wider) =>
    coversEntry(wider, entry, (one, other) => coversRange([parseIpRange(one)], parseIpRange(other))),
  );
}

/** Names that a wildcard can stand for, since they share their parent and all of their ports. */
interface Wildcard {
  readonly entries: readonly AllowlistEntry[];
  readonly names: readonly string[];
  readonly members: ReadonlySet<Candidate>;
  readonly count: number;
}

function planWildcards(candidates: readonly Candidate[]): Wildcard[] {
  const families = new Map<string, { name: string; candidate: Candidate }[]>();
  for (const candidate of candidates) {
    const [first] = candidate.entries;
    if (first?.kind !== "name" || first.ports === undefined) continue;
    const parent = first.name.slice(first.name.indexOf(".") + 1);
    const key = [parent, ...candidate.entries.map((entry) => renderEntry({ ...entry, ...PLACEHOLDER }))].join(
      " ",
    );
    families.set(key, [...(families.get(key) ?? []), { name: first.name, candidate }]);
  }
  return [...families].flatMap(([key, family]): Wildcard[] => {
    const target = parseWildcard(key.slice(0, key.indexOf(" ")));
    if (family.length < FEWEST_NAMES_OF_WILDCARD || target === undefined) return [];
    const entries = family[0]?.candidate.entries.map(({ ports }) => ({ ...target, ...(ports && { ports }) }));
    return [
      {
        entries: entries ?? [],
        names: family.map(({ name }) => name).sort(),
        members: new Set(family.map(({ candidate }) => candidate)),
        count: family.reduce((sum, { candidate }) => sum + candidate.count, 0),
      },
    ];
  });
}

/** So that only ports differ. */
const PLACEHOLDER = { kind: "name", name: "any.invalid" } as const;

/** Undefined for a public suffix, whose names belong to everybody. */
function parseWildcard(parent: string): AllowlistEntry | undefined {
  try {
    return parseTarget(`*.${parent}`, { allowPublicSuffixWildcards: false });
  } catch (cause) {
    if (cause instanceof ShieldError) return undefined;
    throw cause;
  }
}

/** A wildcard gives way to its names, and a name to what is in force, where a resolver cannot tell them apart. */
function chooseCompatible(
  candidates: readonly Candidate[],
  wildcards: readonly Wildcard[],
  { findConflict }: PresentPolicy,
  apart: ApartList,
): ProposedEntry[] {
  const inFamily = new Set(wildcards.flatMap(({ members }) => [...members]));
  const single = candidates.filter((candidate) => !inFamily.has(candidate));
  const all = [...single.flatMap(proposeEach), ...wildcards.flatMap(proposeEach)];
  if (findConflict(all.map(({ entry }) => entry)) === undefined) return all;
  const chosen: ProposedEntry[] = [];
  const tryAll = (proposed: readonly ProposedEntry[]): string | undefined => {
    const conflict = findConflict([...chosen, ...proposed].map(({ entry }) => entry));
    if (conflict === undefined) chosen.push(...proposed);
    return conflict;
  };
  const choose = (candidate: Candidate) => {
    const conflict = tryAll(proposeEach(candidate));
    if (conflict === undefined) return;
    for (const entry of candidate.entries) apart.add(renderEntry(entry), conflict, candidate.count);
  };
  for (const candidate of single) choose(candidate);
  for (const wildcard of wildcards) {
    if (tryAll(proposeEach(wildcard)) !== undefined) for (const member of wildcard.members) choose(member);
  }
  return chosen;
}

function proposeEach({ entries, ...of }: Candidate | Wildcard): ProposedEntry[] {
  const { count } = of;
  const names = "names" in of ? { names: of.names } : {};
  const shared = "sharesWith" in of && of.sharesWith !== undefined ? { sharesWith: of.sharesWith } : {};
  return entries.map((entry) => ({ entry, count, ...names, ...shared }));
}

/** Names of one owner together, addresses last. */
function byTarget(left: ProposedEntry, right: ProposedEntry): number {
  const [one, other] = [sortKey(left.entry), sortKey(right.entry)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function sortKey(entry: AllowlistEntry): string {
  const host =
    entry.kind === "range" ? `~ ${entry.range}` : entry.kind === "name" ? entry.name : entry.parent;
  const domain = entry.kind === "range" ? host : host.split(".").reverse().join(" ");
  const { protocol = "", first = 0 } = entry.ports ?? {};
  // A tab comes before the space: a parent before what is below it.
  return `${domain}\t${entry.kind} ${protocol} ${String(first).padStart(5, "0")}`;
}
