import { SocketAddress } from "node:net";

/** Just enough of RFC 1035 to ask the container's resolver one question, to answer it, and to read addresses. */

const HEADER_LENGTH = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;

export type QueryType = "A" | "AAAA";

export function renderQuery(id: number, name: string, type: QueryType): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2); // recursion desired
  header.writeUInt16BE(1, 4);
  const labels = name
    .split(".")
    .flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(type === "A" ? TYPE_A : TYPE_AAAA, 1);
  tail.writeUInt16BE(CLASS_IN, 3);
  return Buffer.concat([header, ...labels, tail]);
}

/** Answers `query` with one address of the type asked for; undefined when the query is not one of ours. */
export function renderAnswer(
  query: Buffer,
  name: string,
  addresses: Record<QueryType, Buffer>,
): Buffer | undefined {
  const questionEnd = HEADER_LENGTH + name.length + 2 + 4;
  if (query.length < questionEnd || query.readUInt16BE(4) !== 1) return undefined;
  const asked = renderQuery(0, name, "A").subarray(HEADER_LENGTH, questionEnd - 4);
  const question = query.subarray(HEADER_LENGTH, questionEnd);
  if (question.subarray(0, -4).toString("latin1").toLowerCase() !== asked.toString("latin1").toLowerCase())
    return undefined;
  const type = question.readUInt16BE(question.length - 4);
  const address = type === TYPE_A ? addresses.A : type === TYPE_AAAA ? addresses.AAAA : undefined;
  if (address === undefined) return undefined;
  const header = Buffer.from(query.subarray(0, HEADER_LENGTH));
  header.writeUInt16BE(0x8180, 2); // response, recursion available
  header.writeUInt16BE(1, 6);
  header.writeUInt32BE(0, 8);
  const record = Buffer.alloc(12);
  record.writeUInt16BE(0xc00c, 0); // the name of the question
  record.writeUInt16BE(type, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(0, 6);
  record.writeUInt16BE(address.length, 10);
  return Buffer.concat([header, question, record, address]);
}

export interface Response {
  readonly id: number;
  /** RFC 1035 section 4.1.1: 0 no error, 3 name error, 5 refused. */
  readonly responseCode: number;
  readonly answers: number;
  /** The whole of it has to be asked for over TCP. */
  readonly isTruncated: boolean;
}

export function parseResponse(message: Buffer): Response | undefined {
  if (message.length < HEADER_LENGTH) return undefined;
  const flags = message.readUInt16BE(2);
  return {
    id: message.readUInt16BE(0),
    responseCode: flags & 0xf,
    answers: message.readUInt16BE(6),
    isTruncated: (flags & 0x0200) !== 0,
  };
}

/** The addresses among a response's answers, whichever name of a chain they belong to; those before a cut or a fault. */
export function parseAddresses(message: Buffer): string[] {
  const addresses: string[] = [];
  try {
    let offset = HEADER_LENGTH;
    for (let left = message.readUInt16BE(4); left > 0; left--) offset = skipName(message, offset) + 4;
    for (let left = message.readUInt16BE(6); left > 0; left--) {
      offset = skipName(message, offset);
      const type = message.readUInt16BE(offset);
      const length = message.readUInt16BE(offset + 8);
      const data = message.subarray(offset + 10, offset + 10 + length);
      if (type === TYPE_A && data.length === 4) addresses.push(data.join("."));
      if (type === TYPE_AAAA && data.length === 16) addresses.push(renderIpv6(data));
      offset += 10 + length;
    }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
  }
  return addresses;
}

/** Where a name ends that begins at `offset`: at its root or at a pointer. */
function skipName(message: Buffer, offset: number): number {
  for (let at = offset; ; ) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
}

function renderIpv6(data: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(index * 2).toString(16));
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}
