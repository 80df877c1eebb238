import { parseIpRange, renderIpRange } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, EntryError, parseEntry, renderEntry } from "@terok-shield/profiles";
import type { Lease } from "./lease.ts";
import { ShieldError } from "./shield-error.ts";

export type Verdict = "allow" | "deny";

/** What an operator decided about one entry, for good or for the length of a lease. */
export interface Decision {
  readonly verdict: Verdict;
  readonly entry: AllowlistEntry;
  /** ISO 8601. */
  readonly decidedAt: string;
  readonly lease?: Lease;
}

/**
 * Reads an entry that an operator names.
 * @throws ShieldError (usage) in the words that a profile's line would get.
 */
export function parseTarget(
  text: string,
  options: { readonly allowPublicSuffixWildcards: boolean },
): AllowlistEntry {
  try {
    return parseEntry(text, { canonicaliseRange, ...options });
  } catch (cause) {
    if (!(cause instanceof EntryError)) throw cause;
    throw new ShieldError(cause.message, { code: "usage", cause });
  }
}

/** The only spelling of an address or CIDR range, as the profiles' parser wants it. @throws Error that names the text. */
export function canonicaliseRange(text: string): string {
  return renderIpRange(parseIpRange(text));
}

/** True when a temporary allow puts its own permanent deny, and no other, out of force. */
export function lifts(allow: Decision, deny: Decision): boolean {
  return (
    allow.lease !== undefined &&
    deny.lease === undefined &&
    renderEntry(allow.entry) === renderEntry(deny.entry)
  );
}
