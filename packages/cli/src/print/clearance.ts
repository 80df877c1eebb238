import { cleanText } from "@terok-shield/audit";
import { renderEntry } from "@terok-shield/profiles";
import type { Clearance, Row } from "../clearance.ts";
import { type Clock, fitLine, timeOfDay } from "./event.ts";

export interface ScreenLine {
  /** Printable ASCII, no longer than the screen is wide. */
  readonly text: string;
  readonly tone: "plain" | "title" | "dim" | "selected" | "danger" | "good";
}

export interface Screen {
  /** As many as the screen is high, at most. */
  readonly lines: readonly ScreenLine[];
  /** Everything that a verdict needs is to be seen. */
  readonly isWhole: boolean;
}

const HEADER = `  ${"TIME".padEnd(8)}  ${"COUNT".padStart(6)}  CONTAINER: WHAT WAS REFUSED`;

/** What the operator's terminal shows. */
export function renderClearance(state: Clearance, clock: Clock = timeOfDay): Screen {
  const { columns, rows: height } = state.size;
  const details = renderDetails(state);
  const head = [title(state), ...(state.rows.length === 0 ? [] : [{ text: HEADER, tone: "dim" } as const])];
  const hidden = state.unlisted === 0 ? [] : [notListed(state.unlisted)];
  const room = height - head.length - hidden.length - details.length;
  const list = room < 1 ? [] : page(state, room).map((row) => renderRow(state, row, clock));
  const isWhole = room >= 1 && columns >= SMALLEST_COLUMNS;
  const lines = isWhole
    ? [...head, ...list, ...hidden, ...details]
    : [tooSmall(state), ...renderStatus(state)];
  return {
    isWhole,
    lines: lines
      .slice(0, Math.max(height, 1))
      .map(({ text, tone }) => ({ text: fitLine(toAscii(text), columns), tone })),
  };
}

const SMALLEST_COLUMNS = 40;

function title({ rows }: Clearance): ScreenLine {
  const waiting =
    rows.length === 0
      ? "nothing waits for a verdict"
      : `${rows.length} wait${rows.length === 1 ? "s" : ""} for a verdict`;
  return { text: `terok-shield clearance: ${waiting}`, tone: "title" };
}

function tooSmall({ size }: Clearance): ScreenLine {
  return {
    text: `${size.columns}x${size.rows} is too small. Make the terminal larger, or q.`,
    tone: "danger",
  };
}

function notListed(count: number): ScreenLine {
  return {
    text: `  ... and ${count} more attempts that find no room here: decide, and they come again`,
    tone: "dim",
  };
}

/** A screenful, always cut at the same places, so that nothing scrolls by itself. */
function page({ rows, selected }: Clearance, room: number): readonly Row[] {
  const index = Math.max(
    rows.findIndex(({ id }) => id === selected),
    0,
  );
  const first = Math.floor(index / room) * room;
  return rows.slice(first, first + room);
}

function renderRow(state: Clearance, row: Row, clock: Clock): ScreenLine {
  const isSelected = row.id === state.selected;
  const mark = isSelected ? ">" : " ";
  const flags = [row.danger?.mark, row.isOver ? "ENDED" : undefined].filter((flag) => flag !== undefined);
  const flagged = flags.length === 0 ? "" : `${flags.join(" ")} `;
  const times = `x${row.count > 99_999 ? "99999+" : row.count}`.padStart(6);
  return {
    text: `${mark} ${clock(row.lastAt)}  ${times}  ${flagged}${row.container}: ${row.what}`,
    tone: isSelected ? "selected" : row.danger === undefined ? "plain" : "danger",
  };
}

/** What a key would do, whole however long it is, and what came of the last one. */
function renderDetails(state: Clearance): ScreenLine[] {
  const { columns } = state.size;
  const row = state.rows.find(({ id }) => id === state.selected);
  return [
    ...(row === undefined ? [] : describeSelected(row, columns)),
    ...wrap(row === undefined ? "q leaves" : KEYS[state.menu], columns).map(
      (text) => ({ text, tone: "title" }) as const,
    ),
    ...renderStatus(state),
  ];
}

function renderStatus({ status, size }: Clearance): ScreenLine[] {
  const tone: ScreenLine["tone"] = status?.tone === "bad" ? "danger" : (status?.tone ?? "plain");
  return wrap(status?.text ?? "", size.columns)
    .slice(0, 3)
    .map((text) => ({ text, tone }));
}

const KEYS = {
  verdicts: "o once  t for a time  a allow for good  d deny for good  i ignore  q quit",
  times: "Allow for how long?  1 ten minutes  2 an hour  3 a day  Esc back",
};

function describeSelected({ container, entry, danger, what }: Row, columns: number): ScreenLine[] {
  const lines = (text: string, tone: ScreenLine["tone"]) =>
    wrap(text, columns).map((line) => ({ text: line, tone }));
  return [
    { text: "-".repeat(columns), tone: "dim" },
    ...lines(`In ${container}, until it restarts (o), for a time (t) or for good (a, d):`, "plain"),
    ...(entry === undefined
      ? lines(`Nothing can be allowed: no entry can name ${what}`.slice(0, 2 * columns), "danger")
      : lines(renderEntry(entry), "title")),
    ...(danger === undefined ? [] : lines(`! ${danger.mark}: ${danger.reason}`, "danger")),
  ];
}

/** Cuts a text of ASCII into lines, between words where there are some. */
function wrap(text: string, columns: number): string[] {
  const width = Math.max(columns, 1);
  const lines: string[] = [];
  let rest = toAscii(text);
  while (rest.length > width) {
    const space = rest.lastIndexOf("  ", width);
    const between = space > 0 ? space : rest.lastIndexOf(" ", width);
    const end = between > 0 ? between : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

function toAscii(text: string): string {
  return cleanText(text).replace(/[^\x20-\x7e]/gu, "?");
}
