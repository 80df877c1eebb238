import type { ModeReport } from "../commands/change-mode.ts";
import { renderEnd } from "./lease-end.ts";

/** What a container's shield does from now on, in one line. */
export function renderMode({ container, mode, until }: ModeReport, now: Date): string {
  const end = renderEnd(until, now);
  switch (mode) {
    case "up":
      return `Shield of ${container} is up\n`;
    case "down":
      return `Shield of ${container} is down: everything but denied and private addresses is open${end}\n`;
    case "down_all":
      return `Shield of ${container} is down: everything but denied addresses is open${end}\n`;
    case "block":
      return `${container} is blocked: nothing passes until terok-shield up ${container}\n`;
  }
}

/** The document of `--json`. */
export function renderModeJson({ isRunning, until, ...report }: ModeReport): string {
  const end = until === undefined ? {} : { until: until.toISOString() };
  return `${JSON.stringify({ ...report, ...end, running: isRunning })}\n`;
}
