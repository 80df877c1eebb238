import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { createLab } from "../src/lab/lab.ts";
import type { Hole } from "./holes.ts";
import { GATE_CHECKS, HOOK_CHECKS } from "./hook-checks.ts";
import { createStartLab, type StartAttempt } from "./start-attempt.ts";
import { buildWithout } from "./switched-off-hooks.ts";

/** Switches off one check of the hook after the other, in an installation that is there for this alone. */
export async function* makeHookHoles(shieldPrefix: string): AsyncGenerator<Hole> {
  const hook = path.join(shieldPrefix, "lib/node_modules/terok-shield/dist/terok-shield-hook.cjs");
  const [whole, without] = await Promise.all([readFile(hook, "utf8"), buildWithout(HOOK_CHECKS)]);
  const lab = await createLab({ shieldPrefix });
  try {
    const startLab = await createStartLab(lab);
    const runs = async (attempt: StartAttempt) =>
      (await startLab.attempt(attempt)) ? `a container starts that ${attempt.what}` : undefined;
    for (const { check, attempt, hole } of GATE_CHECKS) {
      yield { what: `gate: ${check}`, foundBy: await runs({ ...attempt, ...hole }), because: undefined };
    }
    for (const [index, { check, file, attempt, backedBy }] of HOOK_CHECKS.entries()) {
      await writeFile(hook, without[index] ?? "");
      yield { what: `${file}: ${check}`, foundBy: await runs(attempt), because: backedBy };
    }
  } finally {
    await lab.destroy();
    await writeFile(hook, whole);
  }
}
