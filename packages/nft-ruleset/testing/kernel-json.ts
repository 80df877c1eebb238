import type { EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { expectedListing, listPiece } from "../src/listing.ts";
import { type PlannedSet, planRuleset } from "../src/ruleset.ts";

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

/** The objects that a kernel lists, where what has an end has just begun. */
export function listedObjects(policy: EgressPolicy, mode: ShieldMode): ListedObject[] {
  const elements = new Map(planRuleset(policy, mode).sets.map((set) => [set.name, listedElements(set)]));
  return expectedListing(policy, mode).map((line) => {
    const object = JSON.parse(line) as ListedObject;
    const elem = elements.get(String(object.set?.name));
    return elem === undefined || elem.length === 0 ? object : { set: { ...object.set, elem } };
  });
}

function listedElements(set: PlannedSet): unknown[] | undefined {
  if (set.kind === "lease") {
    return ["ipv4", "ipv6"].map((family) => timedElement(family, set.remainingSeconds));
  }
  if (set.kind !== "pieces" || !set.timed) return undefined;
  return set.pieces.map((piece) => timedElement(listPiece(piece), piece.remainingSeconds ?? 0));
}

/** A listed element with an end. */
export function timedElement(val: unknown, seconds: number): object {
  return { elem: { val, timeout: Math.floor(seconds), expires: Math.floor(seconds) } };
}
