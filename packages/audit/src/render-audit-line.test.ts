import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { type AuditEvent, parseAuditLine } from "./audit-event.ts";
import { MAXIMUM_LINE_BYTES, renderAuditLine } from "./render-audit-line.ts";

const NOTE: AuditEvent = {
  v: 1,
  ts: "2026-12-01T10:15:00.000Z",
  container: "web",
  action: "note",
  detail: "hello",
};

const text = (maxLength: number) => anyText({ maxLength });

/** Events whose texts and lists have up to about this many characters and items. */
function eventOf(maxLength: number): fc.Arbitrary<AuditEvent> {
  const list = fc.array(text(maxLength), { maxLength });
  const date = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-01-01") });
  const always = fc.record({
    v: fc.constant(1 as const),
    ts: date.map((value) => value.toISOString()),
    container: text(maxLength),
    detail: text(maxLength),
  });
  const sometimes = <Fields extends object>(fields: { [Key in keyof Fields]: fc.Arbitrary<Fields[Key]> }) =>
    fc.record({ containerId: text(maxLength), reason: text(maxLength), ...fields }, { requiredKeys: [] });
  const aim = { target: text(maxLength), addresses: list };
  const setup = { profiles: list, tier: fc.constantFrom("dnsmasq", "dig", "getent") };
  return fc
    .oneof(
      fc.tuple(always, fc.constant("setup"), sometimes(setup)),
      fc.tuple(
        always,
        fc.constant("shield_down"),
        sometimes({ privateRanges: fc.constantFrom("closed", "open") }),
      ),
      fc.tuple(always, fc.constantFrom("shield_up", "blocked"), sometimes({})),
      fc.tuple(always, fc.constantFrom("allowed", "denied", "note", "error"), sometimes(aim)),
    )
    .map(([head, action, fields]) => ({ ...head, action, ...fields }) as AuditEvent);
}

test("renders an event as one JSON line", () => {
  expect(
    renderAuditLine({ ...NOTE, action: "allowed", target: "example.com", addresses: ["198.18.0.7"] }),
  ).toBe(
    '{"v":1,"ts":"2026-12-01T10:15:00.000Z","container":"web","action":"allowed","detail":"hello","target":"example.com","addresses":["198.18.0.7"]}\n',
  );
});

test.each([
  ["a newline", "a\nb", "a\\nb"],
  ["an escape sequence", "\u001b[2J", "\\u001b[2J"],
  ["DEL", "\u007f", "\\u007f"],
  ["a C1 control", "\u009b2J", "\\u009b2J"],
  ["line and paragraph separators", "\u2028\u2029", "\\u2028\\u2029"],
  ["bidirectional controls", "\u202e\u2066\u200f\u061c", "\\u202e\\u2066\\u200f\\u061c"],
  ["a lone surrogate", "\ud800", "\\ud800"],
  ["invisible characters", "\u200b\ufeff\u{e0041}", "\\u200b\\ufeff\\udb40\\udc41"],
  ["other letters", "Zoë", "Zo\\u00eb"],
])("writes %s as an escape", (_, detail, written) => {
  expect(renderAuditLine({ ...NOTE, detail })).toContain(`"detail":"${written}"`);
});

test("writes no field that an event does not have", () => {
  const event = { ...NOTE, password: "x", action: "shield_up" } as AuditEvent;
  expect(renderAuditLine(event)).toBe(renderAuditLine({ ...NOTE, action: "shield_up" }));
});

test.each([
  ["a time that is none", { ts: "now" }],
  ["an unknown action", { action: "exploded" }],
])("throws on %s", (_, fault) => {
  expect(() => renderAuditLine({ ...NOTE, ...fault } as AuditEvent)).toThrow();
});

describe("a line that would be too long", () => {
  test("keeps the start of a long text and says so", () => {
    const event = parseAuditLine(
      renderAuditLine({ ...NOTE, detail: `begin ${"x".repeat(10_000)}`, reason: "short" }),
    );
    expect(event?.detail).toMatch(/^begin x{1000,}\.\.\.$/);
    expect(event).toMatchObject({ container: "web", reason: "short", truncated: ["detail"] });
  });

  test("keeps the first of many addresses and says so", () => {
    const addresses = Array.from({ length: 1000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
    const event = parseAuditLine(
      renderAuditLine({ ...NOTE, action: "allowed", target: "big.test", addresses }),
    );
    expect(event).toMatchObject({
      target: "big.test",
      addresses: addresses.slice(0, 64),
      truncated: ["addresses"],
    });
  });

  test("cuts between characters and not inside one", () => {
    const event = parseAuditLine(renderAuditLine({ ...NOTE, detail: "𝄞".repeat(2000) }));
    expect(event?.detail).toMatch(/^(?:𝄞)+\.\.\.$/u);
  });

  test("fits exactly without a cut", () => {
    const room = MAXIMUM_LINE_BYTES - renderAuditLine({ ...NOTE, detail: "" }).length;
    const fitting = { ...NOTE, detail: "x".repeat(room) };
    expect(renderAuditLine(fitting)).toHaveLength(MAXIMUM_LINE_BYTES);
    expect(parseAuditLine(renderAuditLine(fitting))).toEqual(fitting);
    expect(parseAuditLine(renderAuditLine({ ...fitting, detail: `${fitting.detail}x` }))?.truncated).toEqual([
      "detail",
    ]);
  });
});

test("an event of ordinary size comes back as it was", () => {
  fc.assert(
    fc.property(eventOf(8), (event) => {
      expect(parseAuditLine(renderAuditLine(event))).toEqual(event);
    }),
  );
});

const LARGEST: AuditEvent = {
  ...NOTE,
  container: "𝄞".repeat(9000),
  detail: "\n".repeat(9000),
  containerId: "é".repeat(9000),
  reason: "\u007f".repeat(9000),
  target: "\ud800".repeat(9000),
  addresses: Array(500).fill("\0".repeat(500)),
};

test("any event is one line of printable ASCII, short enough for one write, and an event again", () => {
  fc.assert(
    fc.property(eventOf(3000), (event) => {
      const line = renderAuditLine(event);
      expect(line).toMatch(/^[\x20-\x7e]+\n$/);
      expect(line.length).toBeLessThanOrEqual(MAXIMUM_LINE_BYTES);
      expect(parseAuditLine(line)?.action).toBe(event.action);
    }),
    { numRuns: 50, examples: [[LARGEST]] },
  );
});
