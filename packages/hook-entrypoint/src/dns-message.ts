/** Just enough of RFC 1035 to ask the container's resolver one question and to answer it. */

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
}

export function parseResponse(message: Buffer): Response | undefined {
  if (message.length < HEADER_LENGTH) return undefined;
  return {
    id: message.readUInt16BE(0),
    responseCode: message.readUInt16BE(2) & 0xf,
    answers: message.readUInt16BE(6),
  };
}
