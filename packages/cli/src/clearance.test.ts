import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Clearance,
  type Effect,
  type Input,
  MOST_ROWS,
  openClearance,
  refuseOutdated,
  SETTLING_MILLISECONDS,
  stepClearance,
} from "./clearance.ts";
import { describeRefusal } from "./clearance-refusal.ts";
import { type Decision, parseTarget, type Verdict } from "./decision.ts";
import { renderClearance } from "./print/clearance.ts";

const SIZE = { columns: 80, rows: 24 };

function refused(name: string, { at = 0, container = "web", run = "run-1" } = {}): Input {
  const refusal = describeRefusal({
    ...{ v: 1, ts: "2026-12-01T10:15:00.000Z", container, action: "name", verdict: "refused" },
    ...{ name, queryType: "A" },
  });
  if (refusal === undefined) throw new Error(`${name} is no refusal`);
  return { kind: "refused", refusal, run, at };
}

const key = (name: string, at = 10_000): Input => ({ kind: "key", key: name, at });

function decisions(verdict: Verdict, target: string, container = "web"): Input {
  const entry = parseTarget(target, { allowPublicSuffixWildcards: true });
  const decision: Decision = { verdict, entry, decidedAt: "2026-12-01T10:16:00.000Z" };
  return { kind: "decisions", container, decisions: [decision], at: 10_000 };
}

function play(...inputs: Input[]): { state: Clearance; effects: string[] } {
  let state = openClearance(SIZE);
  const effects: string[] = [];
  for (const input of inputs) {
    const step = stepClearance(state, input);
    state = step.state;
    if (step.effect !== undefined) effects.push(describe_(step.effect));
  }
  return { state, effects };
}

function describe_(effect: Effect): string {
  return effect.kind === "quit" ? "quit" : `${effect.choice} ${effect.row.what} in ${effect.row.run}`;
}

const selectedOf = ({ rows, selected }: Clearance) => rows.find(({ id }) => id === selected)?.what;
const listOf = ({ rows }: Clearance) => rows.map(({ what }) => what);

describe("keys", () => {
  test.each([
    { keys: ["o"], effect: "once name a.test in run-1" },
    { keys: ["a"], effect: "allow name a.test in run-1" },
    { keys: ["d"], effect: "deny name a.test in run-1" },
    { keys: ["t", "1"], effect: "10m name a.test in run-1" },
    { keys: ["t", "2"], effect: "1h name a.test in run-1" },
    { keys: ["t", "3"], effect: "1d name a.test in run-1" },
    { keys: ["q"], effect: "quit" },
    { keys: ["ctrl-c"], effect: "quit" },
    { keys: ["t", "d", "d"], effect: "deny name a.test in run-1" },
    { keys: ["t", "escape", "d"], effect: "deny name a.test in run-1" },
    { keys: ["j", "a"], effect: "allow name b.test in run-1" },
    { keys: ["down", "up", "a"], effect: "allow name a.test in run-1" },
    { keys: ["end", "a"], effect: "allow name c.test in run-1" },
  ])("$keys: $effect", ({ keys, effect }) => {
    const names = ["a.test", "b.test", "c.test"].map((name) => refused(name));
    expect(play(...names, ...keys.map((name) => key(name))).effects).toEqual([effect]);
  });

  test.each(["O", "x", "return", "space", "ctrl-a", "meta-a", "1", "2", ""])("%j decides nothing", (name) => {
    expect(play(refused("a.test"), key(name)).effects).toEqual([]);
  });

  test("what is pasted decides nothing", () => {
    const pasted = ["paste-start", "a", "d", "q", "paste-end"].map((name) => key(name));
    expect(play(refused("a.test"), ...pasted).effects).toEqual([]);
    expect(play(refused("a.test"), ...pasted, key("a")).effects).toHaveLength(1);
  });

  test("i takes the row away, and it does not come back", () => {
    const { state } = play(refused("a.test"), key("i"), refused("a.test"));
    expect(listOf(state)).toEqual([]);
  });

  test("the last verdict has to be carried out before the next", () => {
    const { state, effects } = play(refused("a.test"), refused("b.test"), key("a"), key("j"), key("a"));
    expect(effects).toEqual(["allow name a.test in run-1"]);
    expect(state.status?.text).toContain("One moment");
  });

  test("nothing is decided on a terminal that cannot show it", () => {
    const { state, effects } = play(
      refused(`${"x".repeat(60)}.test`),
      { kind: "resized", size: { columns: 30, rows: 4 } },
      key("a"),
    );
    expect(effects).toEqual([]);
    expect(state.status?.text).toContain("too small");
  });

  test("what no entry can name is not decided about", () => {
    const { state, effects } = play(refused("<name unprintable>"), key("a"));
    expect(effects).toEqual([]);
    expect(state.status?.text).toContain("No entry can name that");
  });
});

describe("a verdict is about what the operator saw", () => {
  test("the first row has to be there for a moment", () => {
    expect(play(refused("a.test", { at: 1000 }), key("a", 1000 + SETTLING_MILLISECONDS - 1)).effects).toEqual(
      [],
    );
    expect(
      play(refused("a.test", { at: 1000 }), key("a", 1000 + SETTLING_MILLISECONDS)).effects,
    ).toHaveLength(1);
  });

  test("a row that comes in the place of one that went has to be there for a moment, too", () => {
    const gone = [refused("a.test"), refused("b.test"), decisions("deny", "a.test")];
    const { state } = play(...gone);
    expect(selectedOf(state)).toBe("name b.test");
    expect(play(...gone, key("a", 10_001)).effects).toEqual([]);
    expect(play(...gone, key("a", 11_000)).effects).toEqual(["allow name b.test in run-1"]);
  });

  test("a key that is held down decides nothing, however long", () => {
    const held = Array.from({ length: 100 }, (_, index) => key("a", 10_000 + index * 30));
    const gone = [refused("a.test"), refused("b.test"), decisions("deny", "a.test")];
    expect(play(...gone, ...held).effects).toEqual([]);
  });

  test("neither what comes nor what is refused again moves the selection or the order", () => {
    const before = [refused("a.test"), refused("b.test"), key("j")];
    const flood = Array.from({ length: 300 }, (_, index) => refused(`n${index}.test`, { at: 9000 }));
    const { state } = play(...before, ...flood, refused("a.test"));
    expect(selectedOf(state)).toBe("name b.test");
    expect(listOf(state).slice(0, 3)).toEqual(["name a.test", "name b.test", "name n0.test"]);
    expect(play(...before, ...flood, key("d")).effects).toEqual(["deny name b.test in run-1"]);
  });

  test("whatever comes: the selected row stays it until a key moves it or it goes", () => {
    const arbitraryInput: fc.Arbitrary<Input> = fc.oneof(
      fc
        .tuple(fc.integer({ min: 0, max: 150 }), fc.constantFrom("web", "db"))
        .map(([index, container]) => refused(`n${index}.test`, { container })),
      fc.integer({ min: 0, max: 150 }).map((index) => decisions("deny", `n${index}.test`)),
      fc.constantFrom("web", "db").map((container): Input => ({ kind: "ended", container, run: "run-1" })),
    );
    fc.assert(
      fc.property(fc.array(arbitraryInput, { maxLength: 300 }), (inputs) => {
        let state = openClearance(SIZE);
        for (const input of inputs) {
          const { state: next, effect } = stepClearance(state, input);
          expect(effect).toBeUndefined();
          const stays = next.rows.some(({ id }) => id === state.selected);
          if (stays) expect(next.selected).toBe(state.selected);
          else if (next.selected !== undefined)
            expect(next.movedAt).toBe("at" in input ? input.at : Number.NaN);
          // By their ids: two containers may ask for the same name.
          const [before, after] = [state, next].map(({ rows }) => rows.map(({ id }) => id));
          const kept = before?.filter((id) => after?.includes(id)) ?? [];
          expect(after?.slice(0, kept.length)).toEqual(kept);
          expect(next.rows.length).toBeLessThanOrEqual(2 * MOST_ROWS);
          state = next;
        }
      }),
    );
  });

  test("a verdict names exactly the entry that the screen showed", () => {
    const name = fc.array(fc.stringMatching(/^[a-z0-9]{1,63}$/), { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 20 }),
        (names, down) => {
          const inputs = names.map((labels) => refused(labels.join(".")));
          const moves = Array.from({ length: down }, () => key("j"));
          const { state } = play(...inputs, ...moves);
          const screen = renderClearance(state).lines.map(({ text }) => text);
          const { effect } = stepClearance(state, key("a"));
          if (effect?.kind !== "decide") return;
          expect(screen.join("")).toContain((effect.row.entry as { name: string }).name);
        },
      ),
    );
  });
});

describe("a flood", () => {
  test("is bounded for each container, and says how many attempts found no room", () => {
    const flood = Array.from({ length: MOST_ROWS + 31 }, (_, index) => refused(`n${index}.test`));
    const { state } = play(...flood, refused("quiet.test", { container: "db" }));
    expect(state.rows).toHaveLength(MOST_ROWS + 1);
    expect(state.unlisted).toBe(31);
    expect(listOf(state)).toContain("name quiet.test");
  });

  test("of one destination is one row that counts", () => {
    const { state } = play(...Array.from({ length: 37 }, () => refused("a.test")));
    expect(state.rows).toMatchObject([{ what: "name a.test", count: 37 }]);
  });
});

describe("what others do", () => {
  test.each([
    { target: "a.test", left: ["name b.test"] },
    { target: "*.test", left: [] },
    { target: "a.test:443", left: ["name a.test", "name b.test"] },
    { target: "198.18.0.0/16", left: ["name a.test", "name b.test"] },
  ])("a decision about $target takes the rows that it settles", ({ target, left }) => {
    const { state } = play(refused("a.test"), refused("b.test"), decisions("allow", target));
    expect(listOf(state)).toEqual(left);
    expect(state.status?.text).toBe(
      left.length === 2 ? undefined : `Decided elsewhere: allow ${target} for web`,
    );
  });

  test("a decision in another container takes none", () => {
    expect(listOf(play(refused("a.test"), decisions("allow", "a.test", "db")).state)).toEqual([
      "name a.test",
    ]);
  });

  test("a container that ends keeps its rows, marked; the same destination of its next run is a row of its own", () => {
    const { state } = play(
      refused("a.test"),
      { kind: "ended", container: "web", run: "run-1" },
      refused("a.test", { run: "run-2" }),
    );
    expect(state.rows).toMatchObject([
      { run: "run-1", isOver: true },
      { run: "run-2", isOver: false },
    ]);
  });

  test("why a verdict did not come about stays to be read, whatever else happens", () => {
    const status = { text: "allow a.test: web has ended. Nothing has changed.", tone: "bad" } as const;
    const id = play(refused("a.test")).state.rows[0]?.id ?? "";
    const { state } = play(
      refused("a.test"),
      refused("b.test"),
      { kind: "applied", id, status, at: 5000 },
      { kind: "ended", container: "web", run: "run-1" },
      decisions("deny", "b.test"),
    );
    expect(state.status).toEqual(status);
    expect(play(refused("a.test"), { kind: "ended", container: "web", run: "run-1" }).state.status).toEqual({
      text: "web has ended or was started anew.",
      tone: "plain",
    });
  });

  test("a notification decides about its own row, whichever is selected; about one that went, nothing", () => {
    const inputs = [refused("a.test"), refused("b.test")];
    const { state } = play(...inputs);
    const id = state.rows[1]?.id ?? "";
    expect(play(...inputs, { kind: "chosen", id, choice: "deny", at: 1 }).effects).toEqual([
      "deny name b.test in run-1",
    ]);
    expect(
      play(...inputs, decisions("allow", "b.test"), { kind: "chosen", id, choice: "deny", at: 1 }).effects,
    ).toEqual([]);
  });
});

test("a verdict that worked takes its row; one that failed leaves it, and says why", () => {
  const asked = [refused("a.test"), key("a")];
  const id = play(...asked).state.applying ?? "";
  const applied = (tone: "good" | "bad"): Input => ({
    kind: "applied",
    id,
    at: 1,
    status: { text: "It says so.", tone },
  });
  expect(play(...asked, applied("good")).state).toMatchObject({ rows: [], status: { text: "It says so." } });
  expect(play(...asked, applied("bad")).state).toMatchObject({
    rows: [{ what: "name a.test" }],
    applying: undefined,
    status: { text: "It says so." },
  });
});

describe("under the lock, a verdict is refused", () => {
  const entry = parseTarget("a.test", { allowPublicSuffixWildcards: false });
  const row = { container: "web", run: "run-1", ts: "2026-12-01T10:15:00.000Z", entry };
  const decided = (target: string, decidedAt: string): Decision[] => [
    { verdict: "deny", entry: parseTarget(target, { allowPublicSuffixWildcards: true }), decidedAt },
  ];
  const before = "2026-12-01T10:14:59.000Z";
  const after = "2026-12-01T10:15:01.000Z";

  test.each([
    { why: "another run has begun", run: "run-2", decisions: [], says: "restarted or replaced" },
    { why: "the container has ended", run: undefined, decisions: [], says: "web has ended" },
    {
      why: "somebody has decided since",
      run: "run-1",
      decisions: decided("a.test", after),
      says: "deny a.test",
    },
    {
      why: "somebody has decided about more",
      run: "run-1",
      decisions: decided("*.test", after),
      says: "deny *.test",
    },
  ])("where $why", ({ run, decisions, says }) => {
    expect(() => refuseOutdated(row, { run, decisions })).toThrow(says);
  });

  test.each([
    { what: "of nothing", decisions: [] },
    { what: "of before it was shown", decisions: decided("a.test", before) },
    { what: "about something else", decisions: decided("b.test", after) },
    { what: "about some of its ports", decisions: decided("a.test:80", after) },
  ])("but not for a decision $what", ({ decisions }) => {
    expect(() => refuseOutdated(row, { run: "run-1", decisions })).not.toThrow();
  });
});
