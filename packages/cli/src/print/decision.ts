import type { DecisionReport } from "../commands/allow-deny.ts";
import { renderEnd } from "./lease-end.ts";

/** One line for each target. */
export function renderDecision({ container, verdict, targets, until }: DecisionReport, now: Date): string {
  const end = renderEnd(until, now);
  return targets
    .map(({ target, addresses }) => {
      const text = addresses.join(" ");
      if (verdict === "allow") {
        return `Allowed ${target}${text === "" ? "" : ` -> ${text}`} for ${container}${end}\n`;
      }
      return `Denied ${target}${text === "" ? "" : ` (${text})`} for ${container}${end}\n`;
    })
    .join("");
}

/** The document of `--json`. */
export function renderDecisionJson({ isRunning, until, ...report }: DecisionReport): string {
  const end = until === undefined ? {} : { until: until.toISOString() };
  return `${JSON.stringify({ ...report, ...end, running: isRunning })}\n`;
}
