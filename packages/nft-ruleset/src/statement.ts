import { type IpRange, listedElement, renderIpRange } from "./ip-range.ts";

/** One statement of a rule twice: as nft reads it and as `nft -j list` shows it (libnftables-json(5)). */
export interface Statement {
  readonly text: string;
  readonly listing: readonly unknown[];
}

export type Family = "v4" | "v6";

const PROTOCOL = { v4: "ip", v6: "ip6" } as const;

export const accept: Statement = { text: "accept", listing: [{ accept: null }] };
export const drop: Statement = { text: "drop", listing: [{ drop: null }] };

export function outputInterface(name: string): Statement {
  return { text: `oifname "${name}"`, listing: [match({ meta: { key: "oifname" } }, name)] };
}

export function inputInterface(name: string): Statement {
  return { text: `iifname "${name}"`, listing: [match({ meta: { key: "iifname" } }, name)] };
}

export function destination(family: Family, target: IpRange | `@${string}`): Statement {
  return matchAddress(family, "daddr", target);
}

export function source(family: Family, target: IpRange | `@${string}`): Statement {
  return matchAddress(family, "saddr", target);
}

export function updateElement(family: Family, set: string): Statement {
  return {
    text: `update @${set} { ${PROTOCOL[family]} daddr }`,
    listing: [{ set: { op: "update", elem: addressField(family, "daddr"), set: `@${set}` } }],
  };
}

export function destinationPort(protocol: "tcp" | "udp", ports: readonly number[]): Statement {
  const sorted = [...new Set(ports)].sort((left, right) => left - right);
  const single = sorted.length === 1;
  return {
    text: `${protocol} dport ${single ? sorted[0] : `{ ${sorted.join(", ")} }`}`,
    listing: [match({ payload: { protocol, field: "dport" } }, single ? sorted[0] : { set: sorted })],
  };
}

export function protocolIs(protocol: "tcp"): Statement {
  return { text: `meta l4proto ${protocol}`, listing: [match({ meta: { key: "l4proto" } }, protocol)] };
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

export function connectionState(
  states: readonly ["established"] | readonly ["established", "related"],
): Statement {
  return {
    text: `ct state ${states.join(",")}`,
    listing: [match({ ct: { key: "state" } }, states.length === 1 ? states[0] : states, "in")],
  };
}

export function newConnection(): Statement {
  return { text: "ct state new", listing: [match({ ct: { key: "state" } }, "new", "in")] };
}

export function replyDirection(): Statement {
  return { text: "ct direction reply", listing: [match({ ct: { key: "direction" } }, "reply")] };
}

export function connectionMark(marks: readonly number[]): Statement {
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

/** Unless told otherwise, the kernel holds packets back for up to a second to hand over many at once. */
export function logTo(group: number, prefix: string): Statement {
  return {
    text: `log prefix "${prefix}" group ${group} queue-threshold 1`,
    listing: [{ log: { prefix, group, "queue-threshold": 1 } }],
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

function match(left: unknown, right: unknown, op: "==" | "in" = "=="): unknown {
  return { match: { op, left, right } };
}

function matchAddress(family: Family, field: "saddr" | "daddr", target: IpRange | `@${string}`): Statement {
  const text = typeof target === "string" ? target : renderIpRange(target);
  const right = typeof target === "string" ? target : listedElement(target);
  return {
    text: `${PROTOCOL[family]} ${field} ${text}`,
    listing: [match(addressField(family, field), right)],
  };
}

function addressField(family: Family, field: "saddr" | "daddr"): unknown {
  return { payload: { protocol: PROTOCOL[family], field } };
}

function hexadecimal(mark: number): string {
  return `0x${mark.toString(16).padStart(8, "0")}`;
}
