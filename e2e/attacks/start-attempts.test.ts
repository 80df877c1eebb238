import { afterAll, beforeAll, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { installedShield } from "../tests/installed-shield.ts";
import { GATE_CHECKS, HOOK_CHECKS } from "./hook-checks.ts";
import { createStartLab, type StartLab } from "./start-attempt.ts";

let lab: Lab;
let startLab: StartLab;
beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  startLab = await createStartLab(lab);
});
afterAll(() => lab?.destroy());

test("a container that nothing is wrong with starts", async () => {
  expect(await startLab.attempt({ what: "is as it should be" })).toBe(true);
});

test.each([...GATE_CHECKS, ...HOOK_CHECKS].map(({ attempt }) => attempt))(
  "no container starts that $what",
  async (attempt) => {
    expect(await startLab.attempt(attempt)).toBe(false);
  },
);
