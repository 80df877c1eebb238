// Times commands in turn, so that all of them meet the same machine. Runs on the lab's host as its user.
// Standard input: { rounds, cases: [{ name, command, before?, after? }] }; `{n}` in a word becomes the number of the round.
// Prints { name: [milliseconds of each round] }.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const { rounds, cases } = JSON.parse(readFileSync(0, "utf8"));
const times = Object.fromEntries(cases.map(({ name }) => [name, []]));
// The first round warms caches up and does not count.
for (let round = 0; round <= rounds; round += 1) {
  for (const { name, command, before = [], after = [] } of cases) {
    for (const each of before) run(each, round);
    const began = process.hrtime.bigint();
    run(command, round);
    const milliseconds = Number(process.hrtime.bigint() - began) / 1e6;
    if (round > 0) times[name].push(milliseconds);
    for (const each of after) run(each, round);
  }
}
process.stdout.write(`${JSON.stringify(times)}\n`);

function run(command, round) {
  const [file, ...args] = command.map((word) => word.replaceAll("{n}", String(round)));
  // Podman's monitor keeps what it inherits, so nobody waits for its outputs to close.
  const { status, error } = spawnSync(file, args, { stdio: "ignore" });
  if (error !== undefined || status !== 0)
    throw new Error(`${command.join(" ")} failed (${status}): ${error ?? ""}`);
}
