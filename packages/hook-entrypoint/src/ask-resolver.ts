import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { on, once, setMaxListeners } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { NameAnswer } from "./contract.ts";
import { parseAddresses, parseResponse, type QueryType, type Response, renderQuery } from "./dns-message.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

const RESOLVER = { address: "127.0.0.1", port: 53 };
/** dnsmasq takes a moment to be there, and another to read its servers again. */
const PROOF_DEADLINE_MILLISECONDS = 5_000;
const PROOF_RETRY_MILLISECONDS = 2;
/** dnsmasq has its port by then, so this is for what is lost under load. */
const RETRY_MILLISECONDS = 500;
/** For names that their owner wants to know more about: an upstream that is slow must not keep him. */
const ASK_DEADLINE_MILLISECONDS = 2_000;
const ASK_RETRY_MILLISECONDS = 700;
/** dnsmasq has 150 queries under way at most, and the container has its own. */
const NAMES_AT_ONCE = 30;
const NO_ERROR = 0;
const NAME_ERROR = 3;
const REFUSED = 5;
/** For all names of one request. */
const NAMES_DEADLINE_MILLISECONDS = 10_000;

/**
 * Asks over UDP until the answer is as wanted.
 * @throws ShieldRefusal when it never is.
 */
export async function awaitResponse(
  name: string,
  type: QueryType,
  isWanted: (response: Response) => boolean,
): Promise<void> {
  try {
    const signal = AbortSignal.timeout(PROOF_DEADLINE_MILLISECONDS);
    await askOverUdp(name, type, isWanted, { signal, retryMilliseconds: RETRY_MILLISECONDS });
  } catch (cause) {
    throw new ShieldRefusal(`dnsmasq does not answer as it should: ${(cause as Error).message}`);
  }
}

/**
 * Waits until dnsmasq follows the servers file that holds the marker. Over TCP, since nobody else can listen there
 * while dnsmasq does: a process in the container can take UDP queries away from it.
 * @throws ShieldRefusal when it does not in time.
 */
export async function awaitMarker(marker: string): Promise<void> {
  const signal = AbortSignal.timeout(PROOF_DEADLINE_MILLISECONDS);
  let last = "no answer";
  while (!signal.aborted) {
    try {
      const response = parseResponse(await askOverTcp({ name: marker, type: "A", signal }));
      if (response?.responseCode === NAME_ERROR) return;
      last = `response code ${response?.responseCode}`;
    } catch (cause) {
      if (!signal.aborted) last = (cause as Error).message;
    }
    await delay(PROOF_RETRY_MILLISECONDS);
  }
  throw new ShieldRefusal(`dnsmasq did not take over its names: ${last} to ${marker}`);
}

/** The addresses of names, both families. A name that has none, or is not answered in time, has an empty list. */
export async function askAddresses(names: readonly string[]): Promise<Record<string, string[]>> {
  const signal = AbortSignal.timeout(ASK_DEADLINE_MILLISECONDS);
  setMaxListeners(0, signal);
  const answers = new Map<string, string[]>();
  for (let first = 0; first < names.length; first += NAMES_AT_ONCE) {
    const batch = names.slice(first, first + NAMES_AT_ONCE);
    const found = await Promise.all(batch.map((name) => askBothFamilies(name, signal)));
    batch.forEach((name, index) => {
      answers.set(name, found[index] ?? []);
    });
  }
  return Object.fromEntries(answers);
}

async function askBothFamilies(name: string, signal: AbortSignal): Promise<string[]> {
  const families = await Promise.all([
    askAddressesOf(name, "A", signal),
    askAddressesOf(name, "AAAA", signal),
  ]);
  return families.flat();
}

async function askAddressesOf(name: string, type: QueryType, signal: AbortSignal): Promise<string[]> {
  try {
    const answer = await askOverUdp(name, type, () => true, {
      signal,
      retryMilliseconds: ASK_RETRY_MILLISECONDS,
    });
    const { isTruncated, responseCode } = parseResponse(answer) ?? {};
    if (responseCode !== NO_ERROR) return [];
    return parseAddresses(isTruncated ? await askOverTcp({ name, type, signal }) : answer);
  } catch {
    return [];
  }
}

/**
 * What the resolver says to each name, over TCP, where no process in the container can answer in its place. An upstream
 * that hears no TCP is asked over UDP: that such a name is not refused is known by then.
 *
 * The marker, where there is one, is asked for before and after each, so that whoever reads the log knows whose question
 * it was.
 *
 * One query after the other: with several connections at once an address was seen to be answered and not to be in its
 * set, probably since dnsmasq's processes for them fill the sets through one shared socket.
 */
export async function askNames(
  names: readonly string[],
  marker?: string,
): Promise<Record<string, NameAnswer>> {
  const signal = AbortSignal.timeout(NAMES_DEADLINE_MILLISECONDS);
  setMaxListeners(0, signal);
  const answers = new Map<string, NameAnswer>();
  for (const name of names) answers.set(name, await askName({ name, marker, signal }));
  return Object.fromEntries(answers);
}

async function askName(question: Omit<TcpQuestion, "type">): Promise<NameAnswer> {
  const v4 = await askEither({ ...question, type: "A" });
  if (v4.kind === "refused") return v4;
  const v6 = await askEither({ ...question, type: "AAAA" });
  const addresses = [...v4.addresses, ...v6.addresses];
  if (addresses.length > 0) return { kind: "addresses", addresses };
  const kinds = ["refused", "none", "no such name"] as const;
  return { kind: kinds.find((kind) => kind === v4.kind || kind === v6.kind) ?? "failed", addresses };
}

async function askEither({ name, type, signal, marker }: TcpQuestion): Promise<NameAnswer> {
  const failed: NameAnswer = { kind: "failed", addresses: [] };
  const hurry = AbortSignal.any([signal, AbortSignal.timeout(ASK_DEADLINE_MILLISECONDS)]);
  const overTcp = await askOverTcp({ name, type, marker, signal: hurry }).then(readAnswer, () => failed);
  if (overTcp.kind !== "failed") return overTcp;
  const options = { signal, retryMilliseconds: ASK_RETRY_MILLISECONDS };
  return askOverUdp(name, type, () => true, options).then(readAnswer, () => failed);
}

function readAnswer(message: Buffer): NameAnswer {
  const addresses = parseAddresses(message);
  switch (parseResponse(message)?.responseCode) {
    case NO_ERROR:
      return { kind: addresses.length > 0 ? "addresses" : "none", addresses };
    case NAME_ERROR:
      return { kind: "no such name", addresses: [] };
    case REFUSED:
      return { kind: "refused", addresses: [] };
    default:
      return { kind: "failed", addresses: [] };
  }
}

async function askOverUdp(
  name: string,
  type: QueryType,
  isWanted: (response: Response) => boolean,
  { signal, retryMilliseconds }: { readonly signal: AbortSignal; readonly retryMilliseconds: number },
): Promise<Buffer> {
  signal.throwIfAborted();
  const socket = createSocket("udp4");
  const id = randomInt(0x10000);
  const query = renderQuery(id, name, type);
  const ask = () => socket.send(query, RESOLVER.port, RESOLVER.address);
  const retry = setInterval(ask, retryMilliseconds);
  try {
    const messages = on(socket, "message", { signal });
    ask();
    for await (const [message] of messages) {
      const response = parseResponse(message as Buffer);
      if (response?.id === id && isWanted(response)) return message as Buffer;
    }
    throw new Error("no answer");
  } finally {
    clearInterval(retry);
    socket.close();
  }
}

interface TcpQuestion {
  readonly name: string;
  readonly type: QueryType;
  readonly signal: AbortSignal;
  /** Asked for before and after, in the same connection. */
  readonly marker?: string | undefined;
}

async function askOverTcp({ name, type, signal, marker }: TcpQuestion): Promise<Buffer> {
  const socket = connect({ host: RESOLVER.address, port: RESOLVER.port, signal });
  // Whoever waits hears of an error; one that comes while nobody does must not end this process.
  socket.on("error", () => {});
  try {
    await once(socket, "connect", { signal });
    const query = frame(renderQuery(randomInt(0x10000), name, type));
    const own = marker === undefined ? [] : [frame(renderQuery(randomInt(0x10000), marker, "A"))];
    socket.write(Buffer.concat([...own, query, ...own]));
    let received: Buffer = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      const answers = unframe(received);
      // All of them: dnsmasq stops where nobody waits for the rest.
      if (answers.length > 2 * own.length) return answers[own.length] as Buffer;
    }
    throw new Error("the connection was closed without an answer");
  } finally {
    socket.destroy();
  }
}

/** RFC 1035 section 4.2.2: two bytes of length before each message. */
function frame(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);
}

/** The messages that have arrived whole. */
function unframe(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let from = 0; bytes.length >= from + 2; ) {
    const end = from + 2 + bytes.readUInt16BE(from);
    if (bytes.length < end) break;
    messages.push(bytes.subarray(from + 2, end));
    from = end;
  }
  return messages;
}
