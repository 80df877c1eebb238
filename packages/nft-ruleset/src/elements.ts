import { type IpRange, isSingleAddress, renderIpRange } from "./ip-range.ts";
import type { LearnedAddress } from "./live-sets.ts";
import type { Piece } from "./pieces.ts";
import { renderPorts } from "./port-area.ts";
import { type PlannedSet, TABLE } from "./ruleset.ts";

/** An element of a set, as nft reads it. */
export interface Element {
  readonly text: string;
  /** The addresses that it speaks of. */
  readonly range?: IpRange;
}

export interface ElementEdit extends Element {
  /** To flush a set is one edit for each element that is lost, so that all are known. */
  readonly verb: "add" | "delete" | "flush";
  readonly set: string;
  /** True for edits that make sense only together with the others of their set. */
  readonly isBound?: boolean;
}

/** What a set holds by plan. */
export function plannedElements(set: PlannedSet): Element[] {
  switch (set.kind) {
    case "pieces":
      return set.pieces
        .filter(({ remainingSeconds = 1 }) => remainingSeconds > 0)
        .map((piece) => withTimeout(pieceElement(piece), piece.remainingSeconds));
    case "lease":
      return set.remainingSeconds > 0
        ? LEASE_ELEMENTS.map((element) => withTimeout(element, set.remainingSeconds))
        : [];
    case "learned":
      return [];
  }
}

export const LEASE_ELEMENTS: readonly Element[] = [{ text: "ipv4" }, { text: "ipv6" }];

/** The element that the piece is, without its time. */
export function pieceElement({ range, ports }: Piece): Element {
  const service = ports === undefined ? "" : ` . ${ports.transport} . ${renderPorts(ports)}`;
  return { text: `${renderIpRange(range)}${service}`, range };
}

/** Learned addresses with what is left of their time. */
export function learnedElements(addresses: readonly LearnedAddress[], timeoutSeconds: number): Element[] {
  return addresses.filter(isSingleAddress).map((range) => {
    const left = Math.max(1, Math.min(timeoutSeconds, Math.floor(range.expiresSeconds)));
    return { text: `${renderIpRange(range)} timeout ${timeoutSeconds}s expires ${left}s`, range };
  });
}

export function editElements(
  verb: ElementEdit["verb"],
  set: string,
  elements: readonly Element[],
): ElementEdit[] {
  return elements.map((element) => ({ ...element, verb, set }));
}

/** One line for each run of edits that differ in their element alone. */
export function renderEdits(edits: readonly ElementEdit[]): string[] {
  const runs: ElementEdit[][] = [];
  for (const edit of edits) {
    const run = runs.at(-1);
    if (run?.[0]?.verb === edit.verb && run[0].set === edit.set) run.push(edit);
    else runs.push([edit]);
  }
  return runs.map((run) => {
    const [{ verb, set }] = run as [ElementEdit];
    const place = `${TABLE.family} ${TABLE.name} ${set}`;
    if (verb === "flush") return `flush set ${place}`;
    return `${verb} element ${place} { ${run.map(({ text }) => text).join(", ")} }`;
  });
}

function withTimeout(element: Element, seconds: number | undefined): Element {
  if (seconds === undefined) return element;
  const milliseconds = Math.ceil(seconds * 1000);
  const rest = milliseconds % 1000;
  return {
    ...element,
    text: `${element.text} timeout ${Math.floor(milliseconds / 1000)}s${rest === 0 ? "" : `${rest}ms`}`,
  };
}
