declare const parsed: unique symbol;

/** An inclusive run of addresses of one family. Only this module makes one, so it is always well formed. */
export interface IpRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly [parsed]: true;
}

const BITS = { 4: 32, 6: 128 } as const;
/** The first 96 bits of `::ffff:0:0/96`. */
const MAPPED = 0xffffn;
const PREFIX_LENGTH = /^(?:0|[1-9]\d{0,2})$/;
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);
const HEX_GROUP = /^[0-9a-f]{1,4}$/i;

/**
 * Reads an IPv4 or IPv6 address or CIDR block. Host bits are cleared and IPv4-mapped IPv6 becomes IPv4.
 * Strict: no leading zeros, no short forms, no zone (RFC 4291 section 2.2, RFC 6943 section 3.1.1).
 * @throws Error when the text is anything else.
 */
export function parseIpRange(text: string): IpRange {
  const range = parseBlock(text);
  if (range === undefined) throw new Error(`${JSON.stringify(text)} is not an IP address or CIDR range`);
  return range;
}

function parseBlock(text: string): IpRange | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const { family, value } = address;
  const length = slash < 0 ? BITS[family] : parsePrefixLength(text.slice(slash + 1), BITS[family]);
  if (length === undefined) return undefined;
  const size = 1n << BigInt(BITS[family] - length);
  const first = value & ~(size - 1n);
  if (family === 4 || value >> 32n !== MAPPED) return makeRange(family, first, first + size - 1n);
  // Wider than all of IPv4, so neither an IPv4 block nor one of IPv6 that anybody means.
  if (length < 96) return undefined;
  return makeRange(4, first & 0xffffffffn, (first & 0xffffffffn) + size - 1n);
}

/** True when the range is one single address. */
export function isSingleAddress(range: IpRange): boolean {
  return range.first === range.last;
}

/** Canonical text: `192.0.2.1`, `192.0.2.0/24`, or `192.0.2.1-192.0.2.9` when no CIDR block fits. */
export function renderIpRange(range: IpRange): string {
  const length = prefixLength(range);
  if (length === undefined) return `${renderAddress(range, range.first)}-${renderAddress(range, range.last)}`;
  const address = renderAddress(range, range.first);
  return length === BITS[range.family] ? address : `${address}/${length}`;
}

/** The same ranges as the fewest possible: sorted, IPv4 first, nothing overlapping, nothing adjacent. */
export function mergeRanges(ranges: readonly IpRange[]): IpRange[] {
  const merged: IpRange[] = [];
  for (const range of [...ranges].sort(compareRanges)) {
    const previous = merged.at(-1);
    if (previous !== undefined && previous.family === range.family && range.first <= previous.last + 1n) {
      if (range.last > previous.last)
        merged[merged.length - 1] = makeRange(range.family, previous.first, range.last);
    } else {
      merged.push(range);
    }
  }
  return merged;
}

/** What of `ranges` lies outside of `removed`, merged. */
export function subtractRanges(ranges: readonly IpRange[], removed: readonly IpRange[]): IpRange[] {
  const holes = mergeRanges(removed);
  const left: IpRange[] = [];
  let hole = 0;
  for (const range of mergeRanges(ranges)) {
    let first = range.first;
    while (hole < holes.length && endsBefore(holes[hole], range)) hole++;
    for (let next = hole; next < holes.length; next++) {
      const cut = holes[next] as IpRange;
      if (cut.family !== range.family || cut.first > range.last) break;
      if (cut.first > first) left.push(makeRange(range.family, first, cut.first - 1n));
      first = cut.last + 1n;
    }
    if (first <= range.last) left.push(makeRange(range.family, first, range.last));
  }
  return left;
}

/** The items' ranges cut at each other's ends: disjoint and sorted, each part with all the items that cover it. */
export function overlayRanges<Item extends { readonly range: IpRange }>(
  items: readonly Item[],
): { readonly range: IpRange; readonly items: readonly Item[] }[] {
  const waiting = [...items].sort((left, right) => compareRanges(left.range, right.range));
  const parts: { range: IpRange; items: Item[] }[] = [];
  let covering: Item[] = [];
  let next = 0;
  let first = 0n;
  while (covering.length > 0 || next < waiting.length) {
    if (covering.length === 0) first = (waiting[next] as Item).range.first;
    const family = (covering[0] ?? (waiting[next] as Item)).range.family;
    const startsAt = (index: number) =>
      waiting[index]?.range.family === family ? (waiting[index] as Item).range.first : undefined;
    while (startsAt(next) === first) covering.push(waiting[next++] as Item);
    const following = startsAt(next);
    const ends = covering.map(({ range }) => range.last);
    const last = [...ends, ...(following === undefined ? [] : [following - 1n])].reduce(smaller);
    parts.push({ range: makeRange(family, first, last), items: covering });
    covering = covering.filter(({ range }) => range.last > last);
    first = last + 1n;
  }
  return parts;
}

function smaller(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}

/** True when every address of `inner` is in one of `ranges`. */
export function coversRange(ranges: readonly IpRange[], inner: IpRange): boolean {
  const near = ranges.filter(
    ({ family, first, last }) => family === inner.family && first <= inner.last && last >= inner.first,
  );
  return subtractRanges([inner], near).length === 0;
}

/** What nft lists for the range as a set element: an address, `{prefix}` or `{range}`. */
export function listedElement(range: IpRange): unknown {
  const length = prefixLength(range);
  const first = renderAddress(range, range.first);
  if (length === undefined) return { range: [first, renderAddress(range, range.last)] };
  return length === BITS[range.family] ? first : { prefix: { addr: first, len: length } };
}

/** Reads one listed set element back; undefined when it is not an address, prefix or range. */
export function parseListedElement(element: unknown): IpRange | undefined {
  if (typeof element === "string") return listedRange(element, element);
  const { prefix, range } = (element ?? {}) as { prefix?: unknown; range?: unknown };
  if (Array.isArray(range) && range.length === 2) return listedRange(range[0], range[1]);
  const { addr, len } = (prefix ?? {}) as { addr?: unknown; len?: unknown };
  const block = listedRange(addr, addr);
  if (block === undefined || typeof len !== "number" || !Number.isInteger(len)) return undefined;
  const last = block.first + (1n << BigInt(Math.max(0, BITS[block.family] - len))) - 1n;
  const listed = makeRange(block.family, block.first, last);
  return prefixLength(listed) === len ? listed : undefined;
}

/** A listing tells the family by the set's type, so a mapped address there stays IPv6. */
function listedRange(first: unknown, last: unknown): IpRange | undefined {
  if (typeof first !== "string" || typeof last !== "string") return undefined;
  const from = parseAddress(first);
  const to = last === first ? from : parseAddress(last);
  if (from === undefined || from.family !== to?.family || from.value > to.value) return undefined;
  return makeRange(from.family, from.value, to.value);
}

function makeRange(family: 4 | 6, first: bigint, last: bigint): IpRange {
  return { family, first, last } as IpRange;
}

/** Order of sorting: IPv4 first, then by first and last address. */
export function compareRanges(left: IpRange, right: IpRange): number {
  if (left.family !== right.family) return left.family - right.family;
  if (left.first !== right.first) return left.first < right.first ? -1 : 1;
  return left.last < right.last ? -1 : left.last > right.last ? 1 : 0;
}

function endsBefore(hole: IpRange | undefined, range: IpRange): boolean {
  if (hole === undefined) return false;
  return hole.family < range.family || (hole.family === range.family && hole.last < range.first);
}

function prefixLength({ family, first, last }: IpRange): number | undefined {
  if (first === last) return BITS[family];
  const size = last - first + 1n;
  if ((size & (size - 1n)) !== 0n || first % size !== 0n) return undefined;
  return BITS[family] - (size.toString(2).length - 1);
}

function parsePrefixLength(text: string, bits: number): number | undefined {
  if (!PREFIX_LENGTH.test(text)) return undefined;
  const length = Number(text);
  return length <= bits ? length : undefined;
}

function parseAddress(text: string): { family: 4 | 6; value: bigint } | undefined {
  const family = text.includes(":") ? 6 : 4;
  const value = family === 6 ? parseIpv6(text) : parseIpv4(text);
  return value === undefined ? undefined : { family, value };
}

function parseIpv4(text: string): bigint | undefined {
  const octets = IPV4.exec(text)?.slice(1);
  return octets === undefined
    ? undefined
    : BigInt(octets.reduce((value, octet) => value * 256 + Number(octet), 0));
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [
    parseGroups(halves[0] ?? "", halves.length === 1),
    parseGroups(halves[1] ?? "", true),
  ];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...Array<bigint>(missing).fill(0n), ...tail].reduce(
    (value, group) => (value << 16n) | group,
    0n,
  );
}

function parseGroups(text: string, mayEndInIpv4: boolean): bigint[] | undefined {
  if (text === "") return [];
  const groups: bigint[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (HEX_GROUP.test(part)) {
      groups.push(BigInt(`0x${part}`));
    } else {
      const ipv4 = mayEndInIpv4 && index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (ipv4 === undefined) return undefined;
      groups.push(ipv4 >> 16n, ipv4 & 0xffffn);
    }
  }
  return groups;
}

function renderAddress({ family }: IpRange, value: bigint): string {
  return family === 4 ? renderIpv4(value) : renderIpv6(value);
}

function renderIpv4(value: bigint): string {
  const bits = Number(value);
  return `${bits >>> 24}.${(bits >>> 16) & 0xff}.${(bits >>> 8) & 0xff}.${bits & 0xff}`;
}

/** As inet_ntop(3) of glibc writes it, since that is what nft lists (RFC 5952 but for embedded IPv4). */
function renderIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  const zeros = longestZeroRun(groups);
  const embedsIpv4 =
    zeros.start === 0 && (zeros.length === 6 || (zeros.length === 5 && groups[5] === 0xffff));
  const words = groups.map((group) => group.toString(16));
  if (embedsIpv4) words.splice(6, 2, renderIpv4(value & 0xffffffffn));
  if (zeros.length < 2) return words.join(":");
  return `${words.slice(0, zeros.start).join(":")}::${words.slice(zeros.start + zeros.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let run = { start: 0, length: 0 };
  for (const [index, group] of groups.entries()) {
    run =
      group === 0
        ? { start: run.length > 0 ? run.start : index, length: run.length + 1 }
        : { start: 0, length: 0 };
    if (run.length > best.length) best = run;
  }
  return best;
}
