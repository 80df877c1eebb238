/**
 * Makes holes in the shield, one at a time, and says which check finds each: the proof that the attacks would notice.
 * Takes away each rule of a running shield, and switches off each check of the hook. `pnpm attack:holes` writes
 * docs/holes.md, `pnpm attack:holes rules` or `starts` one part of it. Exit code 1 where a hole is found by none.
 */
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { installShield } from "../src/lab/install-shield.ts";
import type { Attack } from "./attack.ts";
import { createAttackLab } from "./attack-lab.ts";
import { STARTED_WITH } from "./decision-holes.ts";
import { OTHER_REFUSALS } from "./hook-checks.ts";
import { makeHookHoles } from "./hook-holes.ts";
import { makeRuleHoles } from "./rule-holes.ts";

export interface Hole {
  readonly what: string;
  /** The first check that is red with it; undefined where none is. */
  readonly foundBy: string | undefined;
  /** Why none has to be. */
  readonly because: string | undefined;
}

const PAGE = path.join(import.meta.dirname, "../../docs/holes.md");
const TITLE = `# Holes

Written by \`pnpm attack:holes\`, which makes each of these holes in a real shield and looks what goes red. See
[e2e/attacks](../e2e/attacks/README.md).
`;

const wanted = process.argv[2];
const installed = await installShield();
const faults: string[] = [];
try {
  const parts = [
    wanted === "starts"
      ? undefined
      : renderRules(await printTable("The rule that is taken away", ruleHoles())),
    wanted === "rules"
      ? undefined
      : renderStarts(await printTable("The check that is switched off", makeHookHoles(installed.prefix))),
  ];
  if (faults.length === 0) {
    const old = [await readPart("Rules"), await readPart("Checks of a start")];
    await writeFile(PAGE, [TITLE, ...parts.map((part, index) => part ?? old[index])].join("\n"));
  }
} finally {
  await installed.remove();
}
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;

/** What an earlier run wrote. */
async function readPart(heading: string): Promise<string> {
  const parts = (await readFile(PAGE, "utf8").catch(() => "")).split(/^(?=## )/m);
  return (parts.find((part) => part.startsWith(`## ${heading}\n`)) ?? "").trimEnd().concat("\n");
}

async function* ruleHoles(): AsyncGenerator<Hole> {
  const attacks = await Promise.all(
    readdirSync(import.meta.dirname)
      .filter((name) => name.endsWith(".attack.ts"))
      .map(async (name) => ((await import(`./${name}`)) as { attack: Attack }).attack),
  );
  const attackLab = await createAttackLab(installed.prefix, STARTED_WITH);
  try {
    yield* makeRuleHoles(attackLab, attacks);
  } finally {
    await attackLab.lab.destroy();
  }
}

/** Prints each line as soon as it is known. */
async function printTable(title: string, holes: AsyncGenerator<Hole>): Promise<string> {
  const lines = [`| ${title} | What finds it |`, "| --- | --- |"];
  process.stdout.write(`${lines.join("\n")}\n`);
  for await (const { what, foundBy, because } of holes) {
    if (foundBy === undefined && because === undefined) faults.push(`Nothing finds this: ${what}`);
    if (foundBy !== undefined && because !== undefined)
      faults.push(`This is found, against what is said of it (${because}): ${what}`);
    const found = foundBy ?? (because === undefined ? "**nothing**" : `nothing: ${because}`);
    const line = `| ${escapeCell(what)} | ${escapeCell(found)} |`;
    process.stdout.write(`${line}\n`);
    lines.push(line);
  }
  return `${lines.join("\n")}\n`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function renderRules(table: string): string {
  return `## Rules

Each rule is taken away from a running container. What finds it is the first of: what has to be open and is not, a denied
address that is not closed, a silent counter, an attack that gets another outcome, a packet on the wire, a silent log.
The container publishes a port, may reach one of the host's loopback, and later has decisions for good and for a time.

${table}`;
}

function renderStarts(table: string): string {
  const others = OTHER_REFUSALS.map(({ file, says, because }) => `| ${file}: ${says} | ${because} |`);
  return `## Checks of a start

Each check is switched off in a copy of the hook, and a container tries to start that this check holds back. With the
check it does not start: \`e2e/attacks/start-attempts.test.ts\`.

${table}
Refusals that have no line above:

| The refusal | Why |
| --- | --- |
${others.join("\n")}
`;
}
