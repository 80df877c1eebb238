import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { LONGEST_SECONDS, parseDuration, renderDuration } from "./duration.ts";
import { ShieldError } from "./shield-error.ts";

describe("a duration is a number and its unit", () => {
  test.each([
    ["1s", 1],
    ["90s", 90],
    ["10m", 600],
    ["2h", 7200],
    ["1d", 86_400],
    ["30d", 2_592_000],
    ["720h", 2_592_000],
    ["2592000s", 2_592_000],
  ])("%s", (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  test.each([
    "",
    "0s",
    "00s",
    "05m",
    "-1s",
    "1",
    "s",
    "1.5h",
    "1h30m",
    "1 s",
    " 1s",
    "1s\n",
    "1S",
    "1w",
    "1e3s",
    "١s",
  ])("%j is none", (text) =>
    expect(() => parseDuration(text)).toThrow(
      new ShieldError(
        `${JSON.stringify(text)} is not a duration. Write a number and s, m, h or d, from 1s to 30d.`,
        { code: "usage" },
      ),
    ),
  );

  test.each(["31d", "721h", "2592001s", "9999999d", "99999999s"])("%s is too long", (text) =>
    expect(() => parseDuration(text)).toThrow("from 1s to 30d"),
  );
});

describe("what is left is shown in its two largest units", () => {
  test.each([
    [0, "0s"],
    [0.01, "1s"],
    [59.2, "1m"],
    [61, "1m1s"],
    [1752, "29m12s"],
    [3600, "1h"],
    [3605, "1h"],
    [5400, "1h30m"],
    [90_000, "1d1h"],
    [2_592_000, "30d"],
  ])("%f seconds are %s", (seconds, text) => expect(renderDuration(seconds)).toBe(text));

  test("a duration of one unit reads as it was written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.constantFrom("d", "s"), (count, unit) => {
        expect(renderDuration(parseDuration(`${count}${unit}`))).toBe(`${count}${unit}`);
      }),
    );
  });
});

test("whatever the text, it is a duration of 1 second to 30 days or a usage error", () => {
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.stringMatching(/^-?[0-9]{0,9}[smhdSMx]?$/)), (text) => {
      try {
        const seconds = parseDuration(text);
        expect(seconds).toBeGreaterThanOrEqual(1);
        expect(seconds).toBeLessThanOrEqual(LONGEST_SECONDS);
      } catch (error) {
        expect(error).toMatchObject({ code: "usage" });
      }
    }),
    { numRuns: 1000 },
  );
});
