import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { findMarker, renderMarker, renderMarkerLine } from "./marker.ts";

const MARKER = "r7-0a1b2c.terok-shield.invalid";

test("a marker names its revision, and something that nobody can know beforehand", () => {
  expect(renderMarker(7, "0a1b2c")).toBe(MARKER);
});

test.each<[number, string]>([
  [7, ""],
  [7, "a.b"],
  [7, "a/b"],
  [7, "A"],
  [7, "a\n"],
  [7, "a".repeat(41)],
  [-1, "a"],
  [1.5, "a"],
  [Number.NaN, "a"],
  [1e21, "a"],
])("revision %d with the nonce %j makes no marker", (revision, nonce) => {
  expect(() => renderMarker(revision, nonce)).toThrow(/ is no marker$/);
});

test.each<[string, string]>([
  ["alone", ""],
  ["among names", "server=/good.test/10.0.2.3\nserver=/*.good.test/\n"],
  ["beside the hook's own probe", "server=/00ff.terok-shield.invalid/127.0.0.1#4711\n"],
])("the marker is found %s", (_, others) => {
  expect(findMarker(others + renderMarkerLine(MARKER))).toBe(MARKER);
  expect(findMarker(renderMarkerLine(MARKER) + others)).toBe(MARKER);
});

test.each([
  "",
  "server=/good.test/10.0.2.3\n",
  `server=/${MARKER}/10.0.2.3\n`,
  `#server=/${MARKER}/\n`,
  `server=/x.${MARKER}/\n`,
  `server=/${MARKER}.test/\n`,
  "server=/terok-shield.invalid/\n",
  "server=/r-a.terok-shield.invalid/\n",
  renderMarkerLine(MARKER) + renderMarkerLine(MARKER),
  renderMarkerLine(MARKER) + renderMarkerLine(MARKER.replace("7", "8")),
])("%j has no marker, or more than one", (file) => expect(findMarker(file)).toBeUndefined());

test("every marker is found in its file, and its line in no other text", () => {
  const nonce = fc.stringMatching(/^[a-z0-9]{1,40}$/);
  fc.assert(
    fc.property(fc.maxSafeNat(), nonce, anyText(), (revision, random, others) => {
      const marker = renderMarker(revision, random);
      expect(findMarker(`${others}\n${renderMarkerLine(marker)}${others}`)).toBe(marker);
      expect(findMarker(others)).toBeUndefined();
    }),
  );
});
