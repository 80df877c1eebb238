import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import {
  canonicalListing,
  differingObjects,
  joinListing,
  type Listing,
  listedObjects,
  plannedChains,
  plannedSets,
  plannedTable,
  sameListing,
} from "./listing.ts";
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
  let objects: object[];
  try {
    objects = listedObjects(listing);
  } catch (cause) {
    return { kind: "error", reason: `the kernel's rules cannot be read: ${(cause as Error).message}` };
  }
  if (objects.length === 0) return { kind: "inactive" };
  const actual = canonicalListing(objects);
  const plan = planRulesets(policy);
  const nearest = findNearest(plan, actual);
  const now = withLease(nearest.mode, objects);
  const { sets } = now === nearest.mode ? nearest.ruleset : plan(now);
  const expected = joinListing(plannedSets(sets), nearest.chains);
  if (!sameListing(expected, actual)) return notAsPlanned(differingObjects(expected, actual));
  const differing = differingTimedSets(sets, objects);
  return differing.length === 0 ? now : notAsPlanned(differing);
}

interface Nearest {
  readonly mode: ShieldMode;
  readonly ruleset: Ruleset;
  /** As they are listed. */
  readonly chains: Listing;
}

/** The first mode in which the fewest chains are different. */
function findNearest(plan: (mode: ShieldMode) => Ruleset, actual: Listing): Nearest {
  const withoutSets = actual.filter((line) => !line.startsWith('{"set":'));
  const table = plannedTable();
  let nearest: (Nearest & { readonly distance: number }) | undefined;
  for (const mode of MODES) {
    const ruleset = plan(mode);
    const chains = plannedChains(ruleset.chains);
    const distance = differingObjects([...table, ...chains], withoutSets).length;
    if (distance < (nearest?.distance ?? Number.POSITIVE_INFINITY)) {
      nearest = { mode, ruleset, chains, distance };
    }
    if (distance === 0) break;
  }
  if (nearest === undefined) throw new Error("there are no modes");
  return nearest;
}

function withLease(mode: ShieldMode, objects: readonly object[]): ShieldMode {
  if (mode.kind !== "down" || mode.remainingSeconds === undefined) return mode;
  return { ...mode, remainingSeconds: readBypassLease(objects) };
}

function notAsPlanned(differing: readonly string[]): ShieldState {
  return {
    kind: "error",
    reason: `the kernel's rules are not what policy says: ${differing.slice(0, 5).join(", ")}`,
  };
}
