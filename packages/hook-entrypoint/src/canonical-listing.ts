import { ShieldRefusal } from "./shield-refusal.ts";

/**
 * The objects of `nft -j list ruleset` as sorted lines without what changes by itself: the form in which
 * `prepare` wrote down what the kernel has to show (listing.json). Rules keep their order.
 * @throws ShieldRefusal when nft printed something else.
 */
export function canonicalListing(json: string): string[] {
  let objects: unknown;
  try {
    objects = (JSON.parse(json) as { nftables?: unknown }).nftables;
  } catch {
    objects = undefined;
  }
  if (!Array.isArray(objects)) throw new ShieldRefusal("nft did not list the rules as JSON");
  return sortLines(
    objects
      .filter((object) => typeof object === "object" && object !== null && !("metainfo" in object))
      .map((object) => JSON.stringify(canonical(object, ""))),
  );
}

/** Rules first, in their order; then the rest, sorted. */
export function sortLines(lines: readonly string[]): string[] {
  const isRule = (line: string) => line.startsWith('{"rule":');
  return [...lines.filter(isRule), ...lines.filter((line) => !isRule(line)).sort()];
}

const VOLATILE_KEYS = new Set(["handle", "packets", "bytes", "expires"]);
const UNORDERED_KEYS = new Set(["set", "elem", "flags", "right"]);

function canonical(value: unknown, key: string): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, ""));
    return UNORDERED_KEYS.has(key) ? items.sort((left, right) => compareText(left, right)) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  if (isNumberedTcp(value, key)) return canonical({ ...value, right: "tcp" }, key);
  // What a resolver learned is not policy, and nft before 1.1 does not list the flag `dynamic`.
  const isTimedSet = "timeout" in value && "type" in value && "table" in value;
  const entries = Object.entries(isTimedSet ? { ...value, elem: undefined, flags: ["timeout"] } : value)
    .filter(([name, item]) => !VOLATILE_KEYS.has(name) && item !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([name, item]) => [name, canonical(item, name)]));
}

/** nft takes the names of protocols from /etc/protocols (Debian: netbase), and shows numbers where that is missing. */
function isNumberedTcp(value: { left?: unknown; right?: unknown }, key: string): boolean {
  const left = value.left as { meta?: { key?: unknown } | null } | null | undefined;
  return key === "match" && left?.meta?.key === "l4proto" && value.right === 6;
}

function compareText(left: unknown, right: unknown): number {
  const [first, second] = [JSON.stringify(left), JSON.stringify(right)];
  return first < second ? -1 : first > second ? 1 : 0;
}
