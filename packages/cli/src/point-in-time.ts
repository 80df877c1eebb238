import { parseDuration } from "./duration.ts";
import { ShieldError } from "./shield-error.ts";

const LOCAL_DAY = /^\d{4}-\d{2}-\d{2}$/;
const DATE_AND_TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})?$/;

/**
 * Reads a point in time: `10m` is ten minutes before `now`; `2026-11-24`, `2026-11-24T10:15` and `2026-11-24 10:15:02` are
 * local, `2026-11-24T10:15:02.123Z` and `…+01:00` are not.
 * @throws ShieldError (usage) for any other text.
 */
export function parsePointInTime(text: string, now: Date): Date {
  if (/^\d+[smhd]$/.test(text)) return new Date(now.getTime() - parseDuration(text) * 1000);
  const iso = LOCAL_DAY.test(text) ? `${text}T00:00` : DATE_AND_TIME.test(text) ? text.replace(" ", "T") : "";
  const date = new Date(iso);
  if (isOnCalendar(iso) && !Number.isNaN(date.getTime())) return date;
  throw new ShieldError(
    `${JSON.stringify(text.slice(0, 40))} is no time. Write 10m (s, m, h or d before now), 2026-11-24, 2026-11-24T10:15 or 2026-11-24T10:15:02Z.`,
    { code: "usage" },
  );
}

/** `new Date` takes the 30th of February for the 2nd of March. */
function isOnCalendar(iso: string): boolean {
  const day = new Date(iso.slice(0, "2026-11-24".length));
  return !Number.isNaN(day.getTime()) && iso.startsWith(day.toISOString().slice(0, "2026-11-24".length));
}
