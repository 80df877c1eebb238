import { cleanText, type NameEvent, type PacketEvent, type ShieldEvent } from "@terok-shield/audit";
import { coversRange, METADATA_ADDRESSES, PRIVATE_RANGES, parseIpRange } from "@terok-shield/nft-ruleset";
import type { Protocol } from "@terok-shield/profiles";
import { canonicaliseRange, parseTarget } from "./decision.ts";
import { ShieldError } from "./shield-error.ts";

/** A destination that a container used, or tried to, on ports that are known. */
export interface Use {
  readonly kind: "name" | "range";
  readonly host: string;
  readonly ports: ReadonlyMap<Protocol, ReadonlySet<number>>;
  readonly count: number;
  /** Of a name that may have been used: another one of the same address, to which everything is attributed. */
  readonly sharesWith?: string;
}

/** What no entry is proposed for. */
export interface SetApart {
  /** Printable ASCII on one line; a line of a profile where it can be one. */
  readonly what: string;
  readonly reason: string;
  readonly count: number;
}

export interface CollectedUses {
  readonly uses: readonly Use[];
  /** Asked for and refused, how often: nobody knows for which port. */
  readonly askedNames: ReadonlyMap<string, number>;
  readonly apart: readonly SetApart[];
  /** Counted by the kernel and not in the log. */
  readonly leftOut: number;
}

/** The addresses that names led to. */
export type Answers = ReadonlyMap<string, ReadonlySet<string>>;

/** Sorts what a container tried into what an entry can name and what it had better not. */
export function collectUses(events: Iterable<ShieldEvent>, answers: Answers): CollectedUses {
  const uses: Uses = new Map();
  const askedNames = new Map<string, number>();
  const apart = new ApartList();
  let leftOut = 0;
  for (const event of events) {
    if (event.action === "packet") collectPacket(event, uses, apart);
    if (event.action === "name") collectName(event, askedNames, apart);
    if (event.action === "sampled") {
      leftOut += Object.values(event.leftOut).reduce((sum, count) => sum + (count ?? 0), 0);
    }
  }
  return { uses: [...uses.values(), ...findShared(uses, answers)], askedNames, apart: apart.list(), leftOut };
}

/**
 * An event has one name, the newest that led to its address. A name that was looked up, and has an address to which
 * something went, may be the one that was meant: without it the same work does not pass again.
 */
function findShared(uses: Uses, answers: Answers): Use[] {
  const byAddress = new Map<string, MutableUse[]>();
  for (const use of uses.values()) {
    for (const address of use.addresses) byAddress.set(address, [...(byAddress.get(address) ?? []), use]);
  }
  return [...answers].flatMap(([name, addresses]): Use[] => {
    if (uses.has(name) || !isPlainName(name)) return [];
    const sharing = new Set([...addresses].flatMap((address) => byAddress.get(address) ?? []));
    const [first] = sharing;
    if (first === undefined) return [];
    const ports = new Map<Protocol, Set<number>>();
    for (const [protocol, used] of [...sharing].flatMap((use) => [...use.ports])) {
      ports.set(protocol, new Set([...(ports.get(protocol) ?? []), ...used]));
    }
    return [{ kind: "name", host: name, ports, count: 0, sharesWith: first.host }];
  });
}

/** Things set apart; equal ones count together. */
export class ApartList {
  readonly #found = new Map<string, SetApart>();

  add(what: string, reason: string, count = 1): void {
    const key = `${what} ${reason}`;
    this.#found.set(key, { what, reason, count: (this.#found.get(key)?.count ?? 0) + count });
  }

  list(): SetApart[] {
    return [...this.#found.values()];
  }
}

interface MutableUse extends Use {
  readonly ports: Map<Protocol, Set<number>>;
  /** Where the name led to, as far as it was used. */
  readonly addresses: Set<string>;
  count: number;
}

type Uses = Map<string, MutableUse>;

/** DNS in the clear and in TLS: whoever may ask a resolver of his own can ask for any name. */
const DNS_PORTS: readonly number[] = [53, 853];

function collectPacket(event: PacketEvent, uses: Uses, apart: ApartList): void {
  const { verdict, protocol, port, name } = event;
  const address = parseAddress(event.address);
  // What passes needs a name all the same where only its address is open: else it does not resolve.
  if (address === undefined || (verdict === "allowed" && name === undefined)) return;
  const fault = faultOfPacket(event, address);
  if (fault !== undefined || !isTransport(protocol) || port === undefined) {
    if (verdict !== "allowed") apart.add(describePacket(event, address), fault ?? NEEDS_PORT);
    return;
  }
  const host = name ?? address;
  const use = uses.get(host) ?? {
    ...{ kind: name === undefined ? ("range" as const) : ("name" as const), host },
    ...{ ports: new Map(), addresses: new Set<string>(), count: 0 },
  };
  uses.set(host, use);
  if (use.kind === "name") use.addresses.add(address);
  use.count += 1;
  use.ports.set(protocol, (use.ports.get(protocol) ?? new Set()).add(port));
}

const NEEDS_PORT = "no entry can name that alone: without a port it opens every port";

/** Why somebody should look at it before it is opened. */
function faultOfPacket({ verdict, port, name }: PacketEvent, address: string): string | undefined {
  if (verdict === "denied") return "you denied it";
  const special = describeSpecial(address);
  if (special !== undefined) return special;
  if (verdict === "private") return "of a range that is closed like private ones";
  if (port === 0) return NEEDS_PORT;
  if (port !== undefined && DNS_PORTS.includes(port)) {
    return "a resolver of its own choice: any name could leave through it";
  }
  return name === undefined || isPlainName(name) ? undefined : "no entry can name it";
}

function isTransport(protocol: string): protocol is Protocol {
  return protocol === "tcp" || protocol === "udp";
}

/** Those that ask for the way to a host. */
const ADDRESS_QUERIES: readonly string[] = ["A", "AAAA", "HTTPS", "SVCB"];

function collectName({ name, queryType }: NameEvent, names: Map<string, number>, apart: ApartList): void {
  if (!isPlainName(name)) apart.add(plainText(name), "no entry can name it");
  else if (ADDRESS_QUERIES.includes(queryType)) names.set(name, (names.get(name) ?? 0) + 1);
  else apart.add(name, `asked for by a ${plainText(queryType)} query, which leads to no address`);
}

/** True for what a profile reads as exactly this name: not as a wildcard, an address or a name with a port. */
function isPlainName(name: string): boolean {
  try {
    const entry = parseTarget(name, { allowPublicSuffixWildcards: false });
    return entry.kind === "name" && entry.ports === undefined && entry.name === name;
  } catch (cause) {
    if (cause instanceof ShieldError) return false;
    throw cause;
  }
}

function parseAddress(text: string): string | undefined {
  try {
    const address = canonicaliseRange(text);
    return address.includes("/") ? undefined : address;
  } catch {
    return undefined;
  }
}

function describeSpecial(address: string): string | undefined {
  const range = parseIpRange(address);
  if (coversRange(METADATA_ADDRESSES, range)) {
    return "a cloud metadata address: it can hand out this machine's credentials";
  }
  if (coversRange(PRIVATE_RANGES, range))
    return "a private address: of your own network, not of the internet";
  return undefined;
}

/** An address stands for itself where it is special, since no name opens it then. */
function describePacket({ protocol, port, name }: PacketEvent, address: string): string {
  const host = address.includes(":") && port !== undefined ? `[${address}]` : address;
  const service = port === undefined ? "" : `:${port}`;
  const target = isTransport(protocol)
    ? `${host}${service}/${protocol}`
    : `${address} ${plainText(protocol)}`;
  return name === undefined ? target : `${target} # ${plainText(name)}`;
}

const LONGEST_TEXT = 160;

/** Untrusted text for one line of a terminal or a comment: printable ASCII, in quotes where it is no plain word. */
export function plainText(text: string): string {
  const shown = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}...` : text;
  if (/^[\w.-]+$/.test(shown)) return shown;
  return cleanText(JSON.stringify(shown)).replace(/[^\x20-\x7e]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}
