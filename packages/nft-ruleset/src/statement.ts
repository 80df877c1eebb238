import { type IpRange, listedElement, renderIpRange } from "./ip-range.ts";
import { type PortRange, renderPorts, type Transport } from "./port-area.ts";

/** One statement of a rule twice: as nft reads it and as `nft -j list` shows it (libnftables-json(5)). */
export interface Statement {
  readonly text: string;
  readonly listing: readonly unknown[];
}

export type Family = "v4" | "v6";
export const FAMILIES: readonly Family[] = ["v4", "v6"];
/** Which end of a packet's way is looked at. */
export type End = "destination" | "source";

const PROTOCOL = { v4: "ip", v6: "ip6" } as const;
const ADDRESS = { destination: "daddr", source: "saddr" } as const;
const PORT = { destination: "dport", source: "sport" } as const;

export const accept: Statement = { text: "accept", listing: [{ accept: null }] };
export const drop: Statement = { text: "drop", listing: [{ drop: null }] };

export function outputInterface(name: string): Statement {
  return { text: `oifname "${name}"`, listing: [match({ meta: { key: "oifname" } }, name)] };
}

export function inputInterface(name: string): Statement {
  return { text: `iifname "${name}"`, listing: [match({ meta: { key: "iifname" } }, name)] };
}

export function address(end: End, family: Family, range: IpRange): Statement {
  return {
    text: `${PROTOCOL[family]} ${ADDRESS[end]} ${renderIpRange(range)}`,
    listing: [match(addressField(end, family), listedElement(range))],
  };
}

export function addressIn(end: End, family: Family, set: string): Statement {
  return lookUp(set, `${PROTOCOL[family]} ${ADDRESS[end]}`, addressField(end, family));
}

export function addressNotIn(end: End, family: Family, set: string): Statement {
  return lookUp(set, `${PROTOCOL[family]} ${ADDRESS[end]}`, addressField(end, family), "!=");
}

/** Address, transport protocol and port in one look-up: a packet without ports is in no such set. */
export function serviceIn(end: End, family: Family, set: string): Statement {
  return lookUp(set, serviceText(end, family), serviceFields(end, family));
}

export function serviceNotIn(end: End, family: Family, set: string): Statement {
  return lookUp(set, serviceText(end, family), serviceFields(end, family), "!=");
}

/**
 * The set holds `ipv4` and `ipv6` as long as something lasts. Beside a look-up of the packet's own protocol, nft 1.1
 * takes no address of it.
 */
export function lasts(set: string): Statement {
  return lookUp(set, "ct l3proto", { ct: { key: "l3proto" } });
}

export function updateElement(family: Family, set: string): Statement {
  return {
    text: `update @${set} { ${PROTOCOL[family]} daddr }`,
    listing: [{ set: { op: "update", elem: addressField("destination", family), set: `@${set}` } }],
  };
}

export function destinationPort(protocol: Transport, ports: readonly number[]): Statement {
  const sorted = [...new Set(ports)].sort((left, right) => left - right);
  return portIn(
    "destination",
    protocol,
    sorted.map((port) => ({ first: port, last: port })),
  );
}

/** @param ports at least one, sorted and disjoint */
export function portIn(end: End, protocol: Transport, ports: readonly PortRange[]): Statement {
  const texts = ports.map(renderPorts);
  const listed = ports.map(listedPorts);
  const single = ports.length === 1;
  return {
    text: `${protocol} ${PORT[end]} ${single ? texts[0] : `{ ${texts.join(", ")} }`}`,
    listing: [match({ payload: { protocol, field: PORT[end] } }, single ? listed[0] : { set: listed })],
  };
}

/** What nft lists for ports, in a rule and in an element. */
export function listedPorts({ first, last }: PortRange): unknown {
  return first === last ? first : { range: [first, last] };
}

/**
 * An answer of DNS over UDP that says that. nft lists a part of a byte in a way that depends on its version, so this is
 * the whole byte: what else is in it may be anything.
 */
export function answerSays(responseCode: number): Statement {
  const values = Array.from({ length: 16 }, (_, others) => others * 16 + responseCode);
  return {
    text: `@th,88,8 { ${values.join(", ")} }`,
    listing: [match({ payload: { base: "th", offset: 88, len: 8 } }, { set: values })],
  };
}

export function protocolIs(protocol: Transport): Statement {
  return { text: `meta l4proto ${protocol}`, listing: [match({ meta: { key: "l4proto" } }, protocol)] };
}

export function protocolIsNot(protocol: Transport): Statement {
  return {
    text: `meta l4proto != ${protocol}`,
    listing: [match({ meta: { key: "l4proto" } }, protocol, "!=")],
  };
}

export const isIpv6: Statement = {
  text: "meta nfproto ipv6",
  listing: [match({ meta: { key: "nfproto" } }, "ipv6")],
};

export const multicastReport: Statement = {
  text: "icmpv6 type mld2-listener-report",
  listing: [match({ payload: { protocol: "icmpv6", field: "type" } }, "mld2-listener-report")],
};

export function hopLimit(hops: number): Statement {
  return {
    text: `ip6 hoplimit ${hops}`,
    listing: [match({ payload: { protocol: "ip6", field: "hoplimit" } }, hops)],
  };
}

export function icmpv6Type(types: readonly string[]): Statement {
  return {
    text: `icmpv6 type { ${types.join(", ")} }`,
    listing: [match({ payload: { protocol: "icmpv6", field: "type" } }, { set: types })],
  };
}

export function ipOptionExists(name: "lsrr" | "ssrr"): Statement {
  return { text: `ip option ${name} exists`, listing: [match({ "ip option": { name } }, true)] };
}

export function routingHeaderExists(): Statement {
  return { text: "exthdr rt exists", listing: [match({ exthdr: { name: "rt" } }, true)] };
}

export function connectionState(...states: readonly ("new" | "established" | "related")[]): Statement {
  return {
    text: `ct state ${states.join(",")}`,
    listing: [match({ ct: { key: "state" } }, states.length === 1 ? states[0] : states, "in")],
  };
}

export function connectionDirection(direction: "original" | "reply"): Statement {
  return {
    text: `ct direction ${direction}`,
    listing: [match({ ct: { key: "direction" } }, direction)],
  };
}

export function connectionMark(...marks: readonly number[]): Statement {
  const single = marks.length === 1;
  const texts = marks.map(hexadecimal);
  return {
    text: `ct mark ${single ? texts[0] : `{ ${texts.join(", ")} }`}`,
    listing: [match({ ct: { key: "mark" } }, single ? marks[0] : { set: marks })],
  };
}

export function setConnectionMark(mark: number): Statement {
  return {
    text: `ct mark set ${hexadecimal(mark)}`,
    listing: [{ mangle: { key: { ct: { key: "mark" } }, value: mark } }],
  };
}

export function packetMark(mark: number): Statement {
  return { text: `meta mark ${hexadecimal(mark)}`, listing: [match({ meta: { key: "mark" } }, mark)] };
}

export function countWith(counter: string): Statement {
  return { text: `counter name "${counter}"`, listing: [{ counter }] };
}

export function limitRate(packetsPerSecond: number, burst: number): Statement {
  return {
    text: `limit rate ${packetsPerSecond}/second burst ${burst} packets`,
    listing: [{ limit: { rate: packetsPerSecond, burst, per: "second" } }],
  };
}

/** Matches what is more than that. */
export function overRate(perSecond: number, burst: number): Statement {
  return {
    text: `limit rate over ${perSecond}/second burst ${burst} packets`,
    listing: [{ limit: { rate: perSecond, burst, per: "second", inv: true } }],
  };
}

/** Headers are enough to tell what a packet is. */
const LOGGED_BYTES = 128;
/** Handed over at once, so that the reader's buffer holds a burst; the reader says how long the kernel waits for them. */
const LOGGED_AT_ONCE = 16;

export function logTo(group: number, prefix: string): Statement {
  return {
    text: `log prefix "${prefix}" group ${group} snaplen ${LOGGED_BYTES} queue-threshold ${LOGGED_AT_ONCE}`,
    listing: [{ log: { prefix, group, snaplen: LOGGED_BYTES, "queue-threshold": LOGGED_AT_ONCE } }],
  };
}

export function goto(chain: string): Statement {
  return { text: `goto ${chain}`, listing: [{ goto: { target: chain } }] };
}

export const rejectWithReset: Statement = {
  text: "reject with tcp reset",
  listing: [{ reject: { type: "tcp reset" } }],
};

export const rejectAsProhibited: Statement = {
  text: "reject with icmpx admin-prohibited",
  listing: [{ reject: { type: "icmpx", expr: "admin-prohibited" } }],
};

function match(left: unknown, right: unknown, op: "==" | "!=" | "in" = "=="): unknown {
  return { match: { op, left, right } };
}

function lookUp(set: string, text: string, listed: unknown, op: "==" | "!=" = "=="): Statement {
  return {
    text: `${text} ${op === "!=" ? "!= " : ""}@${set}`,
    listing: [match(listed, `@${set}`, op)],
  };
}

function addressField(end: End, family: Family): unknown {
  return { payload: { protocol: PROTOCOL[family], field: ADDRESS[end] } };
}

function serviceText(end: End, family: Family): string {
  return `${PROTOCOL[family]} ${ADDRESS[end]} . meta l4proto . th ${PORT[end]}`;
}

function serviceFields(end: End, family: Family): unknown {
  const port = { payload: { protocol: "th", field: PORT[end] } };
  return { concat: [addressField(end, family), { meta: { key: "l4proto" } }, port] };
}

function hexadecimal(mark: number): string {
  return `0x${mark.toString(16).padStart(8, "0")}`;
}
