import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installedShield } from "../tests/installed-shield.ts";
import type { Attack, Expected } from "./attack.ts";
import { type AttackLab, type Course, createAttackLab } from "./attack-lab.ts";

const ATTACKS = await Promise.all(
  readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith(".attack.ts"))
    .map(async (name) => ((await import(`./${name}`)) as { attack: Attack }).attack),
);

let attackLab: AttackLab;
beforeAll(async () => {
  attackLab = await createAttackLab(installedShield());
});
afterAll(() => attackLab?.destroy());

describe.each(ATTACKS)("an attacker who $tries", (attack) => {
  const { program, args, prepare, control, shielded, armed, succeedsArmed } = attack;
  beforeAll(() => prepare?.(attackLab));

  test.each(Object.entries(control))("succeeds where no shield is: %s", async (place, expected) => {
    const { steps, left = [], asked = [] } = expected;
    const course = await attackLab.attack(place as "control" | "host", program, args);
    expect(course.steps).toEqual(steps);
    expect(course.left).toEqual(expect.arrayContaining([...left]));
    expect(course.asked).toEqual(expect.arrayContaining([...asked]));
  });

  test("gets nothing out of a shielded container, and is told of in its log", async () => {
    const course = await attackLab.attack("shielded", program, args);
    expect(await judged(course, shielded)).toEqual(expected(shielded));
  });

  if (armed !== undefined) {
    test("gets nothing out with all capabilities either: the rules hold by themselves", async () => {
      const course = await attackLab.attack("armed", program, args);
      expect(await judged(course, armed)).toEqual(expected(armed));
    });
  }

  if (succeedsArmed !== undefined) {
    test("succeeds with all capabilities: it is their lack that stops it", async () => {
      const course = await attackLab.attack("armed", program, args);
      expect(await judged(course, succeedsArmed)).toEqual(expected(succeedsArmed));
    });
  }
});

test("each of them succeeds somewhere, which proves its program", () => {
  const unproved = ATTACKS.filter(
    ({ control, succeedsArmed }) => Object.keys(control).length === 0 && succeedsArmed === undefined,
  );
  expect(unproved.map(({ program }) => program)).toEqual([]);
});

test("after all that, the shield is up and its rules are what the policy says", async () => {
  expect(await attackLab.target.status()).toMatchObject({ kind: "up" });
});

function expected({ steps, left = [], asked = [], refusals = [] }: Expected) {
  return { steps, left, asked, refusals: expect.arrayContaining([...refusals]) };
}

async function judged({ steps, left, asked }: Course, { refusals = [] }: Expected) {
  return { steps, left, asked, refusals: refusals.length === 0 ? [] : await attackLab.refusals() };
}
