import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { listedElement, mergeRanges, parseListedElement } from "./ip-range.ts";
import { type AddressSet, planRuleset, type Ruleset, TABLE } from "./ruleset.ts";

/** What `nft -j list ruleset` shows, one canonical line an object: equal listings enforce the same policy. */
export type Listing = readonly string[];

/** The listing that the kernel has to show once `renderRuleset(policy, mode)` is loaded. */
export function expectedListing(policy: EgressPolicy, mode: ShieldMode): Listing {
  return listRuleset(planRuleset(policy, mode)).map(canonicalLine);
}

/**
 * Reads the output of `nft -j list ruleset`: handles, counters' values and what the resolver learned are left out,
 * everything else counts, tables of others too, since they may set marks or rewrite addresses.
 * @throws Error when the text is not such a listing.
 */
export function readListing(json: string): Listing {
  const document = JSON.parse(json) as { nftables?: unknown } | null;
  const objects: unknown = document?.nftables;
  if (!Array.isArray(objects) || !objects.every(isObject)) {
    throw new Error("nft printed JSON without a list of objects");
  }
  return objects.filter((object) => !("metainfo" in object)).map(canonicalLine);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The objects that the listings show differently, for a message that names them. */
export function differingObjects(expected: Listing, actual: Listing): string[] {
  const names = new Set<string>();
  for (const [left, right] of [
    [expected, new Set(actual)],
    [actual, new Set(expected)],
  ] as const) {
    for (const line of left) if (!right.has(line)) names.add(nameOfObject(line));
  }
  const [left, right] = [rulesByChain(expected), rulesByChain(actual)];
  for (const [chain, rules] of left) if (rules !== right.get(chain)) names.add(chain);
  return [...names];
}

function rulesByChain(listing: Listing): Map<string, string> {
  const chains = new Map<string, string>();
  for (const line of listing.filter(isRule)) {
    const chain = nameOfObject(line);
    chains.set(chain, `${chains.get(chain) ?? ""}${line}\n`);
  }
  return chains;
}

/** Rules keep their order within a chain; everything else is a set of objects. */
export function sameListing(left: Listing, right: Listing): boolean {
  return (
    left.length === right.length &&
    same(left.filter(isRule), right.filter(isRule)) &&
    same(left.filter((line) => !isRule(line)).sort(), right.filter((line) => !isRule(line)).sort())
  );
}

function same(left: Listing, right: Listing): boolean {
  return left.every((line, index) => line === right[index]);
}

function isRule(line: string): boolean {
  return line.startsWith('{"rule":');
}

function nameOfObject(line: string): string {
  const [[kind, object] = ["object", {}]] = Object.entries(JSON.parse(line) as Record<string, ListedObject>);
  const isOurs = (table?: string) => table === TABLE.name;
  if (kind === "table") return `table ${isOurs(object.name) ? TABLE.name : JSON.stringify(object.name)}`;
  const place = isOurs(object.table) ? "" : ` of table ${JSON.stringify(object.table)}`;
  return `${kind === "rule" ? `chain ${object.chain}` : `${kind} ${object.name}`}${place}`;
}

function listRuleset({ counters, sets, chains }: Ruleset): unknown[] {
  const inTable = { family: TABLE.family, table: TABLE.name };
  return [
    { table: { family: TABLE.family, name: TABLE.name } },
    ...counters.map((name) => ({ counter: { ...inTable, name } })),
    ...sets.map((set) => ({ set: { ...inTable, ...listSet(set) } })),
    ...chains.map(({ name, hook }) => ({
      chain: {
        ...inTable,
        name,
        ...(hook === undefined ? {} : { type: "filter", hook, prio: 0, policy: "drop" }),
      },
    })),
    ...chains.flatMap(({ name, rules }) =>
      rules.map((rule) => ({
        rule: { ...inTable, chain: name, expr: rule.flatMap((statement) => statement.listing) },
      })),
    ),
  ];
}

function listSet({ name, family, content }: AddressSet): object {
  const type = `ip${family}_addr`;
  if (content.kind === "timed")
    return { name, type, size: 65536, flags: ["timeout"], timeout: content.timeoutSeconds };
  const elem = content.ranges.map(listedElement);
  return { name, type, flags: ["interval"], ...(elem.length === 0 ? {} : { elem }) };
}

/** Sorted keys and sorted sets, so that two texts are equal when what they say is. */
function canonicalLine(object: unknown): string {
  const entries = Object.entries(object as Record<string, ListedObject>);
  return JSON.stringify(
    Object.fromEntries(entries.map(([kind, body]) => [kind, canonical(withoutState(kind, body), "")])),
  );
}

interface ListedObject {
  readonly name?: string;
  readonly table?: string;
  readonly chain?: string;
  readonly flags?: unknown;
  readonly timeout?: unknown;
  readonly elem?: unknown;
}

/** The kernel's numbering, what counters counted and what the resolver learned are state, not policy. */
function withoutState(kind: string, body: ListedObject): object {
  const state = kind === "counter" ? ["handle", "packets", "bytes"] : ["handle"];
  const stable = Object.fromEntries(Object.entries(body).filter(([key]) => !state.includes(key)));
  if (kind !== "set") return stable;
  if (isTimed(body)) return { ...stable, elem: undefined, flags: ["timeout"] };
  return { ...stable, elem: mergeElements(body.elem) };
}

/** nft before 1.1 does not list the flag `dynamic`. */
function isTimed({ timeout, flags }: ListedObject): boolean {
  if (timeout === undefined || !Array.isArray(flags)) return false;
  return flags.includes("timeout") && flags.every((flag) => flag === "timeout" || flag === "dynamic");
}

/** The kernel may list a range in pieces. */
function mergeElements(elements: unknown): unknown {
  if (!Array.isArray(elements)) return elements;
  const ranges = elements.map(parseListedElement).filter((range) => range !== undefined);
  return ranges.length === elements.length ? mergeRanges(ranges).map(listedElement) : elements;
}

const UNORDERED_KEYS = new Set(["set", "elem", "flags", "right"]);

function canonical(value: unknown, key: string): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, ""));
    return UNORDERED_KEYS.has(key) ? sortedByText(items) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  if (isNumberedTcp(value, key)) return canonical({ ...value, right: "tcp" }, key);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => [name, canonical(item, name)] as const);
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** nft takes the names of protocols from /etc/protocols (Debian: netbase), and shows numbers where that is missing. */
function isNumberedTcp(value: { left?: unknown; right?: unknown }, key: string): boolean {
  const left = value.left as { meta?: { key?: unknown } | null } | null | undefined;
  return key === "match" && left?.meta?.key === "l4proto" && value.right === 6;
}

function sortedByText(items: readonly unknown[]): unknown[] {
  return items
    .map((item) => ({ item, text: JSON.stringify(item) }))
    .sort((left, right) => (left.text < right.text ? -1 : left.text > right.text ? 1 : 0))
    .map(({ item }) => item);
}
