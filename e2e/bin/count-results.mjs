// The last lines of `npm test`: what failed, and the count. The arguments are an exit code and a file of the checks'
// output, and then for each suite its name, an exit code and a file that results-reporter.mjs wrote. The checks count as
// one test. A failure that belongs to no test still counts, and so does a test that was skipped, since it has proved
// nothing; but unit tests may miss what a machine has not, and of the run on Debian 13 most is left out by name.
import { existsSync, readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

/** Few enough to stay in the tail of a log, which may be all that is kept of it. */
const MOST_LINES = 20;
const SHORT_LINE = 240;
/** Shared among the failures, where that gives each more than a short line: then also what a screen showed is told. */
const MOST_CHARACTERS = 4000;
const MAY_SKIP = ["unit", "trixie"];

const [checkCode, checkLog, ...rest] = process.argv.slice(2);
const suites = Array.from({ length: rest.length / 3 }, (_, index) => {
  const [name, exitCode, file] = rest.slice(index * 3);
  return { name, exitCode, ...read(file) };
});
const failures = [
  ...(checkCode === "0" ? [] : [`check: exit code ${checkCode}: ${oneLine(complaintOf(checkLog))}`]),
  ...suites.flatMap(({ name, exitCode, failed, skipped }) =>
    describeFailures(name, exitCode, [
      ...failed,
      ...(MAY_SKIP.includes(name) ? [] : skipped.map((test) => ({ name: test, reason: "skipped" }))),
    ]),
  ),
];
const skippedUnits = suites.flatMap(({ name, skipped }) => (name === "unit" ? skipped : []));
const passed = suites.reduce((sum, suite) => sum + suite.passed, checkCode === "0" ? 1 : 0);
const longestLine = Math.max(SHORT_LINE, Math.floor(MOST_CHARACTERS / failures.length));
const lines = failures.map((line) => `FAILED ${line}`.slice(0, longestLine));
const more = lines.length - MOST_LINES;
process.stdout.write(
  [
    ...(more > 0 ? [...lines.slice(0, MOST_LINES), `… and ${more} more`] : lines),
    ...(skippedUnits.length === 0
      ? []
      : [`skipped ${skippedUnits.length} unit tests: ${skippedUnits[0]}, …`]),
    `${passed} passed, ${failures.length} failed\n`,
  ].join("\n"),
);
process.exitCode = failures.length === 0 ? 0 : 1;

function read(file) {
  return existsSync(file)
    ? JSON.parse(readFileSync(file, "utf8"))
    : { passed: 0, failed: [{ name: "no test", reason: "there is no report" }], skipped: [] };
}

function describeFailures(suite, exitCode, failed) {
  if (failed.length === 0 && exitCode !== "0")
    return [`${suite}: exit code ${exitCode}, though no test failed`];
  return failed.map(({ name, reason }) => `${suite}: ${name}: ${oneLine(reason)}`);
}

/** The first error of the checks' output, with the place that stands above it, as Biome writes it. */
function complaintOf(file) {
  const text = existsSync(file) ? stripVTControlCharacters(readFileSync(file, "utf8")) : "";
  const lines = text.split("\n");
  const first = lines.findIndex((line) => /\berror\b|[×✖]|^Unused /i.test(line));
  if (first < 0) return "see its output, which names no error";
  const place = lines.slice(0, first).findLast((line) => /^\S+\.\w+:\d/.test(line)) ?? "";
  return [place.replace(/[ ━]+$/, ""), lines[first].trim()].filter((part) => part !== "").join(" ");
}

/** Of a message that may hold anything: one line that a terminal only prints. */
function oneLine(text) {
  const lines = stripVTControlCharacters(text)
    .split("\n")
    .map((line) => line.trim().replace(/\p{Cc}/gu, "?"))
    .filter((line) => line !== "");
  return lines.length === 0 ? "no reason given" : lines.join(" | ");
}
