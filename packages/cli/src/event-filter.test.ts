import type { ShieldEvent } from "@terok-shield/audit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENT_KINDS, parseEventFilter } from "./event-filter.ts";
import { ShieldError } from "./shield-error.ts";

const ORIGIN = { v: 1, ts: "2026-11-24T06:00:00.000Z", container: "web" };
const PACKET = { ...ORIGIN, action: "packet", protocol: "tcp", address: "198.18.0.1", port: 443 };

/** One of each. */
const EVENTS = {
  ...Object.fromEntries(
    ["blocked", "denied", "private", "allowed", "bypass"].map((verdict) => [verdict, { ...PACKET, verdict }]),
  ),
  name: { ...ORIGIN, action: "name", verdict: "refused", name: "evil.test", queryType: "A" },
  sampled: { ...ORIGIN, action: "sampled", detail: "too many", leftOut: { blocked: 7 } },
  setup: { ...ORIGIN, action: "setup", detail: "" },
  error: { ...ORIGIN, action: "error", detail: "no" },
} as Record<string, ShieldEvent>;

test.each([
  [undefined, Object.keys(EVENTS)],
  [["blocked"], ["blocked", "sampled"]],
  [["denied"], ["denied", "sampled"]],
  [["private"], ["private", "sampled"]],
  [["allowed"], ["allowed", "sampled"]],
  [["bypass"], ["bypass", "sampled"]],
  [["refused"], ["blocked", "denied", "private", "name", "sampled"]],
  [["names"], ["name", "sampled"]],
  [["lifecycle"], ["setup", "error"]],
  [
    ["blocked", "names"],
    ["blocked", "name", "sampled"],
  ],
  [["blocked,lifecycle"], ["blocked", "sampled", "setup", "error"]],
])("--only %j shows %j", (kinds, expected) => {
  const isWanted = parseEventFilter(kinds);
  expect(Object.keys(EVENTS).filter((kind) => isWanted(EVENTS[kind] as ShieldEvent))).toEqual(expected);
});

test.each(["", "blockd", "blocked,", "toString", "__proto__", "\u001b[31m"])("%j is no kind", (kind) => {
  expect(() => parseEventFilter([kind])).toThrow(
    new ShieldError(
      `There are no events of the kind ${JSON.stringify(kind.split(",").at(-1))}. There are ${EVENT_KINDS.join(", ")}.`,
      { code: "usage" },
    ),
  );
});

test("whatever is named, it is a usage error or shows something", () => {
  const kind = fc.oneof(fc.constantFrom(...EVENT_KINDS), fc.constantFrom("valueOf", ",", ""), fc.string());
  fc.assert(
    fc.property(fc.array(kind, { minLength: 1, maxLength: 4 }), (kinds) => {
      const isKnown = kinds
        .join(",")
        .split(",")
        .every((each) => EVENT_KINDS.includes(each));
      if (!isKnown) {
        expect(() => parseEventFilter(kinds)).toThrow(expect.objectContaining({ code: "usage" }));
        return;
      }
      expect(Object.values(EVENTS).some(parseEventFilter(kinds))).toBe(true);
    }),
  );
});
