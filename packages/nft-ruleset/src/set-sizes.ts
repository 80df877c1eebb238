import { listedObjects } from "./listing.ts";
import { TABLE } from "./ruleset.ts";

/** How full a set of our table is. */
export interface SetSize {
  readonly name: string;
  /** Addresses, or ranges of them. */
  readonly elements: number;
  /** Of elements; absent where only memory limits it. */
  readonly limit?: number;
}

/**
 * Reads the sets' sizes from what `nft -j list ruleset` shows, in its order; whatever is not a set of ours is left out.
 * @throws Error when the text is not such a listing.
 */
export function readSetSizes(json: string): SetSize[] {
  return listedObjects(json).flatMap((object) => {
    const { set } = object as { readonly set?: Record<string, unknown> };
    if (set?.family !== TABLE.family || set.table !== TABLE.name || typeof set.name !== "string") return [];
    const { name, elem, size } = set;
    const limit = Number.isSafeInteger(size) ? { limit: Number(size) } : {};
    return [{ name, elements: Array.isArray(elem) ? elem.length : 0, ...limit }];
  });
}
