// Prints docs/mutation.md from Stryker's report, whose path is the argument.
import { readFileSync } from "node:fs";

const { files } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const rows = Object.entries(files)
  .map(([path, { mutants }]) => ({ path, ...countOf(mutants) }))
  .filter(({ killed, timedOut, survived, uncovered }) => killed + timedOut + survived + uncovered > 0)
  .sort((left, right) => (left.path < right.path ? -1 : 1));
const packages = [...new Set(rows.map(({ path }) => packageOf(path)))];

process.stdout.write(
  `# Mutation scores

Written by \`pnpm mutate\`, which changes the source in small ways, one at a time, and runs the unit tests that reach the
change, without those that need a kernel or a built program. A change that no test notices has survived. What is computed
once, when a module loads, is left out: a test would have to load everything anew. A change that makes the tests run
for too long counts as noticed. The command fails when the score of all is below the one that \`stryker.config.mjs\` demands.

${[
  row("", "killed", "timed out", "survived", "not reached", "score"),
  row("---", "---:", "---:", "---:", "---:", "---:"),
  ...packages.flatMap((name) => {
    const own = rows.filter(({ path }) => packageOf(path) === name);
    return [
      rowOf(`**${name}**`, sum(own)),
      ...own.map((counts) => rowOf(counts.path.slice(`packages/${name}/src/`.length), counts)),
    ];
  }),
  rowOf("**all**", sum(rows)),
].join("\n")}
`,
);

function countOf(mutants) {
  const count = (...states) => mutants.filter(({ status }) => states.includes(status)).length;
  return {
    killed: count("Killed"),
    timedOut: count("Timeout"),
    survived: count("Survived"),
    uncovered: count("NoCoverage"),
  };
}

function sum(counts) {
  const total = { killed: 0, timedOut: 0, survived: 0, uncovered: 0 };
  for (const each of counts) for (const key of Object.keys(total)) total[key] += each[key];
  return total;
}

function rowOf(name, { killed, timedOut, survived, uncovered }) {
  const noticed = killed + timedOut;
  const score = (100 * noticed) / (noticed + survived + uncovered);
  return row(name, killed, timedOut, survived, uncovered, `${score.toFixed(1)} %`);
}

function row(...cells) {
  return `| ${cells.join(" | ")} |`;
}

function packageOf(path) {
  return path.split("/")[1];
}
