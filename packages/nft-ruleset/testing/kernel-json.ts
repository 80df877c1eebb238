import type { EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { expectedListing } from "../src/listing.ts";

export type ListedObject = Record<string, Record<string, unknown>>;

/** What `nft -j list ruleset` would print, with the numbering and counts that a real kernel adds. */
export function kernelJson(objects: readonly ListedObject[]): string {
  const numbered = objects.map((object, index) =>
    Object.fromEntries(
      Object.entries(object).map(([kind, body]) => [
        kind,
        { ...body, handle: index + 1, ...(kind === "counter" ? { packets: index, bytes: 7 * index } : {}) },
      ]),
    ),
  );
  return JSON.stringify({ nftables: [{ metainfo: { version: "1.0.6" } }, ...numbered] });
}

export function listedObjects(policy: EgressPolicy, mode: ShieldMode): ListedObject[] {
  return expectedListing(policy, mode).map((line) => JSON.parse(line) as ListedObject);
}
