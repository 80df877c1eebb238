import type { PacketEvent, PacketVerdict } from "./shield-event.ts";

/** The names by which tools know IP protocols (IANA, "Assigned Internet Protocol Numbers"). */
const PROTOCOLS = new Map([
  [1, "icmp"],
  [2, "igmp"],
  [4, "ipip"],
  [6, "tcp"],
  [17, "udp"],
  [33, "dccp"],
  [41, "ipv6"],
  [47, "gre"],
  [50, "esp"],
  [51, "ah"],
  [58, "icmpv6"],
  [89, "ospf"],
  [103, "pim"],
  [112, "vrrp"],
  [115, "l2tp"],
  [132, "sctp"],
  [136, "udplite"],
]);

const VERDICTS = new Map<string, PacketVerdict>([
  ["ALLOWED", "allowed"],
  ["BYPASS", "bypass"],
  ["BLOCKED", "blocked"],
  ["DENIED", "denied"],
  ["PRIVATE", "private"],
]);

const PREFIX = /^TEROK_SHIELD_([A-Z]+): ?$/;

/** Reads one line of ulogd's JSON; undefined when it is torn, or no packet that our rules logged. */
export function parsePacketLine(line: string, container: string): PacketEvent | undefined {
  // What found no room was cut off, and the next one follows it in the same line.
  const fields = parseFields(line) ?? parseFields(line.slice(Math.max(0, line.lastIndexOf('{"timestamp"'))));
  const verdict = VERDICTS.get(PREFIX.exec(String(fields?.["oob.prefix"]))?.[1] ?? "");
  const ts = fields === undefined ? undefined : readTime(fields);
  const address = canonicalAddress(fields?.dest_ip);
  const protocol = readNumber(fields?.["ip.protocol"], 255);
  if (fields === undefined || verdict === undefined || ts === undefined) return undefined;
  if (address === undefined || protocol === undefined) return undefined;
  return {
    v: 1,
    ts,
    container,
    action: "packet",
    verdict,
    protocol: PROTOCOLS.get(protocol) ?? `protocol ${protocol}`,
    address,
    ...optional("port", readNumber(fields.dest_port, 65_535)),
    ...optional("sourcePort", readNumber(fields.src_port, 65_535)),
    ...optional("icmpType", readNumber(fields["icmp.type"] ?? fields["icmpv6.type"], 255)),
    ...optional("uid", readNumber(fields["oob.uid"], 0xffff_fffe)),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** The kernel's time where it gave one; else ulogd's own, which runs in UTC. */
function readTime(fields: Fields): string | undefined {
  const seconds = readNumber(fields["oob.time.sec"], 0xffff_ffff);
  const microseconds = readNumber(fields["oob.time.usec"], 999_999) ?? 0;
  if (seconds !== undefined && seconds > 0) return toIso(seconds * 1000 + Math.floor(microseconds / 1000));
  const { timestamp } = fields;
  if (typeof timestamp !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?$/.test(timestamp)) {
    return undefined;
  }
  return toIso(Date.parse(`${timestamp}Z`));
}

function toIso(milliseconds: number): string | undefined {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : undefined;
}

function readNumber(value: unknown, maximum: number): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= maximum
    ? Number(value)
    : undefined;
}

/** RFC 5952, in the form that a URL has it: IPv6 ends in no IPv4 address. */
function canonicalAddress(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const isIpv6 = /^[0-9a-f:.]{2,45}$/i.test(value) && value.includes(":");
  if (!isIpv6 && !/^(?:\d{1,3}\.){3}\d{1,3}$/.test(value)) return undefined;
  try {
    const { hostname } = new URL(isIpv6 ? `http://[${value}]` : `http://${value}`);
    if (isIpv6) return hostname.slice(1, -1);
    return hostname === value ? value : undefined;
  } catch {
    return undefined;
  }
}

function optional<Key extends string>(key: Key, value: number | undefined): { [K in Key]?: number } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: number });
}
