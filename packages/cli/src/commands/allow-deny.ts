import { renderIpRange } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, renderEntry } from "@terok-shield/profiles";
import { composePolicy } from "../compose-policy.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { decide, findDeniedAddresses } from "../decide.ts";
import { type Decision, parseTarget, type Verdict } from "../decision.ts";
import type { Host } from "../host/host.ts";
import { type Lease, startLease } from "../lease.ts";
import { ShieldError } from "../shield-error.ts";
import { type Applied, applyChange, type ChangeContext, type Decided, type Seen } from "./apply-change.ts";
import { readContainerState } from "./read-state.ts";

export interface TargetsRequest {
  readonly container: string;
  /** Names, wildcards, addresses, ranges; with ports or without. */
  readonly targets: readonly string[];
  /** For good when absent. */
  readonly seconds?: number;
  /** Looks, with nobody else changing anything, at what the decision is about to change; throwing refuses it. */
  readonly check?: (state: ContainerState, context: ChangeContext) => void;
}

export interface DecisionReport {
  readonly container: string;
  readonly verdict: Verdict;
  readonly targets: readonly DecidedTarget[];
  /** Of a temporary decision: its end. */
  readonly until?: Date;
  readonly isRunning: boolean;
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

export interface DecidedTarget {
  readonly target: string;
  /** Where a name led to that is open now, or that is closed with it. */
  readonly addresses: readonly string[];
}

/**
 * Allows destinations, at once where the container runs.
 * @throws ShieldError when a deny of others covers one, or nothing at all changed.
 */
export async function allow(host: Host, request: TargetsRequest): Promise<DecisionReport> {
  const container = parseContainerName(request.container);
  const entries = await Promise.all(request.targets.map((target) => parseAllowed(host, target)));
  const names = entries.flatMap((entry) => (entry.kind === "name" ? [entry.name] : []));
  const resolution = await resolveStatically(host, container, names);
  const applied = await applyChange(host, container, {
    ask: names,
    decide: (present, context) => {
      const resolved = new Map([...present.resolved, ...resolution.resolved]);
      return decideAll({ ...present, resolved }, context, {
        ...request,
        container,
        entries,
        verdict: "allow",
      });
    },
  });
  const { decided, notes } = describeAllowed(entries, applied);
  return {
    ...reportOn(applied, "allow"),
    targets: decided,
    notes: [
      ...applied.result.notes,
      ...resolution.unresolved.map(({ name, reason }) => `${name} does not resolve now: ${reason}`),
      ...notes,
      ...applied.notes,
    ],
  };
}

/** Denies destinations, and ends what flows to them, at once where the container runs. */
export async function deny(host: Host, request: TargetsRequest): Promise<DecisionReport> {
  const container = parseContainerName(request.container);
  const entries = request.targets.map((target) => parseTarget(target, { allowPublicSuffixWildcards: true }));
  const applied = await applyChange(host, container, {
    decide: (present, context) =>
      decideAll(present, context, { ...request, container, entries, verdict: "deny" }),
  });
  return {
    ...reportOn(applied, "deny"),
    targets: entries.map((entry) => ({
      target: renderEntry(entry),
      addresses: addressesClosed(entry, applied),
    })),
    notes: [...applied.result.notes, ...applied.notes],
  };
}

interface Result {
  readonly lease?: Lease;
  readonly notes: readonly string[];
}

interface Wishes {
  readonly container: ContainerName;
  readonly entries: readonly AllowlistEntry[];
  readonly verdict: Verdict;
  readonly seconds?: number;
  readonly check?: TargetsRequest["check"];
}

/** All of them or none. */
function decideAll(
  present: ContainerState,
  context: ChangeContext,
  { container, entries, verdict, seconds, check }: Wishes,
): Decided<Result> {
  const { moment, run } = context;
  check?.(present, context);
  if (verdict === "allow" && seconds !== undefined && run === undefined) {
    throw new ShieldError(
      `The container ${container} does not run, and a temporary allow ends with its run. Start it first, or leave --for out.`,
    );
  }
  // A deny for a time outlives a restart.
  const lease =
    seconds === undefined ? undefined : startLease(seconds, moment, verdict === "allow" ? run : undefined);
  let state = present;
  const notes: string[] = [];
  for (const entry of entries) {
    const decided = decide(state, { verdict, entry, ...(lease === undefined ? {} : { lease }) }, moment);
    if (decided.outcome.kind === "covered") throw coveredBy(entry, decided.outcome.by, container);
    state = decided.state;
    notes.push(...decided.outcome.notes);
  }
  return {
    state,
    result: { notes, ...(lease === undefined ? {} : { lease }) },
    narrows: verdict === "deny",
    audit: (seen) =>
      entries.map((entry) => {
        const target = renderEntry(entry);
        const addresses =
          verdict === "deny" ? addressesClosed(entry, seen) : addressesOpened(entry, seen).open;
        const detail =
          lease === undefined ? `${verdict} ${target}` : `${verdict} ${target} until ${lease.until}`;
        return {
          action: verdict === "deny" ? "denied" : "allowed",
          detail,
          target,
          addresses: [...addresses],
        };
      }),
  };
}

function coveredBy(entry: AllowlistEntry, by: readonly Decision[], container: ContainerName): ShieldError {
  const denies = by.map((deny) => renderEntry(deny.entry));
  const covering = denies.map((deny) => `deny ${deny}`).join(" and ");
  return new ShieldError(
    `${renderEntry(entry)} stays denied: ${covering} ${by.length === 1 ? "covers" : "cover"} it. Lift that first: terok-shield allow ${container} ${denies.join(" ")}`,
  );
}

/** config.yml decides about public suffixes alone, so it is read for nothing else. */
async function parseAllowed(host: Host, text: string): Promise<AllowlistEntry> {
  try {
    return parseTarget(text, { allowPublicSuffixWildcards: false });
  } catch (cause) {
    if (!text.startsWith("*.")) throw cause;
    const { readConfig } = await import("./prepare.ts");
    return parseTarget(text, {
      allowPublicSuffixWildcards: (await readConfig(host)).allow_public_suffix_wildcards,
    });
  }
}

/** What nobody asks while the container runs has to be known beforehand. */
async function resolveStatically(
  host: Host,
  container: ContainerName,
  names: readonly string[],
): Promise<{
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
}> {
  const tier = names.length === 0 ? "dnsmasq" : readContainerState(host, container).tier;
  if (tier === "dnsmasq") return { resolved: new Map(), unresolved: [] };
  const { resolveEntries } = await import("./resolve-entries.ts");
  return resolveEntries(host, names, { tier, renew: false });
}

function reportOn(
  { state, isRunning, result: { lease } }: Applied<Result>,
  verdict: Verdict,
): Pick<DecisionReport, "container" | "verdict" | "until" | "isRunning"> {
  const { container } = state;
  return { container, verdict, isRunning, ...(lease === undefined ? {} : { until: new Date(lease.until) }) };
}

function describeAllowed(
  entries: readonly AllowlistEntry[],
  seen: Seen,
): { readonly decided: DecidedTarget[]; readonly notes: string[] } {
  const notes: string[] = [];
  const decided = entries.map((entry) => {
    const target = renderEntry(entry);
    const { open, denied } = addressesOpened(entry, seen);
    for (const [address, deny] of denied) {
      notes.push(`${address} of ${target} stays denied: deny ${renderEntry(deny.entry)}`);
    }
    const asked = entry.kind === "name" ? seen.addresses.get(entry.name) : undefined;
    if (asked?.length === 0) notes.push(`${target} does not resolve now: it opens when it does`);
    return { target, addresses: open };
  });
  return { decided, notes };
}

interface OpenedAddresses {
  readonly open: readonly string[];
  readonly denied: ReadonlyMap<string, Decision>;
}

function addressesOpened(entry: AllowlistEntry, { state, addresses }: Seen): OpenedAddresses {
  if (entry.kind !== "name") return { open: [], denied: new Map() };
  const found = (state.tier === "dnsmasq" ? addresses : state.resolved).get(entry.name) ?? [];
  const denied = findDeniedAddresses(state, found, entry.ports);
  return { open: found.filter((address) => !denied.has(address)), denied };
}

/** Those that no other open name leads to. */
function addressesClosed(entry: AllowlistEntry, { state, moment, answers, forgotten }: Seen): string[] {
  if (entry.kind === "range") return [];
  const isMeant = (name: string) =>
    entry.kind === "name" ? name === entry.name : name.endsWith(`.${entry.parent}`);
  const brought = (found: ReadonlyMap<string, Iterable<string>>) =>
    [...found].flatMap(([name, addresses]) => (isMeant(name) ? [...addresses] : []));
  if (state.tier === "dnsmasq") {
    const gone = new Set([...forgotten.values()].flatMap((addresses) => addresses.map(renderIpRange)));
    return [...new Set(brought(answers))].filter((address) => gone.has(address));
  }
  const { learned } = composePolicy(state, moment).policy;
  const open = new Set(
    learned.kind === "fixed" ? learned.destinations.map(({ range }) => renderIpRange(range)) : [],
  );
  return brought(state.resolved).filter((address) => !open.has(address));
}
