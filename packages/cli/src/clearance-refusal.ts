import {
  cleanText,
  isRefused,
  type NameEvent,
  type PacketEvent,
  type ShieldEvent,
} from "@terok-shield/audit";
import { coversRange, METADATA_ADDRESSES, parseIpRange } from "@terok-shield/nft-ruleset";
import type { AllowlistEntry } from "@terok-shield/profiles";
import { parseTarget } from "./decision.ts";
import { suspectName } from "./learn-suspicion.ts";
import { describeQuery, suggestEntry } from "./print/event.ts";
import { ShieldError } from "./shield-error.ts";

/** What an operator is asked about: one destination that a container tried in vain. */
export interface Refusal {
  readonly container: string;
  /** ISO 8601. */
  readonly ts: string;
  /** What `allow` and `deny` take; undefined when no entry can name it. */
  readonly entry: AllowlistEntry | undefined;
  /** For the eye: printable ASCII alone. */
  readonly what: string;
  /** Why somebody should think twice. */
  readonly danger: Danger | undefined;
}

interface Danger {
  /** One word. */
  readonly mark: string;
  readonly reason: string;
}

/** Undefined for what was not refused, and for what an operator has denied already. */
export function describeRefusal(event: ShieldEvent): Refusal | undefined {
  if (!isRefused(event) || (event.action !== "packet" && event.action !== "name")) return undefined;
  if (event.action === "packet" && event.verdict === "denied") return undefined;
  return {
    container: event.container,
    ts: event.ts,
    entry: parseSuggested(suggestEntry(event)),
    what:
      event.action === "packet"
        ? describePacket(event)
        : `${describeQuery(event.queryType)} ${plain(event.name)}`,
    danger: event.action === "packet" ? dangerOfPacket(event) : dangerOfName(event),
  };
}

function parseSuggested(text: string | undefined): AllowlistEntry | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTarget(text, { allowPublicSuffixWildcards: false });
  } catch (cause) {
    if (cause instanceof ShieldError) return undefined;
    throw cause;
  }
}

/** What is no name stands in quotes, which no name has. */
function plain(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : toAscii(JSON.stringify(name));
}

function toAscii(text: string): string {
  return cleanText(text).replace(/[^\x20-\x7e]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

function describePacket({ protocol, port, address, name }: PacketEvent): string {
  const service = port === undefined ? protocol : `${protocol}/${port}`;
  return toAscii(name === undefined ? `${service} ${address}` : `${service} ${plain(name)} (${address})`);
}

function dangerOfPacket(event: PacketEvent): Danger | undefined {
  if (isMetadata(event.address)) {
    return {
      mark: "METADATA",
      reason: "a cloud metadata address: it can hand out this machine's credentials",
    };
  }
  if (event.verdict === "private") {
    return { mark: "PRIVATE", reason: "a private address: of your own network, not of the internet" };
  }
  return event.name === undefined ? undefined : dangerOfText(event.name);
}

function isMetadata(address: string): boolean {
  try {
    return coversRange(METADATA_ADDRESSES, parseIpRange(address));
  } catch {
    return false;
  }
}

function dangerOfName({ name, queryType }: NameEvent): Danger | undefined {
  const ofText = dangerOfText(name);
  if (ofText !== undefined) return ofText;
  if (["A", "AAAA", "HTTPS", "SVCB", "PTR", "SRV"].includes(queryType)) return undefined;
  return { mark: "ODD", reason: `asked for by a ${toAscii(queryType)} query, which can carry data out` };
}

/** Names that carry data, or that look like another: what `learn` sets apart. */
function dangerOfText(name: string): Danger | undefined {
  const reason = suspectName(name);
  return reason === undefined ? undefined : { mark: "ODD", reason };
}
