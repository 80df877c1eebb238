import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { differingObjects, expectedListing, type Listing, readListing, sameListing } from "./listing.ts";

export type ShieldState =
  | ShieldMode
  | { readonly kind: "inactive" }
  | { readonly kind: "error"; readonly reason: string };

const MODES: readonly ShieldMode[] = [
  { kind: "up" },
  { kind: "down", privateRanges: "closed" },
  { kind: "down", privateRanges: "open" },
  { kind: "block" },
];

/**
 * The state that the kernel's rules are in, judged by structure and order: a mode only when every chain, rule
 * and set is what `policy` renders to in that mode.
 * @param listing what `nft -j list ruleset` printed in the container's network namespace
 */
export function readShieldState(listing: string, policy: EgressPolicy): ShieldState {
  let actual: Listing;
  try {
    actual = readListing(listing);
  } catch (cause) {
    return { kind: "error", reason: `the kernel's rules cannot be read: ${(cause as Error).message}` };
  }
  if (actual.length === 0) return { kind: "inactive" };
  let nearest: readonly string[] | undefined;
  for (const mode of MODES) {
    const expected = expectedListing(policy, mode);
    if (sameListing(expected, actual)) return mode;
    const differing = differingObjects(expected, actual);
    if (nearest === undefined || differing.length < nearest.length) nearest = differing;
  }
  return {
    kind: "error",
    reason: `the kernel's rules are not what policy says: ${nearest?.slice(0, 5).join(", ")}`,
  };
}
