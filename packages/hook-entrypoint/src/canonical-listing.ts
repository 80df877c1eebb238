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
      .map((object) => canonicalText(object, "")),
  );
}

/** Rules first, in their order; then the rest, sorted. */
export function sortLines(lines: readonly string[]): string[] {
  const isRule = (line: string) => line.startsWith('{"rule":');
  return [...lines.filter(isRule), ...lines.filter((line) => !isRule(line)).sort()];
}

const VOLATILE_KEYS = new Set(["handle", "packets", "bytes", "expires"]);
const UNORDERED_KEYS = new Set(["set", "elem", "flags", "right"]);
/** nft takes the names of protocols from /etc/protocols (Debian: netbase), and shows numbers where that is missing. */
const PROTOCOLS = new Map<unknown, string>([
  [6, "tcp"],
  [17, "udp"],
]);

function canonicalText(value: unknown, key: string): string {
  if (Array.isArray(value)) {
    const named = key === "concat" ? nameProtocol(value) : value;
    const items = named.map((item) => canonicalText(item, ""));
    return `[${(UNORDERED_KEYS.has(key) ? items.sort() : items).join(",")}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(stable(value, key))
    .filter(([name, item]) => !VOLATILE_KEYS.has(name) && item !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonicalText(item, name)}`).join(",")}}`;
}

interface ListedObject {
  readonly type?: unknown;
  readonly table?: unknown;
  readonly flags?: unknown;
  readonly left?: unknown;
  readonly right?: unknown;
}

function stable(value: ListedObject, key: string): object {
  const { type, table, flags, right } = value;
  if (key === "match" && isProtocolMatch(value)) return { ...value, right: PROTOCOLS.get(right) ?? right };
  if (type === undefined || table === undefined || !Array.isArray(flags)) return value;
  // nft before 1.1 does not list `dynamic`. What a resolver learned and what ends by itself is not policy.
  const listed = { ...value, flags: flags.filter((flag) => flag !== "dynamic") };
  return flags.includes("timeout") ? { ...listed, elem: undefined } : listed;
}

function isProtocolMatch({ left }: ListedObject): boolean {
  const { meta } = (left ?? {}) as { meta?: { key?: unknown } | null };
  return meta?.key === "l4proto";
}

/** In an element of address, protocol and port. */
function nameProtocol(items: readonly unknown[]): unknown[] {
  return items.map((item, index) => (index === 1 ? (PROTOCOLS.get(item) ?? item) : item));
}
