import {
  type Element,
  type ElementEdit,
  editElements,
  LEASE_ELEMENTS,
  pieceElement,
  plannedElements,
} from "./elements.ts";
import { compareRanges, type IpRange } from "./ip-range.ts";
import { comparePieces, type Piece } from "./pieces.ts";
import type { PlannedSet, Ruleset } from "./ruleset.ts";

/** What makes the planned elements of one table those of the other, touching only those that differ. */
export function editsBetween(from: Ruleset, to: Ruleset): ElementEdit[] {
  const old = new Map(from.sets.map((set) => [set.name, set]));
  const names = new Set(to.sets.map(({ name }) => name));
  return [
    ...from.sets.filter(({ name }) => !names.has(name)).flatMap((set) => setEdits(set, emptied(set))),
    ...to.sets.flatMap((set) => setEdits(old.get(set.name) ?? emptied(set), set)),
  ];
}

function emptied(set: PlannedSet): PlannedSet {
  if (set.kind === "pieces") return { ...set, pieces: [] };
  return set.kind === "lease" ? { ...set, remainingSeconds: 0 } : set;
}

function setEdits(old: PlannedSet, next: PlannedSet): ElementEdit[] {
  if (old.kind === "learned" || next.kind === "learned") return [];
  if (old.kind === "lease" || next.kind === "lease") {
    return isSameLease(old, next) ? [] : refill(old.name, LEASE_ELEMENTS, plannedElements(next));
  }
  const [removed, added] = [missingFrom(next.pieces, old.pieces), missingFrom(old.pieces, next.pieces)];
  if (!old.timed) {
    return [
      ...editElements("delete", old.name, removed.map(pieceElement)),
      ...editElements("add", next.name, added.map(pieceElement)),
    ];
  }
  if (removed.length === 0 && added.length === 0) return [];
  return refill(old.name, old.pieces.map(pieceElement), plannedElements(next));
}

function isSameLease(old: PlannedSet, next: PlannedSet): boolean {
  return old.kind === "lease" && next.kind === "lease" && old.remainingSeconds === next.remainingSeconds;
}

/** An element that has an end may be there or not, and nft deletes none that is not. */
function refill(set: string, old: readonly Element[], next: readonly Element[]): ElementEdit[] {
  const flush = old.length === 0 ? [{ text: "" }] : old;
  return [...editElements("flush", set, flush), ...editElements("add", set, next)].map((edit) => ({
    ...edit,
    isBound: true,
  }));
}

/** Both are sorted: one walk finds what only `here` has. */
function missingFrom(there: readonly Piece[], here: readonly Piece[]): Piece[] {
  let next = 0;
  return here.filter((piece) => {
    while (next < there.length && comparePieces(there[next] as Piece, piece) < 0) next++;
    const match = there[next];
    return (
      match === undefined ||
      comparePieces(match, piece) !== 0 ||
      match.remainingSeconds !== piece.remainingSeconds
    );
  });
}

/**
 * The edits in groups that must not be torn apart: elements of whatever sets that speak of the same addresses, so that
 * each address goes in one step from what one policy says of it to what the other says. The first group comes first.
 */
export function clusterEdits(edits: readonly ElementEdit[]): ElementEdit[][] {
  const clusters: ElementEdit[][] = [];
  let last: ElementEdit["range"];
  const located = edits.filter((edit): edit is ElementEdit & { range: IpRange } => edit.range !== undefined);
  for (const edit of located.sort((left, right) => compareRanges(left.range, right.range))) {
    const { range } = edit;
    if (last !== undefined && last.family === range.family && range.first <= last.last) {
      clusters.at(-1)?.push(edit);
      if (range.last > last.last) last = range;
    } else {
      clusters.push([edit]);
      last = range;
    }
  }
  const isBound = (cluster: readonly ElementEdit[]) => cluster.some((edit) => edit.isBound);
  const first = [...edits.filter(({ range }) => range === undefined), ...clusters.filter(isBound).flat()];
  const rest = clusters.filter((cluster) => !isBound(cluster));
  return first.length === 0 ? rest : [first, ...rest];
}
