import { compareRanges, type IpRange, parseListedElement, renderIpRange } from "./ip-range.ts";

/** The first packet of something that a container begins. */
export interface FirstPacket {
  /** One address. */
  readonly address: IpRange;
  /** `icmp` is an echo request of the address's family. */
  readonly protocol: "tcp" | "udp" | "icmp";
  /** Destination; of TCP and UDP. */
  readonly port?: number;
  /** It is for the container itself, and so leaves by `lo`. */
  readonly isLocal: boolean;
}

/** What rules set on their way. */
export interface Marks {
  readonly connection: number;
  readonly packet: number;
}

/** Undefined where it cannot be told. */
export type Truth = boolean | undefined;

/** An element of a set that was looked up and found. */
export interface FoundElement {
  readonly set: string;
  /** As nft writes it: `198.51.100.0/24`, `198.51.100.7 . tcp . 443`. */
  readonly element: string;
  readonly remainingSeconds?: number;
}

export interface ListedSet {
  readonly name: string;
  readonly elements: readonly SetElement[];
  /** The addresses of a set of nothing else, sorted; filled when it is first looked at. */
  sorted?: readonly { readonly range: IpRange; readonly element: SetElement }[] | "other";
}

interface SetElement {
  readonly value: unknown;
  readonly remainingSeconds?: number;
}

/** What a field of a packet is: not there, unless it is something, or not to be told. */
type Field =
  | { readonly kind: "absent" | "unknown" }
  | { readonly kind: "address"; readonly address: IpRange }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "word"; readonly value: string; readonly number?: number }
  /** The name of an interface, known to be `lo` or known not to be. */
  | { readonly kind: "interface"; readonly isLoopback: boolean };

const ABSENT: Field = { kind: "absent" };
const UNKNOWN: Field = { kind: "unknown" };
const PROTOCOL = { tcp: 6, udp: 17 } as const;
const PROTOCOL_NUMBERS = new Map<unknown, number>([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
]);

/** Whether a packet matches, and where a set was looked up, what was found in it. */
export function matchPacket(
  listed: unknown,
  packet: FirstPacket,
  marks: Marks,
  sets: ReadonlyMap<string, ListedSet>,
): { readonly truth: Truth; readonly found?: FoundElement } {
  const { op, left, right } = (listed ?? {}) as { op?: unknown; left?: unknown; right?: unknown };
  const exists = matchOptions(left, right, op);
  if (exists !== undefined) return { truth: exists };
  const fields = fieldsOf(left, packet, marks);
  // nft looks at the family and the protocol first, so a header that is not there matches nothing, in no way.
  if (fields.some(({ kind }) => kind === "absent")) return { truth: false };
  const negate = op === "!=";
  if (op !== "==" && op !== "in" && !negate) return { truth: undefined };
  if (op === "in" && !isConnectionState(left)) return { truth: undefined };
  const { truth, element } = find(fields, right, sets);
  const isInSet = typeof right === "string" && right.startsWith("@");
  return {
    truth: truth === undefined ? undefined : truth !== negate,
    ...(truth && !negate && isInSet && element !== undefined
      ? { found: describeElement(right.slice(1), element) }
      : {}),
  };
}

export function readSetElement(listed: unknown): SetElement {
  const { val, expires } = ((listed as { elem?: unknown } | null)?.elem ?? {}) as {
    val?: unknown;
    expires?: unknown;
  };
  if (val === undefined) return { value: listed };
  return { value: val, ...(typeof expires === "number" ? { remainingSeconds: expires } : {}) };
}

/** The ports at which what is looked up for the address may change: the first one of each run. */
export function portBoundaries(
  listed: unknown,
  address: IpRange,
  sets: ReadonlyMap<string, ListedSet>,
): number[] {
  const { left, right } = (listed ?? {}) as { left?: unknown; right?: unknown };
  const parts = concatenated(left);
  const portIndex = parts.findIndex((part) => payloadOf(part)?.field === "dport");
  if (portIndex < 0) return [];
  const values = valuesOf(right, sets).filter((value) => coversAddress(parts, value, address));
  return values.flatMap((value) => runOf(parts.length > 1 ? concatenated(value)[portIndex] : value));
}

function runOf(listed: unknown): number[] {
  const range = rangeOf(listed) ?? [listed, listed];
  const [first, last] = range;
  return typeof first === "number" && typeof last === "number" ? [first, last + 1] : [];
}

function coversAddress(parts: readonly unknown[], value: unknown, address: IpRange): boolean {
  const index = parts.findIndex((part) => payloadOf(part)?.field === "daddr");
  if (index < 0 || parts.length === 1) return true;
  const range = parseListedElement(concatenated(value)[index]);
  return range === undefined || covers(range, address);
}

function valuesOf(right: unknown, sets: ReadonlyMap<string, ListedSet>): readonly unknown[] {
  if (typeof right === "string" && right.startsWith("@")) {
    return (sets.get(right.slice(1))?.elements ?? []).map(({ value }) => value);
  }
  const { set } = (right ?? {}) as { set?: unknown };
  return Array.isArray(set) ? set : [right];
}

function matchOptions(left: unknown, right: unknown, op: unknown): Truth {
  const { "ip option": option, exthdr } = (left ?? {}) as { "ip option"?: object; exthdr?: object };
  const header = option ?? exthdr;
  // An ordinary packet has none; nothing else than whether there is one is asked here.
  const asksOnlyWhether = header !== undefined && Object.keys(header).every((key) => key === "name");
  return asksOnlyWhether && typeof right === "boolean" && op === "==" ? !right : undefined;
}

function isConnectionState(left: unknown): boolean {
  return (left as { ct?: { key?: unknown } } | null)?.ct?.key === "state";
}

function concatenated(listed: unknown): readonly unknown[] {
  const { concat } = (listed ?? {}) as { concat?: unknown };
  return Array.isArray(concat) ? concat : [listed];
}

function payloadOf(listed: unknown): { readonly protocol?: unknown; readonly field?: unknown } | undefined {
  return (listed as { payload?: { protocol?: unknown; field?: unknown } } | null)?.payload;
}

function fieldsOf(left: unknown, packet: FirstPacket, marks: Marks): Field[] {
  return concatenated(left).map((part) => fieldOf(part, packet, marks));
}

function fieldOf(listed: unknown, packet: FirstPacket, marks: Marks): Field {
  const { meta, ct } = (listed ?? {}) as { meta?: { key?: unknown }; ct?: { key?: unknown } };
  const payload = payloadOf(listed);
  if (payload !== undefined) return payloadField(payload, packet);
  switch (meta?.key) {
    case "oifname":
      return { kind: "interface", isLoopback: packet.isLocal };
    case "nfproto":
      return { kind: "word", value: `ipv${packet.address.family}` };
    case "l4proto":
      return { kind: "number", value: protocolNumber(packet) };
    case "mark":
      return { kind: "number", value: marks.packet };
  }
  switch (ct?.key) {
    case "state":
      return { kind: "word", value: "new" };
    case "direction":
      return { kind: "word", value: "original" };
    case "l3proto":
      return { kind: "word", value: `ipv${packet.address.family}` };
    case "mark":
      return { kind: "number", value: marks.connection };
  }
  return UNKNOWN;
}

function protocolNumber({ protocol, address }: FirstPacket): number {
  if (protocol !== "icmp") return PROTOCOL[protocol];
  return address.family === 4 ? 1 : 58;
}

function payloadField(
  { protocol, field }: { readonly protocol?: unknown; readonly field?: unknown },
  packet: FirstPacket,
): Field {
  const { address, port } = packet;
  switch (protocol) {
    case "ip":
    case "ip6":
      if ((protocol === "ip" ? 4 : 6) !== address.family) return ABSENT;
      return field === "daddr" ? { kind: "address", address } : UNKNOWN;
    case "tcp":
    case "udp":
      if (protocol !== packet.protocol) return ABSENT;
      return portField(field, port);
    case "th":
      return packet.protocol === "icmp" ? UNKNOWN : portField(field, port);
    case "icmp":
    case "icmpv6":
      if (packet.protocol !== "icmp" || (protocol === "icmp") !== (address.family === 4)) return ABSENT;
      return field === "type"
        ? { kind: "word", value: "echo-request", number: address.family === 4 ? 8 : 128 }
        : UNKNOWN;
    default:
      return UNKNOWN;
  }
}

function portField(field: unknown, port: number | undefined): Field {
  return field === "dport" && port !== undefined ? { kind: "number", value: port } : UNKNOWN;
}

interface Found {
  readonly truth: Truth;
  readonly element?: SetElement;
}

function find(fields: readonly Field[], right: unknown, sets: ReadonlyMap<string, ListedSet>): Found {
  if (typeof right === "string" && right.startsWith("@")) {
    const set = sets.get(right.slice(1));
    return set === undefined ? { truth: undefined } : findInSet(fields, set);
  }
  const { set } = (right ?? {}) as { set?: unknown };
  const values = Array.isArray(set) ? set : Array.isArray(right) ? right : [right];
  return findAmong(
    fields,
    values.map((value) => ({ value })),
  );
}

function findInSet(fields: readonly Field[], set: ListedSet): Found {
  const [field] = fields;
  if (fields.length !== 1 || field?.kind !== "address") return findAmong(fields, set.elements);
  set.sorted ??= sortElements(set.elements);
  return set.sorted === "other" ? findAmong(fields, set.elements) : findSorted(field.address, set.sorted);
}

function sortElements(elements: readonly SetElement[]): NonNullable<ListedSet["sorted"]> {
  const ranges = elements.flatMap((element) => {
    const range = parseListedElement(element.value);
    return range === undefined ? [] : [{ range, element }];
  });
  if (ranges.length < elements.length) return "other";
  return ranges.sort((left, right) => compareRanges(left.range, right.range));
}

/** The elements of a set do not overlap. */
function findSorted(address: IpRange, sorted: Exclude<NonNullable<ListedSet["sorted"]>, "other">): Found {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = sorted[middle]?.range;
    if (range !== undefined && (range.family < address.family || range.first <= address.first)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const last = sorted[low - 1];
  return last !== undefined && covers(last.range, address)
    ? { truth: true, element: last.element }
    : { truth: false };
}

function findAmong(fields: readonly Field[], elements: readonly SetElement[]): Found {
  let truth: Truth = false;
  for (const element of elements) {
    const values = fields.length === 1 ? [element.value] : concatenated(element.value);
    const found = values.length === fields.length ? every(fields, values) : undefined;
    if (found) return { truth: true, element };
    if (found === undefined) truth = undefined;
  }
  return { truth };
}

function every(fields: readonly Field[], values: readonly unknown[]): Truth {
  const truths = fields.map((field, index) => isValue(field, values[index]));
  if (truths.includes(false)) return false;
  return truths.includes(undefined) ? undefined : true;
}

function isValue(field: Field, listed: unknown): Truth {
  switch (field.kind) {
    case "address": {
      const range = parseListedElement(listed);
      return range === undefined ? undefined : covers(range, field.address);
    }
    case "number":
      return isNumber(field.value, listed);
    case "word":
      if (typeof listed === "string") return listed === field.value;
      return field.number === undefined ? undefined : isNumber(field.number, listed);
    case "interface":
      if (typeof listed !== "string" || listed.includes("*")) return undefined;
      if (listed === "lo") return field.isLoopback;
      return field.isLoopback ? false : undefined;
    default:
      return undefined;
  }
}

function isNumber(value: number, listed: unknown): Truth {
  const [first, last] = (rangeOf(listed) ?? [listed, listed]).map(numberOf);
  return first === undefined || last === undefined ? undefined : first <= value && value <= last;
}

function numberOf(listed: unknown): number | undefined {
  return typeof listed === "number" ? listed : PROTOCOL_NUMBERS.get(listed);
}

function rangeOf(listed: unknown): readonly [unknown, unknown] | undefined {
  const { range } = (listed ?? {}) as { range?: unknown };
  return Array.isArray(range) && range.length === 2 ? [range[0], range[1]] : undefined;
}

function covers(range: IpRange, address: IpRange): boolean {
  return range.family === address.family && range.first <= address.first && address.last <= range.last;
}

function describeElement(set: string, { value, remainingSeconds }: SetElement): FoundElement {
  const element = concatenated(value).map(describeValue).join(" . ");
  return { set, element, ...(remainingSeconds === undefined ? {} : { remainingSeconds }) };
}

function describeValue(listed: unknown): string {
  const range = parseListedElement(listed);
  if (range !== undefined) return renderIpRange(range);
  const [first, last] = rangeOf(listed) ?? [listed, listed];
  return first === last ? String(first) : `${String(first)}-${String(last)}`;
}
