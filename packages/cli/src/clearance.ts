import { coversRange, parseIpRange } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, coversEntry, renderEntry } from "@terok-shield/profiles";
import type { Refusal } from "./clearance-refusal.ts";
import type { Decision, Verdict } from "./decision.ts";
import { LONGEST_SECONDS } from "./duration.ts";
import { renderClearance } from "./print/clearance.ts";
import { ShieldError } from "./shield-error.ts";

/** The operator's prompt: what waits for a verdict, and what he has selected. */
export interface Clearance {
  /** In the order in which they came, whatever happens to them. */
  readonly rows: readonly Row[];
  readonly selected: string | undefined;
  /** Monotonic milliseconds; verdicts count from `SETTLING_MILLISECONDS` after it. */
  readonly movedAt: number;
  readonly menu: "verdicts" | "times";
  /** The row whose verdict is being carried out. */
  readonly applying: string | undefined;
  /** Rows that the operator does not want to see again, the newest last. */
  readonly ignored: ReadonlySet<string>;
  /** Attempts at destinations that found no room. */
  readonly unlisted: number;
  readonly status: Status | undefined;
  readonly size: Size;
  readonly isPasting: boolean;
}

export interface Row extends Refusal {
  /** Of the run, the destination and what is shown of it. */
  readonly id: string;
  /** As `runIdOf` names it: verdicts are for that run and no other. */
  readonly run: string;
  readonly count: number;
  /** ISO 8601, of the newest attempt. */
  readonly lastAt: string;
  /** The run is over. */
  readonly isOver: boolean;
}

export interface Status {
  readonly text: string;
  readonly tone: "good" | "bad" | "plain";
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export type Choice = "once" | "10m" | "1h" | "1d" | "allow" | "deny";

export interface Wanted {
  readonly verdict: Verdict;
  /** For good when absent. */
  readonly seconds?: number;
}

/** What a choice is in the words of `allow` and `deny`. A temporary allow ends with the run at the latest. */
export const CHOICES: Readonly<Record<Choice, Wanted>> = {
  once: { verdict: "allow", seconds: LONGEST_SECONDS },
  "10m": { verdict: "allow", seconds: 600 },
  "1h": { verdict: "allow", seconds: 3600 },
  "1d": { verdict: "allow", seconds: 86_400 },
  allow: { verdict: "allow" },
  deny: { verdict: "deny" },
};

export type Input =
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly run: string; readonly at: number }
  | { readonly kind: "key"; readonly key: string; readonly at: number }
  | { readonly kind: "resized"; readonly size: Size }
  /** A verdict that was asked for elsewhere, in a desktop notification. */
  | { readonly kind: "chosen"; readonly id: string; readonly choice: Choice | "ignore"; readonly at: number }
  | { readonly kind: "applied"; readonly id: string; readonly status: Status; readonly at: number }
  /** Decisions in force in a container, of whomever. */
  | {
      readonly kind: "decisions";
      readonly container: string;
      readonly decisions: readonly Decision[];
      readonly at: number;
    }
  | { readonly kind: "ended"; readonly container: string; readonly run: string };

export type Effect =
  | {
      readonly kind: "decide";
      readonly row: Row & { readonly entry: AllowlistEntry };
      readonly choice: Choice;
    }
  | { readonly kind: "quit" };

export interface Step {
  readonly state: Clearance;
  readonly effect?: Effect;
}

/** A row has to be the selected one for so long before a key decides about it. */
export const SETTLING_MILLISECONDS = 800;
/** Of one container, so that none of them takes the others' room. */
export const MOST_ROWS = 100;
const MOST_IGNORED = 10_000;

export function openClearance(size: Size): Clearance {
  return {
    rows: [],
    selected: undefined,
    movedAt: 0,
    menu: "verdicts",
    applying: undefined,
    ignored: new Set(),
    unlisted: 0,
    status: undefined,
    size,
    isPasting: false,
  };
}

/** What comes of one input. Pure: time comes with the input, and what is to be done is returned. */
export function stepClearance(state: Clearance, input: Input): Step {
  switch (input.kind) {
    case "refused":
      return { state: addRefusal(state, input) };
    case "key":
      return pressKey(state, input.key, input.at);
    case "resized":
      return { state: { ...state, size: input.size } };
    case "chosen":
      return choose(state, findRow(state, input.id), input.choice, input.at);
    case "applied": {
      const left = { ...state, applying: undefined, status: input.status };
      return {
        state: input.status.tone === "good" ? removeRows(left, ({ id }) => id === input.id, input.at) : left,
      };
    }
    case "decisions":
      return { state: overrule(state, input) };
    case "ended":
      return { state: endRun(state, input) };
  }
}

function rowId({ container, entry, what }: Refusal, run: string): string {
  return JSON.stringify([container, run, entry === undefined ? what : renderEntry(entry)]);
}

function addRefusal(state: Clearance, { refusal, run, at }: Extract<Input, { kind: "refused" }>): Clearance {
  const id = rowId(refusal, run);
  if (state.ignored.has(id)) return state;
  const { ts } = refusal;
  if (state.rows.some((row) => row.id === id)) {
    // What is shown of a row stays as it was when the operator read it; only its count and time change.
    const rows = state.rows.map((row) =>
      row.id === id ? { ...row, count: row.count + 1, lastAt: laterOf(ts, row.lastAt) } : row,
    );
    return { ...state, rows };
  }
  const ofContainer = state.rows.filter(({ container }) => container === refusal.container);
  const over = ofContainer.find(
    (row) => row.isOver && row.id !== state.selected && row.id !== state.applying,
  );
  if (ofContainer.length >= MOST_ROWS && over === undefined)
    return { ...state, unlisted: state.unlisted + 1 };
  const kept = ofContainer.length >= MOST_ROWS ? state.rows.filter((row) => row !== over) : state.rows;
  const rows = [...kept, { ...refusal, id, run, count: 1, lastAt: ts, isOver: false }];
  return state.selected === undefined ? { ...state, rows, selected: id, movedAt: at } : { ...state, rows };
}

/** ISO 8601 in UTC is in order as text. */
function laterOf(left: string, right: string): string {
  return left < right ? right : left;
}

const VERDICT_KEYS: Readonly<Record<string, Choice | "ignore" | "times">> = {
  o: "once",
  t: "times",
  a: "allow",
  d: "deny",
  i: "ignore",
};
/** No letters: a key that means something else in the other menu would do harm. */
const TIME_KEYS: Readonly<Record<string, Choice>> = { "1": "10m", "2": "1h", "3": "1d" };

function pressKey(state: Clearance, key: string, at: number): Step {
  if (key === "ctrl-c") return { state, effect: { kind: "quit" } };
  // What somebody pastes by mistake are no verdicts.
  if (key === "paste-start" || key === "paste-end") {
    return { state: { ...state, isPasting: key === "paste-start" } };
  }
  if (state.isPasting) return { state };
  if (key === "q") return { state, effect: { kind: "quit" } };
  const steps = MOVES[key];
  if (steps !== undefined) return { state: moveSelection(state, steps) };
  const choice = state.menu === "times" ? TIME_KEYS[key] : VERDICT_KEYS[key];
  if (choice === undefined) return { state: { ...state, menu: "verdicts" } };
  const row = findRow(state, state.selected);
  if (row === undefined) return { state };
  if (at - state.movedAt < SETTLING_MILLISECONDS) {
    // A key that is held down must not decide as soon as it may.
    return {
      state: {
        ...withStatus(state, "The selection has just moved. Look, then press again.", "bad"),
        movedAt: at,
      },
    };
  }
  if (choice === "times") return { state: { ...state, menu: "times" } };
  if (!renderClearance(state).isWhole) {
    return { state: withStatus(state, "The terminal is too small to show what you would decide.", "bad") };
  }
  return choose(state, row, choice, at);
}

const MOVES: Readonly<Record<string, number>> = {
  up: -1,
  k: -1,
  down: 1,
  j: 1,
  pageup: -10,
  pagedown: 10,
  home: Number.NEGATIVE_INFINITY,
  end: Number.POSITIVE_INFINITY,
};

/** The operator himself moves it, so he knows where it is. */
function moveSelection(state: Clearance, steps: number): Clearance {
  const index = state.rows.findIndex(({ id }) => id === state.selected);
  if (index < 0) return state;
  const next = Math.min(Math.max(index + steps, 0), state.rows.length - 1);
  return { ...state, menu: "verdicts", selected: state.rows[next]?.id, status: undefined };
}

function choose(state: Clearance, row: Row | undefined, choice: Choice | "ignore", at: number): Step {
  const before: Clearance = { ...state, menu: "verdicts" };
  if (row === undefined) {
    return { state: withStatus(before, "That destination does not wait for a verdict any more.", "bad") };
  }
  if (state.applying !== undefined) {
    return { state: withStatus(before, "One moment: the verdict before is being carried out.", "bad") };
  }
  if (choice === "ignore") {
    const ignored = new Set([...state.ignored, row.id].slice(-MOST_IGNORED));
    const left = removeRows({ ...before, ignored }, ({ id }) => id === row.id, at);
    return { state: withStatus(left, `Ignored until you leave: ${row.what}`, "plain") };
  }
  const { entry } = row;
  if (entry === undefined) {
    return { state: withStatus(before, "No entry can name that, so it stays refused. i ignores it.", "bad") };
  }
  return {
    state: { ...withStatus(before, `${renderEntry(entry)} ...`, "plain"), applying: row.id },
    effect: { kind: "decide", row: { ...row, entry }, choice },
  };
}

function overrule(
  state: Clearance,
  { container, decisions, at }: Extract<Input, { kind: "decisions" }>,
): Clearance {
  const coveredBy = (row: Row) =>
    row.container === container && row.id !== state.applying && row.entry !== undefined
      ? findDecision(row.entry, decisions)
      : undefined;
  const first = state.rows.find((row) => coveredBy(row) !== undefined);
  if (first === undefined) return state;
  const decision = coveredBy(first);
  const left = removeRows(state, (row) => coveredBy(row) !== undefined, at);
  const text = `Decided elsewhere: ${decision?.verdict} ${decision === undefined ? "" : renderEntry(decision.entry)} for ${container}`;
  return state.applying === undefined ? withNews(left, text) : left;
}

/** The decision that settles an entry already; undefined while nobody has decided about it. */
export function findDecision(entry: AllowlistEntry, decisions: readonly Decision[]): Decision | undefined {
  return decisions.find((decision) => coversEntry(decision.entry, entry, coversText));
}

/**
 * A verdict is for the run, and for the state of things, that the operator saw.
 * @throws ShieldError when either has changed since.
 */
export function refuseOutdated(
  { container, run, entry, ts }: Pick<Row, "container" | "run" | "ts"> & { readonly entry: AllowlistEntry },
  present: { readonly run: string | undefined; readonly decisions: readonly Decision[] },
): void {
  if (present.run !== run) {
    throw new ShieldError(
      `${container} has ended, or was restarted or replaced, since this was shown. Nothing has changed.`,
    );
  }
  const other = findDecision(entry, present.decisions);
  if (other === undefined || other.decidedAt <= ts) return;
  throw new ShieldError(
    `Somebody else has decided meanwhile: ${other.verdict} ${renderEntry(other.entry)}. Nothing has changed.`,
  );
}

function coversText(wider: string, narrower: string): boolean {
  return coversRange([parseIpRange(wider)], parseIpRange(narrower));
}

/** They stay to be seen; a verdict on one is refused when it is carried out. */
function endRun(state: Clearance, { container, run }: Extract<Input, { kind: "ended" }>): Clearance {
  const rows = state.rows.map((row) =>
    row.container === container && row.run === run ? { ...row, isOver: true } : row,
  );
  return withNews({ ...state, rows }, `${container} has ended or was started anew.`);
}

/** Where the selected one goes, the next comes in its place, and has to be looked at first. */
function removeRows(state: Clearance, isRemoved: (row: Row) => boolean, at: number): Clearance {
  const rows = state.rows.filter((row) => !isRemoved(row));
  const unlisted = rows.length === 0 ? 0 : state.unlisted;
  if (rows.some(({ id }) => id === state.selected)) return { ...state, rows, unlisted };
  const index = state.rows.findIndex(({ id }) => id === state.selected);
  const stays = (row: Row) => !isRemoved(row);
  const next = state.rows.slice(Math.max(index, 0)).find(stays) ?? rows.at(-1);
  return { ...state, rows, unlisted, selected: next?.id, movedAt: at, menu: "verdicts" };
}

function findRow({ rows }: Clearance, id: string | undefined): Row | undefined {
  return rows.find((row) => row.id === id);
}

function withStatus(state: Clearance, text: string, tone: Status["tone"]): Clearance {
  return { ...state, status: { text, tone } };
}

/** Nobody has asked for it, so it does not take away why something that he asked for did not happen. */
function withNews(state: Clearance, text: string): Clearance {
  return state.status?.tone === "bad" ? state : withStatus(state, text, "plain");
}
