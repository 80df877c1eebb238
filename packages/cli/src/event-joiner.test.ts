import type { ShieldEvent } from "@terok-shield/audit";
import { describe, expect, test } from "vitest";
import { EventJoiner, JOIN_MILLISECONDS, type JoinedLine, joinNeighbours } from "./event-joiner.ts";

function packet(address: string, more: object = {}): ShieldEvent {
  return {
    ...{ v: 1, ts: "2026-11-24T06:00:00.000Z", container: "web", action: "packet", verdict: "blocked" },
    ...{ protocol: "tcp", address, port: 443, ...more },
  } as ShieldEvent;
}

function name(text: string, queryType = "A"): ShieldEvent {
  const ts = "2026-11-24T06:00:00.000Z";
  return { v: 1, ts, container: "web", action: "name", verdict: "refused", name: text, queryType };
}

function note(detail: string): ShieldEvent {
  return { v: 1, ts: "2026-11-24T06:00:00.000Z", container: "web", action: "note", detail };
}

const A = packet("198.18.0.1");
const B = packet("198.18.0.2");

function inWords({ kind, event, count }: JoinedLine): string {
  const what =
    event.action === "packet" ? event.address.at(-1) : event.action === "name" ? event.name : event.action;
  return `${kind} ${what} ${count}`;
}

/** A number is a look at the clock at that millisecond; an event comes at the time of the last look. */
function join(canReplace: boolean, steps: readonly (ShieldEvent | number)[]): string[] {
  const joiner = new EventJoiner({ canReplace });
  let now = 0;
  const lines = steps.flatMap((step) => {
    if (typeof step !== "number") return joiner.push(step, now);
    now = step;
    return joiner.tick(now);
  });
  return [...lines, ...joiner.flush()].map(inWords);
}

const LATER = JOIN_MILLISECONDS;

describe("where lines can be replaced", () => {
  test.each([
    ["repeats count up in the last line", [A, A, A], ["add 1 1", "replace 1 2", "replace 1 3"]],
    ["for as long as it is the last one", [A, LATER * 3, A], ["add 1 1", "replace 1 2"]],
    ["a line further up stays as it is", [A, B, A, A], ["add 1 1", "add 2 1", "add 1 2"]],
    [
      "and its repeats get a line when their time is over",
      [A, B, A, LATER, B],
      ["add 1 1", "add 2 1", "add 1 1", "add 2 1"],
    ],
    [
      "what came while the line was last is not counted again",
      [A, A, B, A],
      ["add 1 1", "replace 1 2", "add 2 1", "add 1 1"],
    ],
    ["two notes are two, even the same", [note("x"), note("x")], ["add note 1", "add note 1"]],
    ["no line is replaced from below another", [A, note("x"), A], ["add 1 1", "add note 1", "add 1 1"]],
    ["names, too", [name("evil.test"), name("evil.test")], ["add evil.test 1", "replace evil.test 2"]],
    [
      "whichever kind of address is asked for, and nothing else",
      [name("evil.test"), name("evil.test", "AAAA"), name("evil.test", "TXT")],
      ["add evil.test 1", "replace evil.test 2", "add evil.test 1"],
    ],
  ] satisfies [string, (ShieldEvent | number)[], string[]][])("%s", (_, steps, lines) => {
    expect(join(true, steps)).toEqual(lines);
  });
});

describe("where lines stay", () => {
  test.each([
    [
      "repeats get one line together when their time is over",
      [A, A, A, LATER - 1, A, LATER],
      ["add 1 1", "add 1 3"],
    ],
    ["at the end at the latest", [A, A, B, A], ["add 1 1", "add 2 1", "add 1 2"]],
    ["what has no repeats gets no second line", [A, B, LATER], ["add 1 1", "add 2 1"]],
    ["after that it begins anew", [A, LATER, A], ["add 1 1", "add 1 1"]],
  ] satisfies [string, (ShieldEvent | number)[], string[]][])("%s", (_, steps, lines) => {
    expect(join(false, steps)).toEqual(lines);
  });
});

test.each([
  ["destination", B],
  ["port", packet("198.18.0.1", { port: 80 })],
  ["verdict", packet("198.18.0.1", { verdict: "denied" })],
  ["name", packet("198.18.0.1", { name: "good.test" })],
  ["protocol", packet("198.18.0.1", { protocol: "udp" })],
  ["container", packet("198.18.0.1", { container: "other" })],
])("another %s is no repeat", (_, other) => {
  expect(join(true, [A, other])[1]).toMatch(/^add/);
});

test("another time, port of origin or user is a repeat", () => {
  const other = packet("198.18.0.1", { ts: "2026-11-24T07:00:00.000Z", sourcePort: 4711, uid: 7 });
  expect(join(true, [A, other])).toEqual(["add 1 1", "replace 1 2"]);
});

test.each([true, false])(
  "of a flood of different ones the counts add up, and few are kept (%s)",
  (canReplace) => {
    const joiner = new EventJoiner({ canReplace });
    const counts = new Map<string, number>();
    const count = (lines: readonly JoinedLine[]) => {
      for (const { kind, event, count } of lines) {
        if (event.action !== "packet") continue;
        const before = counts.get(event.address) ?? 0;
        // A replaced line said one less.
        counts.set(event.address, kind === "replace" ? before + 1 : before + count);
      }
    };
    for (let index = 0; index < 20_000; index++)
      count(joiner.push(packet(`198.18.${index % 5000}.1`), index));
    count(joiner.flush());
    expect([...counts.values()]).toEqual(Array.from({ length: 5000 }, () => 4));
  },
);

test("of the past, neighbours alone are joined", () => {
  expect([...joinNeighbours([A, A, B, A, note("x"), note("x"), A])].map(inWords)).toEqual([
    ...["add 1 2", "add 2 1", "add 1 1", "add note 1", "add note 1", "add 1 1"],
  ]);
});
