import { LEASE_ELEMENTS, pieceElement } from "./elements.ts";
import { parseListedPiece } from "./listing.ts";
import { type PlannedSet, TABLE } from "./ruleset.ts";
import { BYPASS_LEASE } from "./set-names.ts";

/** By how much the kernel's clocks may be off the policy's: they start when a busy machine gets to it. */
const TOLERANCE_SECONDS = 5;

/**
 * The timed sets in which the kernel lists other elements than planned, or with another time left.
 * @param objects what `nft -j list ruleset` listed
 */
export function differingTimedSets(sets: readonly PlannedSet[], objects: readonly object[]): string[] {
  return sets
    .filter((set) => {
      const planned = plannedEnds(set);
      return planned !== undefined && !sameEnds(planned, readElements(objects, set.name), latenessOf(set));
    })
    .map(({ name }) => `set ${name}`);
}

/** A ruleset may be made before the start in which it is loaded: a deny begins to count then, and nothing is open by that. */
function latenessOf({ name }: PlannedSet): number {
  return name.startsWith("timed_deny_") ? Number.MAX_VALUE : TOLERANCE_SECONDS;
}

/** What is left of bypass, in seconds: 0 when it is over. */
export function readBypassLease(objects: readonly object[]): number {
  const ends = readElements(objects, BYPASS_LEASE).map(({ expiresSeconds = 0 }) => expiresSeconds);
  return ends.length === 0 ? 0 : Math.min(...ends);
}

function plannedEnds(set: PlannedSet): Map<string, number> | undefined {
  if (set.kind === "lease") return new Map(LEASE_ELEMENTS.map(({ text }) => [text, set.remainingSeconds]));
  if (set.kind !== "pieces" || !set.timed) return undefined;
  return new Map(set.pieces.map((piece) => [pieceElement(piece).text, piece.remainingSeconds ?? 0]));
}

function sameEnds(
  planned: ReadonlyMap<string, number>,
  listed: readonly TimedElement[],
  latenessSeconds: number,
): boolean {
  const ends = new Map(listed.map(({ text, expiresSeconds }) => [text, expiresSeconds]));
  return (
    listed.every(
      ({ text, expiresSeconds = Number.POSITIVE_INFINITY }) =>
        expiresSeconds <= (planned.get(text) ?? Number.NEGATIVE_INFINITY) + latenessSeconds,
    ) && [...planned].every(([text, remaining]) => (ends.get(text) ?? 0) >= remaining - TOLERANCE_SECONDS)
  );
}

interface TimedElement {
  /** As nft reads it; as listed where that is nothing of ours. */
  readonly text: string;
  /** Absent when it has no end. */
  readonly expiresSeconds?: number;
}

/** The elements of a set of our table. */
function readElements(objects: readonly object[], name: string): TimedElement[] {
  return objects.flatMap((object) => {
    const { set } = object as { set?: { family?: unknown; table?: unknown; name?: unknown; elem?: unknown } };
    const isIt = set?.table === TABLE.name && set.family === TABLE.family && set.name === name;
    return isIt && Array.isArray(set.elem) ? set.elem.map(readElement) : [];
  });
}

function readElement(listed: unknown): TimedElement {
  const { elem } = (listed ?? {}) as { elem?: { val?: unknown; expires?: unknown } };
  const value = elem?.val ?? listed;
  const piece = parseListedPiece(value);
  const text =
    piece === undefined
      ? typeof value === "string"
        ? value
        : JSON.stringify(value)
      : pieceElement(piece).text;
  return typeof elem?.expires === "number" ? { text, expiresSeconds: elem.expires } : { text };
}
