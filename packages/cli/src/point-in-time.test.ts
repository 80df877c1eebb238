import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parsePointInTime } from "./point-in-time.ts";
import { ShieldError } from "./shield-error.ts";

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

test.each(["2026-02-30", "2026-04-31T10:15", "2027-02-29T00:00:00Z", "2026-04-31T00:00+02:00"])(
  "%s is on no calendar, and not some other day",
  (text) => {
    expect(() => parsePointInTime(text, NOW)).toThrow(`${JSON.stringify(text)} is no time`);
  },
);

test("any time reads as it was written", () => {
  const time = fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true });
  fc.assert(
    fc.property(time, (date) => {
      expect(parsePointInTime(date.toISOString(), NOW)).toEqual(date);
      expect(parsePointInTime(date.toISOString().replace("T", " "), NOW)).toEqual(date);
    }),
  );
});

test("whatever the text, it is a time or a usage error", () => {
  const digits = fc.stringMatching(
    /^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(Z|\+[0-9]{2}:[0-9]{2})?)?$/,
  );
  fc.assert(
    fc.property(fc.oneof(anyText(), digits), (text) => {
      try {
        expect(parsePointInTime(text, NOW).getTime()).not.toBeNaN();
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldError);
        expect(error).toMatchObject({ code: "usage" });
      }
    }),
    { numRuns: 1000 },
  );
});
