import { expect, test, vi } from "vitest";
import { parsePointInTime } from "./point-in-time.ts";

vi.stubEnv("TZ", "Europe/Berlin");

const NOW = new Date("2026-11-24T06:00:00.000Z");

test.each([
  ["10m", "2026-11-24T05:50:00.000Z"],
  ["2h", "2026-11-24T04:00:00.000Z"],
  ["1d", "2026-11-23T06:00:00.000Z"],
  ["2026-11-24", "2026-11-23T23:00:00.000Z"],
  ["2026-11-24T05:30", "2026-11-24T04:30:00.000Z"],
  ["2026-11-24 05:30:07", "2026-11-24T04:30:07.000Z"],
  ["2026-11-24T05:30:07.250Z", "2026-11-24T05:30:07.250Z"],
  ["2026-11-24T05:30:07+02:00", "2026-11-24T03:30:07.000Z"],
])("%s is %s", (text, expected) => {
  expect(parsePointInTime(text, NOW).toISOString()).toBe(expected);
});

test.each([
  "",
  "0m",
  "99d",
  "yesterday",
  "2026-13-01",
  "2026-11-24T25:00",
  "24.11.2026",
  "10",
  "-10m",
  "2026-11-24T05:30:07Z; x",
])("%j is no time", (text) => {
  expect(() => parsePointInTime(text, NOW)).toThrow(`${JSON.stringify(text)} is n`);
});
