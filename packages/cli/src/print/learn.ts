import { cleanText } from "@terok-shield/audit";
import { renderEntry } from "@terok-shield/profiles";
import type { Learned } from "../commands/learn.ts";
import { renderAdded, renderApart } from "../learn-profile.ts";

/** What a profile would get, as a difference; what was set apart; what to do next. */
export function renderLearned(learned: Learned): string {
  const { container, profile, proposal, present } = learned;
  const { added, kept, apart, leftOut } = proposal;
  const lines = [
    `--- in force for ${container} (${present.length === 0 ? "no profile" : present.join(", ")})`,
    `+++ proposed for the profile ${profile}`,
    ...kept.map((entry) => ` ${renderEntry(entry)}`),
    ...renderAdded(added).map((line) => `+${line}`),
    ...(apart.length === 0 ? [] : ["", "Set apart, and not proposed:", ...renderApart(apart)]),
    ...(leftOut === 0
      ? []
      : ["", `${leftOut} connections were counted and not listed: something may be missing.`]),
    ...["", ...describeNext(learned)],
  ];
  return lines.map((line) => `${cleanText(line)}\n`).join("");
}

function describeNext({ container, profile, proposal, written }: Learned): string[] {
  const count = proposal.added.length === 1 ? "1 entry" : `${proposal.added.length} entries`;
  if (proposal.added.length === 0) return ["There is nothing to add."];
  if (written === undefined)
    return [`To put them there: terok-shield learn ${container} --profile ${profile} --write`];
  const from = written.isRunning ? "now" : "its next start";
  return [
    `Wrote ${count} to ${written.file}`,
    `In force for ${container} from ${from} on; for others: terok-shield run NAME --profiles ${profile}`,
    ...(written.mode === "down"
      ? [`${container} is still in bypass. To end it: terok-shield up ${container}`]
      : []),
  ];
}

/** The document of `--json`. */
export function renderLearnedJson({ container, profile, present, proposal, written }: Learned): string {
  const { added, kept, apart, leftOut } = proposal;
  const document = {
    ...{ container, profile, profiles: present },
    add: added.map(({ entry, ...more }) => ({
      entry: renderEntry(entry),
      ...more,
    })),
    inForce: kept.map(renderEntry),
    apart,
    leftOut,
    ...(written === undefined ? {} : { written: written.file, running: written.isRunning }),
  };
  return `${JSON.stringify(document)}\n`;
}
