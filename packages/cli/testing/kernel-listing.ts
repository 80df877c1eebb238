import { type EgressPolicy, expectedListing, type ShieldMode } from "@terok-shield/nft-ruleset";

/** What `nft -j list ruleset` prints when the kernel has the rules of a policy. */
export function renderKernelListing(policy: EgressPolicy, mode: ShieldMode): string {
  const objects = expectedListing(policy, mode).map((line): unknown => JSON.parse(line));
  return JSON.stringify({ nftables: [{ metainfo: { version: "1.0.6" } }, ...objects] });
}
