import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseAuditLine, parseAuditLines } from "./audit-event.ts";

const LINE = '{"v":1,"ts":"2026-12-01T10:15:00.000Z","container":"web","action":"note","detail":"hello"}';
const EVENT = { v: 1, ts: "2026-12-01T10:15:00.000Z", container: "web", action: "note", detail: "hello" };

describe("parseAuditLine", () => {
  test("reads an event, with or without its newline", () => {
    expect(parseAuditLine(LINE)).toEqual(EVENT);
    expect(parseAuditLine(`${LINE}\n`)).toEqual(EVENT);
  });

  test("drops fields that it does not know", () => {
    const line = LINE.replace("{", '{"future":[1],"__proto__":{"detail":"x"},"tier":"dig",');
    expect(parseAuditLine(line)).toEqual(EVENT);
  });

  test.each([
    ["nothing", ""],
    ["a torn line", LINE.slice(0, 40)],
    ["two lines that ran together", LINE + LINE],
    ["no object", "null"],
    ["a list", `[${LINE}]`],
    ["another version", LINE.replace('"v":1', '"v":2')],
    ["no version", LINE.replace('"v":1,', "")],
    ["an unknown action", LINE.replace("note", "exploded")],
    ["an action of all objects", LINE.replace("note", "constructor")],
    ["no time", LINE.replace("2026-12-01T10:15:00.000Z", "yesterday")],
    ["a local time", LINE.replace("00.000Z", "00.000+01:00")],
    ["a container that is no text", LINE.replace('"web"', "7")],
    ["a field of the wrong type", LINE.replace("{", '{"addresses":"198.18.0.7",')],
  ])("takes no event from %s", (_, line) => {
    expect(parseAuditLine(line)).toBeUndefined();
  });

  test("throws on no text at all", () => {
    fc.assert(fc.property(fc.oneof(anyText(), fc.json()), (line) => void parseAuditLine(line)));
  });
});

test("parseAuditLines counts the lines it skips", () => {
  const { events, skipped } = parseAuditLines([LINE, "", LINE.slice(0, 20), " ", "null", LINE]);
  expect([events.length, skipped]).toEqual([2, 2]);
});
