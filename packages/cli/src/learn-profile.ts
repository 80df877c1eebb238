import { renderEntry } from "@terok-shield/profiles";
import type { Proposal, ProposedEntry } from "./learn.ts";
import type { SetApart } from "./learn-uses.ts";

const MOST_NAMES_SHOWN = 12;
const MOST_APART_SHOWN = 40;

/** The lines of a profile that propose something: entries, each with a comment where it opens more than was seen. */
export function renderAdded(added: readonly ProposedEntry[]): string[] {
  return added.flatMap(({ entry, names, sharesWith }) => {
    const line = renderEntry(entry);
    if (names !== undefined) return [`# wider than what was seen: ${shorten(names)}`, line];
    if (sharesWith !== undefined) {
      return [`# looked up, and may have been used: its address is one of ${sharesWith}`, line];
    }
    if (entry.ports !== undefined) return [line];
    return ["# asked for and never reached, so no port is known and every port opens", line];
  });
}

function shorten(names: readonly string[]): string {
  const more = names.length - MOST_NAMES_SHOWN;
  return `${names.slice(0, MOST_NAMES_SHOWN).join(" ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Comments: what is left to the owner, and why. */
export function renderApart(apart: readonly SetApart[]): string[] {
  const more = apart.length - MOST_APART_SHOWN;
  return [
    ...apart
      .slice(0, MOST_APART_SHOWN)
      .map(({ what, reason, count }) => `# ${what}  # ${times(count)}: ${reason}`),
    ...(more > 0 ? [`# and ${more} more`] : []),
  ];
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

export interface LearnedBlock {
  readonly container: string;
  readonly at: Date;
}

/** The text of a profile with what was learned at its end; lines that are there stay. */
export function appendLearned(
  text: string,
  { added, apart }: Pick<Proposal, "added" | "apart">,
  { container, at }: LearnedBlock,
): string {
  const known = new Set(text.split(/\r?\n/));
  // Counts differ from one time to the next.
  const withoutCount = (line: string) => line.replace(/ {2}# (?:once|\d+ times): /, "  # ");
  const knownApart = new Set([...known].map(withoutCount));
  const left = renderApart(apart).filter((line) => !knownApart.has(withoutCount(line)));
  const block = [
    `# learned from ${container}, ${at.toISOString().slice(0, 16).replace("T", " ")} UTC`,
    ...renderAdded(added),
    ...(left.length === 0 ? [] : ["# set apart, not open:", ...left]),
  ];
  const before = text === "" ? "" : `${text.replace(/\n*$/, "")}\n\n`;
  return `${before}${block.join("\n")}\n`;
}
