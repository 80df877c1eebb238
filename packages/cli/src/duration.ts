import { ShieldError } from "./shield-error.ts";

const UNIT_SECONDS = { d: 86_400, h: 3600, m: 60, s: 1 } as const;
type Unit = keyof typeof UNIT_SECONDS;

export const LONGEST_SECONDS = 30 * UNIT_SECONDS.d;

/**
 * Reads `30s`, `10m`, `2h` or `1d`.
 * @returns seconds, 1 to those of 30 days
 * @throws ShieldError (usage) for any other text.
 */
export function parseDuration(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * UNIT_SECONDS[(unit ?? "s") as Unit];
  if (seconds <= LONGEST_SECONDS) return seconds;
  throw new ShieldError(
    `${JSON.stringify(text.slice(0, 40))} is not a duration. Write a number and s, m, h or d, from 1s to 30d.`,
    { code: "usage" },
  );
}

/** Writes a time in its two largest units, a part of a second as a whole one: `29m12s`, `2d1h`. */
export function renderDuration(seconds: number): string {
  let rest = Math.ceil(seconds);
  const parts: string[] = [];
  for (const [unit, size] of Object.entries(UNIT_SECONDS)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    // The second unit stands right below the first, or not at all.
    if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count}${unit}` : "");
    if (parts.length === 2) break;
  }
  return parts.join("") || "0s";
}
