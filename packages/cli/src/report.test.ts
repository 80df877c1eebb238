import type { PacketEvent, ShieldEvent } from "@terok-shield/audit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { summariseEvents, TIMELINE_KINDS } from "./report.ts";

const UNTIL = new Date("2026-12-01T10:00:00.000Z");

const before = (seconds: number) => ({
  v: 1 as const,
  ts: new Date(UNTIL.getTime() - seconds * 1000).toISOString(),
  container: "web",
});

const packet = (
  seconds: number,
  verdict: PacketEvent["verdict"],
  more: Partial<PacketEvent> = {},
): PacketEvent => ({
  ...{ ...before(seconds), action: "packet", verdict, protocol: "tcp", address: "198.18.0.1", port: 443 },
  ...more,
});

describe("the summary of events", () => {
  test("joins what went to the same place with the same verdict, most often first", () => {
    const { refused, reached } = summariseEvents(
      [
        packet(50, "blocked"),
        packet(40, "allowed"),
        packet(30, "denied", { name: "a.test" }),
        packet(20, "denied", { name: "a.test" }),
        packet(10, "blocked", { port: 80 }),
      ],
      { until: UNTIL },
    );
    expect(
      refused.map(({ verdict, name, service, count }) => [verdict, name ?? null, service, count]),
    ).toEqual([
      ["denied", "a.test", "443/tcp", 2],
      ["blocked", null, "80/tcp", 1],
      ["blocked", null, "443/tcp", 1],
    ]);
    expect(refused[0]).toMatchObject({ first: before(30).ts, last: before(20).ts });
    expect(reached).toHaveLength(1);
  });

  test("counts what was not listed, but names no place for it", () => {
    const leftOut = { blocked: 40, allowed: 3 };
    const { totals, refused, timeline } = summariseEvents(
      [{ ...before(5), action: "sampled", detail: "", leftOut }],
      { until: UNTIL },
    );
    expect(totals).toMatchObject({ blocked: 40, allowed: 3 });
    expect(refused).toEqual([]);
    expect(timeline.spans.map(({ unlisted }) => unlisted).filter((count) => count > 0)).toEqual([40]);
  });

  test("joins queries for one name, whatever was asked of it", () => {
    const query = (seconds: number, queryType: string) =>
      ({ ...before(seconds), action: "name", verdict: "refused", name: "evil.test", queryType }) as const;
    const events = [query(3, "A"), query(2, "AAAA"), query(1, "A")];
    expect(summariseEvents(events, { until: UNTIL }).refusedNames).toEqual([
      {
        name: "evil.test",
        queryTypes: ["A", "AAAA"],
        count: 3,
        first: before(3).ts,
        last: before(1).ts,
      },
    ]);
  });

  test("has what happened to the shield, newest first", () => {
    const events: ShieldEvent[] = [
      { ...before(9), action: "setup", detail: "one" },
      { ...before(8), action: "denied", detail: "two" },
    ];
    const { decisions } = summariseEvents(events, { until: UNTIL });
    expect(decisions.map(({ detail }) => detail)).toEqual(["two", "one"]);
  });

  test("has each refusal in the picture once, in spans of whole seconds that end now", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 100_000 })), (ages) => {
        const events = ages.toSorted((left, right) => right - left).map((age) => packet(age, "blocked"));
        const { timeline } = summariseEvents(events, { until: UNTIL });
        const total = timeline.spans.reduce(
          (sum, span) => sum + TIMELINE_KINDS.reduce((inner, kind) => inner + span[kind], 0),
          0,
        );
        expect(total).toBe(ages.length);
        expect(timeline.end).toEqual(UNTIL);
        expect((timeline.end.getTime() - timeline.start.getTime()) % 60_000).toBe(0);
      }),
    );
  });
});
