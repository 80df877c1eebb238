import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { type Counters, findLeftOut, parseCounterLine } from "./counter-snapshot.ts";
import { sampledEventSchema } from "./shield-event.ts";

const ts = "2026-11-24T06:06:07.000Z";
const NAMES = {
  allowed: { counted: "allowed", logged: "logged_allowed" },
  bypass: { counted: "bypassed", logged: "logged_bypass" },
  blocked: { counted: "refused_blocked", logged: "logged_blocked" },
  denied: { counted: "refused_denied", logged: "logged_denied" },
  private: { counted: "refused_private", logged: "logged_private" },
  queries: "refused_queries",
};

describe("a line of the log keeper", () => {
  test("holds the counters, and those of the line before", () => {
    expect(
      parseCounterLine(`{"ts":"${ts}","counters":{"allowed":[2,120]},"before":{"allowed":[1,60]}}`),
    ).toEqual({
      ts,
      counters: { allowed: { packets: 2, bytes: 120 } },
      before: { allowed: { packets: 1, bytes: 60 } },
    });
    expect(parseCounterLine(`{"ts":"${ts}","counters":{}}`)).toEqual({ ts, counters: {} });
  });

  test("is read without what is no count", () => {
    const counters =
      '{"allowed":[1,60],"x":[-1,0],"y":[1.5,0],"z":"1","__proto__":[1,1],"UPPER":[1,1],"w":[1]}';
    expect(parseCounterLine(`{"ts":"${ts}","counters":${counters}}`)?.counters).toEqual({
      allowed: { packets: 1, bytes: 60 },
    });
  });

  test.each([
    "",
    '{"ts":"now","counters":{}}',
    `{"ts":"${ts}"}`,
    `{"ts":"${ts}","counters":null}`,
    `{"ts":"${ts}","counters":{"allowed":[1,60]`,
    `{"timestamp":"${ts}","counters":{}}`,
  ])("%j is none", (line) => {
    expect(parseCounterLine(line)).toBeUndefined();
  });
});

describe("what was left out", () => {
  const count = (packets: Readonly<Record<string, number>>): Counters =>
    Object.fromEntries(
      Object.entries(packets).map(([name, number]) => [name, { packets: number, bytes: 0 }]),
    );
  const find = (counters: Record<string, number>, before?: Record<string, number>) =>
    findLeftOut(
      { ts, counters: count(counters), ...(before === undefined ? {} : { before: count(before) }) },
      "web",
      NAMES,
    );

  test("is what was counted since and not logged", () => {
    const event = find(
      {
        refused_blocked: 500,
        logged_blocked: 120,
        allowed: 9,
        logged_allowed: 8,
        refused_denied: 3,
        logged_denied: 3,
      },
      { refused_blocked: 100, logged_blocked: 100 },
    );
    expect(event).toEqual({
      v: 1,
      ts,
      container: "web",
      action: "sampled",
      detail: "too many at once to list: 1 allowed, 380 blocked",
      leftOut: { allowed: 1, blocked: 380 },
    });
    expect(sampledEventSchema.parse(event)).toEqual(event);
  });

  test("are queries too, which are in no verdict", () => {
    expect(find({ refused_queries: 8 }, { refused_queries: 1 })).toMatchObject({
      detail: "too many at once to list: 7 DNS queries that got no answer",
      leftOut: {},
    });
    expect(find({ refused_queries: 2 }, { refused_queries: 1 })?.detail).toContain("1 DNS query that");
  });

  test("begins anew with the counters, when the container does", () => {
    expect(
      find({ refused_blocked: 30, logged_blocked: 10 }, { refused_blocked: 900, logged_blocked: 100 })
        ?.leftOut,
    ).toEqual({ blocked: 20 });
  });

  test.each([
    ["all of it was listed", { refused_blocked: 5, logged_blocked: 5 }, {}],
    [
      "nothing changed",
      { refused_blocked: 500, logged_blocked: 5 },
      { refused_blocked: 500, logged_blocked: 5 },
    ],
    ["what was before is not known", { refused_blocked: 500 }, undefined],
  ])("is nothing when %s", (_, counters, before) => {
    expect(find(counters, before)).toBeUndefined();
  });
});

test("whatever the line, it is none or counts of names that counters have, at a time in its only spelling", () => {
  const name = fc.constantFrom("allowed", "logged_denied", "__proto__", "constructor", "A", "");
  const counts = fc.dictionary(name, fc.oneof(fc.jsonValue(), fc.tuple(fc.integer(), fc.maxSafeNat())));
  const line = fc.oneof(
    anyText().map((text) => `{"ts":${text}`),
    fc
      .record({
        ts: fc.oneof(fc.constant(ts), fc.string(), fc.jsonValue()),
        counters: counts,
        before: counts,
      })
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(line, (text) => {
      const snapshot = parseCounterLine(text);
      if (snapshot === undefined) return;
      expect(new Date(snapshot.ts).toISOString()).toBe(snapshot.ts);
      for (const [key, { packets, bytes }] of Object.entries({ ...snapshot.before, ...snapshot.counters })) {
        expect(key).toMatch(/^[a-z][a-z0-9_]*$/);
        expect([packets, bytes].every((count) => Number.isSafeInteger(count) && count >= 0)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});
