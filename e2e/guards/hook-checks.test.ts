import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GATE_CHECKS, HOOK_CHECKS, OTHER_REFUSALS } from "../attacks/hook-checks.ts";
import { HOOK_SOURCE, switchOff } from "../attacks/switched-off-hooks.ts";
import { ROOT } from "./workspace.ts";

const read = (file: string) => readFileSync(join(HOOK_SOURCE, file), "utf8");
const files = readdirSync(HOOK_SOURCE).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));

/** A refusal follows its condition closely. */
const REACH = 300;

/** Each place where the source refuses, with what stands before it, back to the refusal before that, and after it. */
function findRefusals(source: string): { before: string; after: string; line: number }[] {
  const places = [...source.matchAll(/new ShieldRefusal\(/g)].map(({ index }) => index);
  return places.map((place, index) => ({
    before: source.slice(Math.max(place - REACH, (places[index - 1] ?? -1) + 1), place),
    after: source.slice(place, place + REACH),
    line: source.slice(0, place).split("\n").length,
  }));
}

describe("the list of the hook's checks", () => {
  test.each(HOOK_CHECKS)("switches off in $file: $check", (check) => {
    expect(switchOff(read(check.file), check)).not.toBe(read(check.file));
  });

  test("names each refusal of the hook, as switched off or with the reason why not", () => {
    const missing = files.flatMap((file) =>
      findRefusals(read(file)).flatMap(({ before, after, line }) => {
        const isSwitchedOff = HOOK_CHECKS.some(
          (check) => check.file === file && `${before}${after}`.includes(check.text),
        );
        const isExplained = OTHER_REFUSALS.some((other) => other.file === file && after.includes(other.says));
        return isSwitchedOff || isExplained ? [] : [`${file}:${line}`];
      }),
    );
    expect(missing).toEqual([]);
  });

  test("is the one that docs/holes.md was written with", () => {
    const page = readFileSync(join(ROOT, "docs/holes.md"), "utf8");
    const lines = [
      ...GATE_CHECKS.map(({ check }) => `| gate: ${check} |`),
      ...HOOK_CHECKS.map(({ file, check }) => `| ${file}: ${check} |`),
      ...OTHER_REFUSALS.map(({ file, says, because }) => `| ${file}: ${says} | ${because} |`),
    ];
    expect(lines.filter((line) => !page.includes(line))).toEqual([]);
  });

  test("explains no refusal that is not there", () => {
    const absent = OTHER_REFUSALS.filter(({ file, says }) => !read(file).includes(says));
    expect(absent).toEqual([]);
  });
});
