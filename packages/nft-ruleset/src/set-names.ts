import type { Family } from "./statement.ts";

type SetNames = Readonly<Record<Family, string>>;

/** Sets that the container's resolver fills with what the names of a scope led to. */
export function learnedSets(scopeId: number): SetNames {
  return namesOf("dns", scopeId);
}

/** What had been learned when bypass began: in bypass, names lead to more than the policy allows. */
export function keptSets(scopeId: number): SetNames {
  return namesOf("kept", scopeId);
}

/** Has elements as long as the scope's names are open. */
export function activeSet(scopeId: number): string {
  return `active_${scopeId}`;
}

/** Has elements as long as bypass lasts. */
export const BYPASS_LEASE = "bypass_lease";

/** The name of the set when it is one that learned addresses live in. */
export const LEARNED_SET_NAME = /^(?:dns|kept)(?:_[1-9]\d*)?_v[46]$/;

export function isKeptSet(name: string): boolean {
  return name.startsWith("kept");
}

/** The kept set of a learned one, and the other way round. */
export function twinOf(name: string): string {
  return isKeptSet(name) ? name.replace("kept", "dns") : name.replace("dns", "kept");
}

function namesOf(base: string, scopeId: number): SetNames {
  const prefix = scopeId === 0 ? base : `${base}_${scopeId}`;
  return { v4: `${prefix}_v4`, v6: `${prefix}_v6` };
}
