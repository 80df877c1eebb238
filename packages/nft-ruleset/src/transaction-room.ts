import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { type PlannedSet, planRulesets, type RuleChain } from "./ruleset.ts";

/**
 * One transaction is one message to the kernel, no longer than the socket's buffer, which only the host's root may widen
 * (net.core.wmem_default, 212992 bytes). What things take of it at most, measured: an element that comes or goes, a set,
 * and a letter of a rule's text.
 */
const MESSAGE_BYTES = 210_000;
const EDIT_BYTES = 82;
const SET_BYTES = 300;
const RULE_BYTES = 7;

/** Edits of elements that a transaction can always hold, since no policy has more rules than leave room for them. */
const LEAST_EDITS = 500;
export const MOST_EDITS = 2000;

/** How many edits of elements fit into a transaction that brings these chains and sets. */
export function roomForEdits(chains: readonly RuleChain[], sets: readonly PlannedSet[]): number {
  const left = MESSAGE_BYTES - RULE_BYTES * textLength(chains) - SET_BYTES * sets.length;
  return Math.min(MOST_EDITS, Math.max(0, Math.floor(left / EDIT_BYTES)));
}

function textLength(chains: readonly RuleChain[]): number {
  const statements = chains.flatMap(({ rules }) => rules.flat());
  return statements.reduce((length, { text }) => length + text.length + 1, 50 * chains.length);
}

const LARGEST_MODE: ShieldMode = { kind: "down", privateRanges: "open", remainingSeconds: 0 };

/**
 * Whether a rootless nft can load the policy's rules. Names that open many different ports may take too many; the
 * number of addresses has no such limit.
 */
export function isWithinLimits(policy: EgressPolicy): boolean {
  const { chains, sets } = planRulesets(policy)(LARGEST_MODE);
  return roomForEdits(chains, sets) >= LEAST_EDITS;
}
