import { coversRange, METADATA_ADDRESSES, PRIVATE_RANGES, subtractRanges } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, type ProfileEntry, renderEntry } from "@terok-shield/profiles";
import type { ContainerState } from "./container-state.ts";
import type { Rule } from "./name-rules.ts";
import { MOST_SCOPES, type NameConflict } from "./open-names.ts";
import { rangeOfEntry } from "./range-of-entry.ts";

type Where = Pick<ContainerState, "tier" | "network">;

/** Why an entry cannot be allowed in this container, and what to do: never widened, never dropped. */
export function findEntryFault(entry: AllowlistEntry, { tier, network }: Where): string | undefined {
  if (entry.kind === "wildcard" && tier !== "dnsmasq") {
    return `*.${entry.parent} needs dnsmasq, since the ${tier} tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.`;
  }
  if (entry.kind === "range" && coversRange(network.reserved, rangeOfEntry(entry))) {
    return `${renderEntry(entry)} is of the container's own network, where no entry opens anything. Leave it out; ports of the host are granted by loopback_ports in config.yml.`;
  }
  return undefined;
}

/** Why these entries cannot be allowed, each fault with its place. */
export function findFaults(entries: readonly ProfileEntry[], where: Where): string[] {
  return entries.flatMap((entry) => {
    const fault = findEntryFault(entry, where);
    return fault === undefined ? [] : [`${renderPlace(entry.source)}: ${fault}`];
  });
}

/** What the owner should know of an entry that is allowed; undefined for most. */
export function describePrivate(entry: AllowlistEntry): string | undefined {
  if (entry.kind !== "range") return undefined;
  const range = rangeOfEntry(entry);
  if (coversRange(subtractRanges([range], PRIVATE_RANGES), range)) return undefined;
  const isNamed = range.first === range.last;
  const hasMetadata = subtractRanges(METADATA_ADDRESSES, [range]).length < METADATA_ADDRESSES.length;
  return `${renderEntry(entry)} opens private or special addresses${hasMetadata && !isNamed ? ", but not the cloud metadata addresses in it" : ""}`;
}

/** As `describePrivate`, each with its place. */
export function describeEntries(entries: readonly ProfileEntry[]): string[] {
  return entries.flatMap((entry) => {
    const note = describePrivate(entry);
    return note === undefined ? [] : [`${renderPlace(entry.source)}: ${note}`];
  });
}

const MOST_NAMED = 5;

/** Says what cannot be told apart, with the place of the first entry that a profile has. */
export function describeConflict({ reason, domain, rules }: NameConflict): string {
  const place = rules.flatMap((rule) => ("source" in rule ? [`${renderPlace(rule.source)}: `] : []))[0] ?? "";
  if (reason === "crowded") {
    return `${place}the names open more than ${MOST_SCOPES} different ports and times. Write fewer different ones.`;
  }
  const named = rules.slice(0, MOST_NAMED).map(renderRule).join(" and ");
  return `${place}${named} give ${domain} and the names below it different ports or times, which dnsmasq cannot tell apart. Write the same for both.`;
}

/** A profile's entry as it is written there, a decision as an operator says it. */
function renderRule({ entry, decision }: Rule): string {
  return decision === undefined ? renderEntry(entry) : `${decision.verdict} ${renderEntry(entry)}`;
}

function renderPlace({ file, line }: ProfileEntry["source"]): string {
  return `${file}:${line}`;
}
