import { EVERY_PORT, sameArea } from "@terok-shield/nft-ruleset";
import { type ContainerState, HIGHEST_SCOPE } from "./container-state.ts";
import { type OpenPart, renderPart } from "./name-rules.ts";
import type { OpenNames } from "./open-names.ts";
import { ShieldError } from "./shield-error.ts";

/** The sets of every port, for good. */
const EVERYTHING = 0;

type Scopes = ContainerState["scopes"];

/**
 * Gives each part that names open a number: the one that it had, or a new one, which nothing had for as long as possible,
 * since what a set learned must not become another's.
 */
export function numberScopes(
  before: Scopes,
  { exact, wildcards }: Pick<OpenNames, "exact" | "wildcards">,
): Scopes {
  const parts = [...exact, ...wildcards]
    .flatMap((domain) => domain.parts)
    .filter((part) => !isEverything(part));
  const keys = new Set(parts.map(renderPart));
  const byKey = new Map([...before.byKey].filter(([key]) => keys.has(key)));
  const taken = new Set(before.byKey.values());
  let next = before.nextId;
  for (const key of keys) {
    if (byKey.has(key)) continue;
    next = firstFree(next, taken);
    taken.add(next);
    byKey.set(key, next);
    next = after(next);
  }
  return { nextId: next, byKey };
}

/** @throws Error for a part that `numberScopes` did not get. */
export function scopeOfPart(numbers: Scopes["byKey"], part: OpenPart): number {
  if (isEverything(part)) return EVERYTHING;
  const id = numbers.get(renderPart(part));
  if (id === undefined) throw new Error(`${renderPart(part)} has no scope`);
  return id;
}

function isEverything({ area, lease }: OpenPart): boolean {
  return lease === undefined && sameArea(area, EVERY_PORT);
}

function firstFree(from: number, taken: ReadonlySet<number>): number {
  if (taken.size >= HIGHEST_SCOPE) throw new ShieldError("There are too many different ports and times.");
  let id = from;
  while (taken.has(id)) id = after(id);
  return id;
}

function after(id: number): number {
  return id >= HIGHEST_SCOPE ? 1 : id + 1;
}
