import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import { type Input, openClearance, stepClearance } from "../clearance.ts";
import { describeRefusal } from "../clearance-refusal.ts";
import { renderClearance } from "./clearance.ts";

const clock = (ts: string) => ts.slice(11, 19);

function screenOf(size: { columns: number; rows: number }, ...inputs: Input[]) {
  let state = openClearance(size);
  for (const input of inputs) state = stepClearance(state, input).state;
  return renderClearance(state, clock);
}

function refused(name: string, queryType = "A", container = "web"): Input {
  const ts = "2026-12-01T10:15:00.000Z";
  const refusal = describeRefusal({
    ...{ v: 1, ts, container, action: "name", verdict: "refused", name, queryType },
  });
  if (refusal === undefined) throw new Error("no refusal");
  return { kind: "refused", refusal, run: "run-1", at: 0 };
}

const text = ({ lines }: ReturnType<typeof renderClearance>) => lines.map((line) => line.text.trimEnd());

test("shows each destination, the selected one's entry, its danger and the keys", () => {
  const screen = screenOf(
    { columns: 80, rows: 24 },
    ...[refused("api.example.org"), refused("secret.evil.test", "TXT"), refused("api.example.org")],
    { kind: "key", key: "j", at: 0 },
  );
  expect(text(screen)).toEqual([
    "terok-shield clearance: 2 wait for a verdict",
    "  TIME       COUNT  CONTAINER: WHAT WAS REFUSED",
    "  10:15:00      x2  web: name api.example.org",
    "> 10:15:00      x1  ODD web: name TXT secret.evil.test",
    "-".repeat(80),
    "In web, until it restarts (o), for a time (t) or for good (a, d):",
    "secret.evil.test",
    "! ODD: asked for by a TXT query, which can carry data out",
    "o once  t for a time  a allow for good  d deny for good  i ignore  q quit",
    "",
  ]);
});

test("says that nothing waits", () => {
  expect(text(screenOf({ columns: 80, rows: 24 }))).toEqual([
    "terok-shield clearance: nothing waits for a verdict",
    "q leaves",
    "",
  ]);
});

test("says how many attempts found no room", () => {
  const flood = Array.from({ length: 131 }, (_, index) => refused(`n${index}.test`));
  const screen = screenOf({ columns: 80, rows: 24 }, ...flood);
  expect(screen.lines).toHaveLength(24);
  expect(text(screen)).toContain(
    "  ... and 31 more attempts that find no room here: decide, and they come again",
  );
});

test("in every size and of whatever names: ASCII alone, nothing outside of the screen, and whole means whole", () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,63}$/);
  const name = fc.oneof(
    anyText({ maxLength: 255 }),
    fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join(".").slice(0, 250)),
  );
  const size = fc.record({
    columns: fc.integer({ min: 1, max: 200 }),
    rows: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(size, fc.array(name, { maxLength: 30 }), fc.nat(30), (size, names, down) => {
      const keys = Array.from({ length: down }, (): Input => ({ kind: "key", key: "j", at: 0 }));
      const inputs = [...names.map((text) => refused(text, "A", "c".repeat(128))), ...keys];
      const { lines, isWhole } = screenOf(size, ...inputs);
      expect(lines.length).toBeLessThanOrEqual(size.rows);
      for (const line of lines) {
        expect(line.text).toMatch(/^[\x20-\x7e]*$/);
        expect(line.text.length).toBeLessThanOrEqual(size.columns);
      }
      const shown = lines.map((line) => line.text).join("\n");
      if (isWhole && names.length > 0) {
        expect(lines.filter(({ tone }) => tone === "selected")).toHaveLength(1);
        expect(shown).toContain("quit");
      }
      if (size.columns >= 80 && size.rows >= 24) expect(isWhole).toBe(true);
    }),
  );
});
