import { COUNTERS } from "./counters.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { listedElement, mergeRanges, parseListedElement } from "./ip-range.ts";
import type { Piece } from "./pieces.ts";
import { type PlannedSet, planRuleset, type Ruleset, TABLE } from "./ruleset.ts";
import { listedPorts } from "./statement.ts";

/**
 * What `nft -j list ruleset` shows, one canonical line an object: equal listings enforce the same policy, but for the
 * elements that have an end, which are no part of it.
 */
export type Listing = readonly string[];

/** The listing that the kernel has to show once `renderRuleset(policy, mode)` is loaded. */
export function expectedListing(policy: EgressPolicy, mode: ShieldMode): Listing {
  return plannedListing(planRuleset(policy, mode));
}

function plannedListing({ sets, chains }: Ruleset): Listing {
  return joinListing(plannedSets(sets), plannedChains(chains));
}

/** As nft lists them: the table and its counters, sets, chains and their rules. */
export function joinListing(sets: Listing, chains: Listing): Listing {
  return [...plannedTable(), ...sets, ...chains];
}

export function plannedTable(): Listing {
  return canonicalListing([
    { table: TABLE },
    ...COUNTERS.map((name) => ({ counter: { ...IN_TABLE, name } })),
  ]);
}

/** With their rules. */
export function plannedChains(chains: Ruleset["chains"]): Listing {
  return canonicalListing(listChains(chains));
}

export function plannedSets(sets: Ruleset["sets"]): Listing {
  return sets.map(plannedSet);
}

/** A set may have 100 000 elements, and is compared with the kernel's after it was written down for the next start. */
const plannedLines = new WeakMap<PlannedSet, string>();

function plannedSet(set: PlannedSet): string {
  const line = plannedLines.get(set) ?? canonicalLine({ set: { ...IN_TABLE, ...listSet(set) } });
  plannedLines.set(set, line);
  return line;
}

/**
 * Reads the output of `nft -j list ruleset`: handles, counters' values and what the resolver learned are left out,
 * everything else counts, tables of others too, since they may set marks or rewrite addresses.
 * @throws Error when the text is not such a listing.
 */
export function readListing(json: string): Listing {
  return canonicalListing(listedObjects(json));
}

export function canonicalListing(objects: readonly object[]): Listing {
  return objects.map(canonicalLine);
}

/**
 * The objects of such an output as they are.
 * @throws Error when the text is not such a listing.
 */
export function listedObjects(json: string): object[] {
  const document = JSON.parse(json) as { nftables?: unknown } | null;
  const objects: unknown = document?.nftables;
  if (!Array.isArray(objects) || !objects.every(isListed)) {
    throw new Error("nft printed JSON without a list of objects");
  }
  return objects.filter((object) => !("metainfo" in object));
}

/** As `{"rule": {…}}` is. */
function isListed(value: unknown): value is object {
  return isObject(value) && Object.values(value).every(isObject);
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
  for (const [chain, rules] of left) {
    if (rules.join("\n") !== right.get(chain)?.join("\n")) names.add(nameOfObject(rules[0] ?? ""));
  }
  return [...names];
}

/** Keys are sorted, so a rule begins with its chain and ends with its table. */
const RULE_PLACE = /^\{"rule":\{"chain":("[^"\\]*").*("family":.*)$/s;

function rulesByChain(listing: Listing): Map<string, string[]> {
  const chains = new Map<string, string[]>();
  for (const line of listing.filter(isRule)) {
    // Much faster than to parse it, and there are hundreds.
    const [, chain, table] = RULE_PLACE.exec(line) ?? [];
    const place = chain === undefined ? nameOfObject(line) : `${chain} ${table}`;
    const rules = chains.get(place);
    if (rules === undefined) chains.set(place, [line]);
    else rules.push(line);
  }
  return chains;
}

/** Rules keep their order within a chain; everything else is a set of objects. */
export function sameListing(left: Listing, right: Listing): boolean {
  return left.length === right.length && differingObjects(left, right).length === 0;
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

const IN_TABLE = { family: TABLE.family, table: TABLE.name };

function listChains(chains: Ruleset["chains"]): object[] {
  return [
    ...chains.map(({ name, hook }) => ({
      chain: {
        ...IN_TABLE,
        name,
        ...(hook === undefined ? {} : { type: "filter", hook, prio: 0, policy: "drop" }),
      },
    })),
    ...chains.flatMap(({ name, rules }) =>
      rules.map((rule) => ({
        rule: { ...IN_TABLE, chain: name, expr: rule.flatMap((statement) => statement.listing) },
      })),
    ),
  ];
}

function listSet(set: PlannedSet): object {
  const { name } = set;
  if (set.kind === "lease") return { name, type: "nf_proto", flags: ["timeout"] };
  const type = `ip${set.family}_addr`;
  if (set.kind === "learned") {
    return { name, type, size: 65536, flags: ["timeout"], timeout: set.timeoutSeconds };
  }
  const elem = set.timed || set.pieces.length === 0 ? {} : { elem: set.pieces.map(listPiece) };
  return {
    name,
    type: set.withPorts ? [type, "inet_proto", "inet_service"] : type,
    ...(set.singles ? {} : { flags: ["interval", ...(set.timed ? ["timeout"] : [])] }),
    ...elem,
  };
}

/** What nft lists for the piece, without its time. */
export function listPiece({ range, ports }: Piece): unknown {
  const address = listedElement(range);
  return ports === undefined ? address : { concat: [address, ports.transport, listedPorts(ports)] };
}

/** Reads one listed element back; undefined when it is not addresses, with ports or without. */
export function parseListedPiece(element: unknown): Piece | undefined {
  const concat = typeof element === "object" ? (element as { concat?: unknown } | null)?.concat : undefined;
  if (concat === undefined) {
    const range = parseListedElement(element);
    return range === undefined ? undefined : { range };
  }
  if (!Array.isArray(concat) || concat.length !== 3) return undefined;
  const range = parseListedElement(concat[0]);
  const transport = TRANSPORTS.get(concat[1]) ?? concat[1];
  const [first, last] = isListedRange(concat[2]) ? concat[2].range : [concat[2], concat[2]];
  if (range === undefined || (transport !== "tcp" && transport !== "udp")) return undefined;
  if (typeof first !== "number" || typeof last !== "number") return undefined;
  return { range, ports: { transport, first, last } };
}

function isListedRange(value: unknown): value is { range: unknown[] } {
  return Array.isArray((value as { range?: unknown } | null)?.range);
}

/** Sorted keys and sorted sets, so that two texts are equal when what they say is. */
function canonicalLine(object: unknown): string {
  const entries = Object.entries(object as Record<string, ListedObject>);
  const parts = entries.map(
    ([kind, body]) => `${JSON.stringify(kind)}:${canonicalText(withoutState(kind, body), "")}`,
  );
  return `{${parts.join(",")}}`;
}

interface ListedObject {
  readonly name?: string;
  readonly table?: string;
  readonly chain?: string;
  readonly flags?: unknown;
  readonly timeout?: unknown;
  readonly elem?: unknown;
}

/** The kernel's numbering, what counters counted and what comes and goes by itself are state, not policy. */
function withoutState(kind: string, body: ListedObject): object {
  const state = kind === "counter" ? ["handle", "packets", "bytes"] : ["handle"];
  const stable = Object.fromEntries(Object.entries(body).filter(([key]) => !state.includes(key)));
  if (kind !== "set") return stable;
  const { flags, elem } = body;
  if (!Array.isArray(flags)) return stable;
  if (!flags.includes("timeout")) return { ...stable, elem: mergeElements(elem) };
  // nft before 1.1 does not list the flag `dynamic`.
  return { ...stable, elem: undefined, flags: flags.filter((flag) => flag !== "dynamic") };
}

/** The kernel may list a range in pieces. */
function mergeElements(elements: unknown): unknown {
  if (!Array.isArray(elements)) return elements;
  const ranges = elements.map(parseListedElement).filter((range) => range !== undefined);
  return ranges.length === elements.length ? mergeRanges(ranges).map(listedElement) : elements;
}

const UNORDERED_KEYS = new Set(["set", "elem", "flags", "right"]);

function canonicalText(value: unknown, key: string): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonicalText(item, ""));
    return `[${(UNORDERED_KEYS.has(key) ? items.sort() : items).join(",")}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const body = (numberedTransport(value, key) ?? value) as Record<string, unknown>;
  const names = Object.keys(body).filter((name) => body[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalText(body[name], name)}`)
    .join(",")}}`;
}

const TRANSPORTS = new Map<unknown, string>([
  [6, "tcp"],
  [17, "udp"],
]);

/** nft takes the names of protocols from /etc/protocols (Debian: netbase), and shows numbers where that is missing. */
function numberedTransport(
  value: { left?: unknown; right?: unknown; concat?: unknown },
  key: string,
): object | undefined {
  const left = value.left as { meta?: { key?: unknown } | null } | null | undefined;
  if (key === "match" && left?.meta?.key === "l4proto" && TRANSPORTS.has(value.right)) {
    return { ...value, right: TRANSPORTS.get(value.right) };
  }
  if (!Array.isArray(value.concat) || !TRANSPORTS.has(value.concat[1])) return undefined;
  return { ...value, concat: value.concat.with(1, TRANSPORTS.get(value.concat[1])) };
}
