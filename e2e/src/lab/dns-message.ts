import { isIPv4 } from "node:net";
import type { ZoneEntry } from "./zone.ts";

type Zone = ReadonlyMap<string, ZoneEntry>;

export interface DnsQuery {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  /** The question as it came, for the reply to repeat. */
  readonly question: Buffer;
  /** The largest reply that the asker takes by UDP. */
  readonly udpSize: number;
}

const HEADER_LENGTH = 12;
const TYPE_NAMES: Record<number, string> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  15: "MX",
  16: "TXT",
  28: "AAAA",
  41: "OPT",
  65: "HTTPS",
  255: "ANY",
};
const [TYPE_A, TYPE_CNAME, TYPE_TXT, TYPE_AAAA, TYPE_OPT] = [1, 5, 16, 28, 41];
const RESPONSE = 0x8000;
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;
const RECURSION = 0x0180;
const NO_SUCH_NAME = 3;

/** Reads the one question of a query; undefined for anything else. */
export function parseQuery(message: Buffer): DnsQuery | undefined {
  if (
    message.length < HEADER_LENGTH ||
    (message.readUInt16BE(2) & RESPONSE) !== 0 ||
    message.readUInt16BE(4) !== 1
  ) {
    return undefined;
  }
  const labels: string[] = [];
  let offset = HEADER_LENGTH;
  for (let length = message[offset] ?? 0; length > 0; length = message[offset] ?? 0) {
    labels.push(message.toString("latin1", offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
  const end = offset + 5;
  if (end > message.length) {
    return undefined;
  }
  const type = message.readUInt16BE(offset + 1);
  return {
    id: message.readUInt16BE(0),
    name: labels.join(".").toLowerCase(),
    type: TYPE_NAMES[type] ?? `TYPE${type}`,
    question: message.subarray(HEADER_LENGTH, end),
    udpSize: readUdpSize(message.subarray(end)),
  };
}

function readUdpSize(additional: Buffer): number {
  const hasOpt = additional.length >= 5 && additional[0] === 0 && additional.readUInt16BE(1) === TYPE_OPT;
  return hasOpt ? Math.max(512, additional.readUInt16BE(3)) : 512;
}

/** The zone's reply to a query; undefined when the zone keeps silent about the name. */
export function renderReply(zone: Zone, query: DnsQuery, transport: "udp" | "tcp"): Buffer | undefined {
  const first = findEntry(zone, query.name);
  if (first?.silent === true) {
    return undefined;
  }
  const answers: Buffer[] = [];
  let name = query.name;
  let entry = first;
  for (let hops = 0; entry?.alias !== undefined && hops < 16; hops += 1) {
    answers.push(renderRecord(name, TYPE_CNAME, entry, renderName(entry.alias)));
    name = entry.alias;
    entry = findEntry(zone, name);
  }
  if (entry !== undefined) {
    answers.push(...renderData(name, query.type, entry));
  }
  const code = entry === undefined ? NO_SUCH_NAME : 0;
  const whole = renderMessage(query, code, answers);
  return transport === "tcp" || whole.length <= query.udpSize ? whole : renderMessage(query, TRUNCATED, []);
}

function findEntry(zone: Zone, name: string): ZoneEntry | undefined {
  const labels = name.split(".");
  const wildcards = labels.map((_, index) => ["*", ...labels.slice(index + 1)].join("."));
  return [name, ...wildcards].map((candidate) => zone.get(candidate)).find((entry) => entry !== undefined);
}

function renderData(name: string, type: string, entry: ZoneEntry): Buffer[] {
  const addresses = entry.addresses ?? [];
  switch (type) {
    case "A":
      return addresses
        .filter((address) => isIPv4(address))
        .map((address) => renderRecord(name, TYPE_A, entry, Buffer.from(address.split(".").map(Number))));
    case "AAAA":
      return addresses
        .filter((address) => !isIPv4(address))
        .map((address) => renderRecord(name, TYPE_AAAA, entry, ipv6Bytes(address)));
    case "TXT":
      return (entry.text ?? []).map((text) =>
        renderRecord(name, TYPE_TXT, entry, Buffer.from([text.length, ...Buffer.from(text)])),
      );
    default:
      return [];
  }
}

function renderMessage(query: DnsQuery, flags: number, answers: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(RESPONSE | AUTHORITATIVE | RECURSION | flags, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  return Buffer.concat([header, query.question, ...answers]);
}

function renderRecord(name: string, type: number, { ttlSeconds = 60 }: ZoneEntry, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttlSeconds, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([renderName(name), fixed, data]);
}

function renderName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label, "latin1")]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function ipv6Bytes(address: string): Buffer {
  const [head = [], tail = []] = address
    .split("::")
    .map((side) => side.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  const groups = [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
