import { expect, test } from "vitest";
import { openClearance, stepClearance } from "./clearance.ts";
import { planNotice } from "./clearance-notice.ts";
import { describeRefusal } from "./clearance-refusal.ts";

function rowsOf(...names: string[]) {
  let state = openClearance({ columns: 80, rows: 24 });
  for (const name of names) {
    const refusal = describeRefusal({
      ...{ v: 1, ts: "2026-12-01T10:15:00.000Z", container: "web", action: "name", verdict: "refused" },
      ...{ name, queryType: "A" },
    });
    if (refusal !== undefined)
      state = stepClearance(state, { kind: "refused", refusal, run: "r", at: 0 }).state;
  }
  return state.rows;
}

test("one destination is told of with buttons", () => {
  const rows = rowsOf("a.test");
  expect(planNotice(rows, new Set())).toEqual({
    summary: "terok-shield refused web",
    body: "name a.test\nEntry: a.test",
    actions: [
      { choice: "once", label: "Allow until it restarts" },
      { choice: "deny", label: "Deny for good" },
      { choice: "ignore", label: "Ignore" },
    ],
    about: rows[0]?.id,
  });
});

test("several are told of together, and none twice", () => {
  const rows = rowsOf("a.test", "b.test", "c.test");
  expect(planNotice(rows, new Set())).toMatchObject({
    summary: "terok-shield refused 3 destinations",
    actions: [],
  });
  expect(planNotice(rows, new Set(rows.map(({ id }) => id)))).toBeUndefined();
});

test("what is dangerous has no button that allows it", () => {
  const choices = planNotice(rowsOf("xn--pple-43d.com"), new Set())?.actions.map(({ choice }) => choice);
  expect(choices).toEqual(["deny", "ignore"]);
});

test("a name is no markup", () => {
  expect(planNotice(rowsOf('<img src="x">&.test'), new Set())?.body).toBe(
    "name &quot;&lt;img src=\\&quot;x\\&quot;&gt;&amp;.test&quot;",
  );
});
