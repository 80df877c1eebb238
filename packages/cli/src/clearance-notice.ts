import { renderEntry } from "@terok-shield/profiles";
import type { Choice, Row } from "./clearance.ts";

/** What a desktop shows for a while, with buttons. */
export interface Notice {
  /** Plain text. */
  readonly summary: string;
  /** Markup of the desktop notifications' specification. */
  readonly body: string;
  /** Buttons: what each means and what stands on it. */
  readonly actions: readonly { readonly choice: Choice | "ignore"; readonly label: string }[];
  /** The row that the buttons decide about. */
  readonly about: string | undefined;
}

/**
 * What to tell of the rows that wait and were not told of: of one, the row with buttons; of several, their number alone,
 * so that however many come there is one notice to look at. Undefined when there is nothing new.
 */
export function planNotice(rows: readonly Row[], told: ReadonlySet<string>): Notice | undefined {
  const untold = rows.filter(({ id, isOver }) => !isOver && !told.has(id));
  const [row] = untold;
  if (row === undefined) return undefined;
  if (untold.length > 1) {
    return {
      summary: `terok-shield refused ${untold.length} destinations`,
      body: "They wait for your verdict at the prompt of terok-shield clearance.",
      actions: [],
      about: undefined,
    };
  }
  const entry = row.entry === undefined ? "" : `\nEntry: ${escapeMarkup(renderEntry(row.entry))}`;
  const danger = row.danger === undefined ? "" : `\n${row.danger.mark}: ${escapeMarkup(row.danger.reason)}`;
  return {
    summary: `terok-shield refused ${row.container}`,
    body: `${escapeMarkup(row.what)}${entry}${danger}`,
    actions: [
      // What is dangerous is not for a button that comes up under somebody's mouse.
      ...(row.entry === undefined || row.danger !== undefined
        ? []
        : [{ choice: "once", label: "Allow until it restarts" } as const]),
      ...(row.entry === undefined ? [] : [{ choice: "deny", label: "Deny for good" } as const]),
      { choice: "ignore", label: "Ignore" },
    ],
    about: row.id,
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
