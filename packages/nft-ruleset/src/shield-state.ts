import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { differingObjects, type Listing, plannedListing, readListing, sameListing } from "./listing.ts";
import { planRulesets, type Ruleset } from "./ruleset.ts";
import { differingTimedSets, readBypassLease } from "./timed-elements.ts";

export type ShieldState =
  | ShieldMode
  | { readonly kind: "inactive" }
  | { readonly kind: "error"; readonly reason: string };

const MODES: readonly ShieldMode[] = [
  { kind: "up" },
  { kind: "down", privateRanges: "closed" },
  { kind: "down", privateRanges: "open" },
  { kind: "down", privateRanges: "closed", remainingSeconds: 0 },
  { kind: "down", privateRanges: "open", remainingSeconds: 0 },
  { kind: "block" },
];

/**
 * The state that the kernel's rules are in, judged by structure and order: a mode only when every chain, rule
 * and set is what `policy` renders to in that mode. Where bypass ends by itself, with what is left of it, 0 when it is
 * over.
 * @param listing what `nft -j list ruleset` printed in the container's network namespace
 * @param policy as of the moment of the listing
 */
export function readShieldState(listing: string, policy: EgressPolicy): ShieldState {
  let actual: Listing;
  try {
    actual = readListing(listing);
  } catch (cause) {
    return { kind: "error", reason: `the kernel's rules cannot be read: ${(cause as Error).message}` };
  }
  if (actual.length === 0) return { kind: "inactive" };
  const plan = planRulesets(policy);
  const mode = nearestMode(plan, actual);
  const now = withLease(mode, listing);
  const ruleset = plan(now);
  const expected = plannedListing(ruleset);
  if (!sameListing(expected, actual)) return notAsPlanned(differingObjects(expected, actual));
  const differing = differingTimedSets(ruleset.sets, listing);
  return differing.length === 0 ? now : notAsPlanned(differing);
}

/** The first mode in which the fewest chains are different. */
function nearestMode(plan: (mode: ShieldMode) => Ruleset, actual: Listing): ShieldMode {
  const withoutSets = actual.filter((line) => !line.startsWith('{"set":'));
  let nearest: { readonly mode: ShieldMode; readonly distance: number } | undefined;
  for (const mode of MODES) {
    const expected = plannedListing({ ...plan(mode), sets: [] });
    const distance = differingObjects(expected, withoutSets).length;
    if (distance < (nearest?.distance ?? Number.POSITIVE_INFINITY)) nearest = { mode, distance };
    if (distance === 0) break;
  }
  return nearest?.mode ?? { kind: "up" };
}

function withLease(mode: ShieldMode, listing: string): ShieldMode {
  if (mode.kind !== "down" || mode.remainingSeconds === undefined) return mode;
  return { ...mode, remainingSeconds: readBypassLease(listing) };
}

function notAsPlanned(differing: readonly string[]): ShieldState {
  return {
    kind: "error",
    reason: `the kernel's rules are not what policy says: ${differing.slice(0, 5).join(", ")}`,
  };
}
