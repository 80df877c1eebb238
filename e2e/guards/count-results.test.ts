import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "./workspace.ts";

const COUNT = join(ROOT, "e2e/bin/count-results.mjs");
const REPORTER = join(ROOT, "e2e/bin/results-reporter.mjs");
const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs");

const NO_FAILURES = { passed: 3, failed: [], skipped: [] };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "results-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Run {
  readonly check?: readonly [code: number, log: string];
  readonly unit?: readonly [code: number, results?: object];
  readonly e2e?: readonly [code: number, results?: object];
}

/** The exit code and the lines of what `npm test` ends with. */
function countResults({ check = [0, ""], unit = [0, NO_FAILURES], e2e = [0, NO_FAILURES] }: Run) {
  const write = (name: string, content: string | undefined) => {
    rmSync(join(directory, name), { force: true });
    if (content !== undefined) writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const args = [
    ...[String(check[0]), write("check.log", check[1])],
    ...["unit", String(unit[0]), write("unit.json", unit[1] && JSON.stringify(unit[1]))],
    ...["e2e", String(e2e[0]), write("e2e.json", e2e[1] && JSON.stringify(e2e[1]))],
  ];
  const { status, stdout } = spawnSync(process.execPath, [COUNT, ...args], { encoding: "utf8" });
  return { status, lines: stdout.trimEnd().split("\n") };
}

describe("the end of npm test", () => {
  test("is the count, when nothing failed", () => {
    expect(countResults({})).toEqual({ status: 0, lines: ["7 passed, 0 failed"] });
  });

  test("names each test that failed, in one line", () => {
    const failed = [{ name: "a.test.ts > a > b", reason: "\u001b[31m\nexpected\u0007 1\nto be 2" }];
    expect(
      countResults({ unit: [1, { ...NO_FAILURES, failed }], e2e: [1, { ...NO_FAILURES, failed }] }),
    ).toEqual({
      status: 1,
      lines: [
        "FAILED unit: a.test.ts > a > b: expected? 1 | to be 2",
        "FAILED e2e: a.test.ts > a > b: expected? 1 | to be 2",
        "7 passed, 2 failed",
      ],
    });
  });

  test("tells all of a reason, where no other test failed", () => {
    const screen = Array.from({ length: 24 }, (_, row) => `row ${row} ${"x".repeat(70)}`);
    const failed = [{ name: "a", reason: `The terminal shows:\n${screen.join("\n\n")}` }];
    const { lines } = countResults({ unit: [1, { ...NO_FAILURES, failed }] });
    expect(lines[0]).toBe(`FAILED unit: a: The terminal shows: | ${screen.join(" | ")}`);
  });

  test("takes an e2e test that was skipped as failed, a unit test as skipped", () => {
    const skipped = ["a.test.ts > a"];
    expect(
      countResults({ unit: [0, { ...NO_FAILURES, skipped }], e2e: [0, { ...NO_FAILURES, skipped }] }),
    ).toEqual({
      status: 1,
      lines: [
        "FAILED e2e: a.test.ts > a: skipped",
        "skipped 1 unit tests: a.test.ts > a, …",
        "7 passed, 1 failed",
      ],
    });
  });

  test.each<[string, Run, string]>([
    [
      "checks that failed",
      { check: [2, "all is well\n\u001b[31mx.ts(1,2): error TS1: no\u001b[0m\nmore"] },
      "FAILED check: exit code 2: x.ts(1,2): error TS1: no",
    ],
    [
      "checks that failed, by the place above the error",
      { check: [1, "Checked a.ts\n\na/b.mjs:6:8 lint/style/x ━━━━\n\n  × No.\n"] },
      "FAILED check: exit code 1: a/b.mjs:6:8 lint/style/x × No.",
    ],
    [
      "checks that failed and say no more",
      { check: [2, ""] },
      "FAILED check: exit code 2: see its output, which names no error",
    ],
    ["a run without a report", { e2e: [1] }, "FAILED e2e: no test: there is no report"],
    [
      "a run that failed without a failure",
      { unit: [7, NO_FAILURES] },
      "FAILED unit: exit code 7, though no test failed",
    ],
  ])("names %s", (_, run, line) => {
    const { status, lines } = countResults(run);
    expect({ status, line: lines[0], count: lines.at(-1) }).toEqual({
      status: 1,
      line,
      count: expect.stringMatching(/, 1 failed$/),
    });
  });

  test("stays in the tail of a log, however much failed", () => {
    const failed = Array.from({ length: 50 }, (_, index) => ({ name: `${index}`, reason: "x".repeat(5000) }));
    const { lines } = countResults({ unit: [1, { ...NO_FAILURES, failed }] });
    expect(lines.slice(-2)).toEqual(["… and 30 more", "7 passed, 50 failed"]);
    expect(lines).toHaveLength(22);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(300);
  });
});

test("vitest's results are written with the reason of whatever failed", () => {
  writeFileSync(
    join(directory, "sample.test.ts"),
    `import { beforeAll, describe, expect, test } from "vitest";
     test("good", () => {});
     test("bad", () => expect(1, "one").toBe(2));
     test.skip("left out", () => {});
     test("careless", () => void Promise.reject(new Error("unheard")));
     describe("group", () => {
       beforeAll(() => { throw new Error("no set-up"); });
       test("not reached", () => {});
     });`,
  );
  writeFileSync(join(directory, "broken.test.ts"), "throw new Error('does not load')");
  const results = join(directory, "results.json");
  spawnSync(process.execPath, [VITEST, "run", "--root", directory, `--reporter=${REPORTER}`], {
    cwd: directory,
    env: { PATH: process.env.PATH, TEST_RESULTS: results },
  });
  const { passed, failed, skipped } = JSON.parse(readFileSync(results, "utf8"));
  const sorted = (all: { name: string; reason: string }[]) =>
    all.map(({ name, reason }) => `${name}: ${reason}`).sort();
  expect({ passed, failed: sorted(failed), skipped }).toEqual({
    passed: 2,
    failed: [
      "broken.test.ts: does not load",
      "no test: unheard",
      "sample.test.ts > bad: one: expected 1 to be 2 // Object.is equality",
      "sample.test.ts > group: no set-up",
    ],
    skipped: ["sample.test.ts > left out", "sample.test.ts > group > not reached"],
  });
});
