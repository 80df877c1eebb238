import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { cleanText } from "./clean-text.ts";
import { isRefused, parseShieldEvent, type ShieldEvent } from "./shield-event.ts";

const when = { v: 1, ts: "2026-11-24T06:06:07.000Z", container: "web" } as const;
const PACKET = {
  ...when,
  action: "packet",
  verdict: "blocked",
  protocol: "tcp",
  address: "198.18.0.1",
  port: 443,
} as const;
const NAME = { ...when, action: "name", verdict: "refused", name: "evil.test", queryType: "A" } as const;
const SAMPLED = { ...when, action: "sampled", detail: "too many", leftOut: { blocked: 3 } } as const;
const NOTE = { ...when, action: "note", detail: "a note" } as const;

test.each<ShieldEvent>([PACKET, NAME, SAMPLED, NOTE])("$action is an event", (event) => {
  expect(parseShieldEvent(JSON.stringify(event))).toEqual(event);
});

test("fields of a newer version are dropped", () => {
  expect(parseShieldEvent(JSON.stringify({ ...PACKET, more: 1 }))).toEqual(PACKET);
});

test.each<[string, object]>([
  ["another version", { ...PACKET, v: 2 }],
  ["an unknown action", { ...PACKET, action: "other" }],
  ["an unknown verdict", { ...PACKET, verdict: "other" }],
  ["a port that is none", { ...PACKET, port: 65536 }],
  ["a local time", { ...PACKET, ts: "2026-11-24T06:06:07.000" }],
  ["a name that is too long", { ...NAME, name: "x".repeat(256) }],
  ["nothing left out of a verdict", { ...SAMPLED, leftOut: { blocked: 0 } }],
  ["an unknown verdict left out", { ...SAMPLED, leftOut: { other: 1 } }],
])("%s is no event", (_, event) => {
  expect(parseShieldEvent(JSON.stringify(event))).toBeUndefined();
});

test("a torn line is no event", () => {
  expect(parseShieldEvent(JSON.stringify(PACKET).slice(0, 50))).toBeUndefined();
});

describe("refused is what the container tried and did not get", () => {
  test.each([
    ["blocked", true],
    ["denied", true],
    ["private", true],
    ["allowed", false],
    ["bypass", false],
  ] as const)("%s: %s", (verdict, refused) => {
    expect(isRefused({ ...PACKET, verdict })).toBe(refused);
  });

  test("a name is, a note and a sample are not", () => {
    expect([NAME, SAMPLED, NOTE].map((event) => isRefused(event))).toEqual([true, false, false]);
  });
});

test.each([
  ["plain text, ünïcode 日本 \u{1f600}", "plain text, ünïcode 日本 \u{1f600}"],
  ["\x1b]0;title\x07", "\\x1b]0;title\\x07"],
  ["a\u009bb\u0000", "a\\x9bb\\x00"],
  ["\u202egnp.exe\u2066", "\\u{202e}gnp.exe\\u{2066}"],
  ["zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"],
  ["line\u2028end\n", "line\\u{2028}end\\x0a"],
  ["half \ud83d", "half \\u{d83d}"],
])("%j is shown as %s", (text, shown) => {
  expect(cleanText(text)).toBe(shown);
});

test("whatever the line, it is no event or one that reads the same when it was written again", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(...Object.values({ ...PACKET, ...NAME, ...SAMPLED })),
  );
  const changed = fc
    .tuple(
      fc.constantFrom<object>(PACKET, NAME, SAMPLED, NOTE),
      fc.dictionary(fc.constantFrom("action", "verdict", "port", "uid", "leftOut", "__proto__"), value),
    )
    .map(([event, change]) => JSON.stringify({ ...event, ...change }));
  let events = 0;
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.json(), changed), (line) => {
      const event = parseShieldEvent(line);
      if (event === undefined) return;
      events += 1;
      expect(parseShieldEvent(JSON.stringify(event))).toEqual(event);
    }),
    { numRuns: 1000 },
  );
  expect(events).toBeGreaterThan(20);
});
