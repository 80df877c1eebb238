import { readdir, readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { type Kernel, openKernel } from "./kernel.ts";
import { type ShieldedContainer, startShielded } from "./shielded-container.ts";

const ROUNDS = 20;
const KILLED_EACH_ROUND = 10;
/** Set SEED to see a failure again. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 32);

type Verdict = "allow" | "deny";

/** Something that commands allow in one round and deny in the next. */
interface Target {
  readonly text: string;
  /** What it opens, as `tcp,HOST,PORT`. */
  readonly probe: string;
  /** Open while nobody has decided anything. */
  readonly isInProfile: boolean;
  /** Another target that covers this one. */
  readonly within?: string;
  /** Commands that decide on it at once. */
  readonly commands: number;
}

const PROFILE = "198.19.0.0/16\n*.open.test\n";

const TARGETS: readonly Target[] = [
  ...numbered(14, (n) => ({ text: `198.18.100.${n}`, probe: `tcp,198.18.100.${n},80` })),
  ...numbered(8, (n) => ({ text: `198.19.100.${n}`, probe: `tcp,198.19.100.${n},80`, isInProfile: true })),
  ...numbered(4, (n) => ({ text: `2001:2:0:100::${n}`, probe: `tcp,2001:2:0:100::${n},80` })),
  ...numbered(4, (n) => ({ text: `198.18.11${n}.0/28`, probe: `tcp,198.18.11${n}.5,80` })),
  ...numbered(2, (n) => ({
    text: `198.18.11${n}.7`,
    probe: `tcp,198.18.11${n}.7,80`,
    within: `198.18.11${n}.0/28`,
  })),
  ...numbered(4, (n) => ({ text: `198.18.101.${n}:80`, probe: `tcp,198.18.101.${n},80` })),
  ...numbered(2, (n) => ({
    text: `198.19.101.${n}:443/tcp`,
    probe: `tcp,198.19.101.${n},443`,
    isInProfile: true,
  })),
  ...numbered(4, (n) => ({ text: `n${n}.race.test`, probe: `tcp,n${n}.race.test,80` })),
  ...numbered(2, (n) => ({ text: `n${n}.open.test`, probe: `tcp,n${n}.open.test,80`, isInProfile: true })),
  ...numbered(2, (n) => ({ text: `198.18.102.${n}`, probe: `tcp,198.18.102.${n},80`, commands: 3 })),
];

/** Other ports of what is decided with a port, and what nobody ever decides on. */
const ALWAYS = {
  open: ["tcp,198.19.101.1,80", "tcp,198.19.101.2,80", "tcp,198.19.100.200,80"],
  refused: ["tcp,198.18.101.1,443", "tcp,198.18.101.2,443", "tcp,198.18.110.16,80", "tcp,198.18.66.66,80"],
};

function numbered(
  count: number,
  make: (n: number) => Pick<Target, "text" | "probe"> & Partial<Target>,
): Target[] {
  return Array.from({ length: count }, (_, index) => ({
    isInProfile: false,
    commands: 1,
    ...make(index + 1),
  }));
}

describe("commands at once", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    for (const { text } of TARGETS.filter(({ text }) => text.endsWith(".test"))) {
      const [, number, domain] = /^n(\d)\.(\w+)/.exec(text) ?? [];
      const addresses = [`198.18.${domain === "race" ? 120 : 121}.${number}`];
      await lab.internet.setName(text, { addresses });
    }
  });
  afterAll(() => lab?.destroy());

  test(`of 50 on one container, some killed, none that was acknowledged is lost, ${ROUNDS} times (SEED=${SEED})`, {
    timeout: 1_200_000,
  }, async () => {
    const random = randomFrom(SEED);
    const busy = await startShielded(lab, "busy", PROFILE);
    const kernel = await openKernel(lab, "busy");
    let acknowledged = 0;
    let killed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const wishes = TARGETS.flatMap((target) =>
        Array.from({ length: target.commands }, () => ({ target, verdict: verdictOf(target, round) })),
      );
      expect(wishes).toHaveLength(50);
      const ends = await runAtOnce("busy", wishes, random);
      acknowledged += ends.filter(({ isAcknowledged }) => isAcknowledged).length;
      killed += ends.filter(({ exitCode }) => exitCode === 137).length;
      for (const end of ends) expect({ round, ...end }).toEqual({ round, ...end, isExpected: true });

      const between = await busy.shield("status", "--json");
      if (between.exitCode === 3) {
        expect(JSON.parse(between.stdout).status.reason).toContain("terok-shield up --repair busy");
      } else {
        expect(between).toMatchObject({ exitCode: 0 });
      }
      await busy.mustShield("allow", "198.19.100.200");
      await expectAgreement(busy, kernel, round, ends);
    }
    // Neither everything nor nothing was killed.
    expect(acknowledged).toBeGreaterThan(ROUNDS * 30);
    expect(killed).toBeGreaterThan(ROUNDS * 2);
    await expectAudited(acknowledged);
  });

  test("on several containers at once, each gets what is its own", async () => {
    const names = ["one", "two", "three"];
    const containers = await Promise.all(names.map((name) => startShielded(lab, name, PROFILE)));
    const targets = Array.from({ length: 4 }, (_, index) => index + 1);
    const commands = names.flatMap((name, container) =>
      targets.flatMap((n) => [
        ["allow", name, `198.18.13${container}.${n}`],
        ["deny", name, `198.19.13${container}.${n}`],
      ]),
    );
    const ends = await Promise.all(commands.map((command) => lab.shield(command)));
    expect(ends.map(({ exitCode }) => exitCode)).toEqual(commands.map(() => 0));
    const probes = names.flatMap((_, container) =>
      targets.flatMap((n) => [`tcp,198.18.13${container}.${n},80`, `tcp,198.19.13${container}.${n},80`]),
    );
    for (const [index, container] of containers.entries()) {
      expect(await container.status()).toEqual({ kind: "up" });
      const isOpen = (probe: string) => probe.startsWith("tcp,198.18.") === probe.includes(`.13${index}.`);
      expect(await container.see(...probes)).toEqual(
        Object.fromEntries(probes.map((probe) => [probe, isOpen(probe) ? "open" : "refused"])),
      );
    }
  });

  const bundleOf = (name: string) =>
    lab.path(`${lab.user.home}/.local/state/terok/shield/containers/${name}`);

  interface Wish {
    readonly target: Target;
    readonly verdict: Verdict;
  }

  interface End {
    readonly target: Target;
    readonly verdict: Verdict;
    readonly isAcknowledged: boolean;
    readonly exitCode: number;
    readonly stderr: string;
    /** It did its work, or it was killed, or it says what stands in its way. */
    readonly isExpected: boolean;
  }

  /** Starts all of them before the first has ended, and kills some while they wait or work. */
  async function runAtOnce(name: string, wishes: readonly Wish[], random: () => number): Promise<End[]> {
    let ended = 0;
    const started = await Promise.all(
      wishes.map(({ target, verdict }) => lab.user.spawn("terok-shield", [verdict, name, target.text])),
    );
    const finished = started.map((running) => running.finished.finally(() => ended++));
    const victims = new Set<number>();
    while (victims.size < KILLED_EACH_ROUND) victims.add(Math.floor(random() * wishes.length));
    const kills = [...victims].map(async (victim, index) => {
      const running = started[victim];
      if (running === undefined) return;
      const end = finished[victim]?.then(() => "ended");
      const isOver = async () => (await Promise.race([end, Promise.resolve()])) === "ended";
      // Half of them at any time at all, the others while they change something.
      const after = Math.floor(random() * wishes.length);
      const delayMilliseconds = random() * 60;
      const hasCome = () => (index % 2 === 0 ? ended >= after : isAtWork(running.pid));
      await until("its time has come", async () => (await isOver()) || (await hasCome()), 300_000);
      await setTimeout(delayMilliseconds);
      if (!(await isOver())) running.kill("SIGKILL");
    });
    await Promise.all(kills);
    const results = await Promise.all(finished);
    return results.map(({ exitCode, stdout, stderr }, index) => {
      const { target, verdict } = wishes[index] as Wish;
      const isAcknowledged = stdout.startsWith(
        `${verdict === "allow" ? "Allowed" : "Denied"} ${target.text} `,
      );
      const isCovered = target.within !== undefined && stderr.includes(`deny ${target.within} covers it`);
      const isBusy = stderr.includes("Another terok-shield command is at work");
      const isExpected = exitCode === 0 ? isAcknowledged : exitCode === 137 || isCovered || isBusy;
      return { target, verdict, isAcknowledged, exitCode, stderr, isExpected };
    });
  }

  /** Every acknowledged decision is on disk, and whatever is on disk is in force. */
  async function expectAgreement(
    { see, status }: ShieldedContainer,
    kernel: Kernel,
    round: number,
    ends: readonly End[],
  ): Promise<void> {
    expect(await status()).toEqual({ kind: "up" });
    const state = JSON.parse(await readFile(`${bundleOf("busy")}/state.json`, "utf8"));
    expect(await kernel.revision()).toBe(state.revision);
    const decided = new Map<string, Verdict>(
      state.decisions.map((decision: { entry: string; verdict: Verdict }) => [
        decision.entry,
        decision.verdict,
      ]),
    );
    const lost = ends.filter(
      ({ isAcknowledged, target, verdict }) => isAcknowledged && decided.get(target.text) !== verdict,
    );
    expect({ round, lost }).toEqual({ round, lost: [] });
    const verdictOn = ({ text, within = "" }: Target): Verdict | undefined =>
      decided.get(within) === "deny" ? "deny" : (decided.get(text) ?? decided.get(within));
    const isOpen = (target: Target) =>
      (verdictOn(target) ?? (target.isInProfile ? "allow" : "deny")) === "allow";
    const reach = await see(...TARGETS.map(({ probe }) => probe), ...ALWAYS.open, ...ALWAYS.refused);
    expect({ round, ...reach }).toEqual({
      round,
      ...Object.fromEntries(TARGETS.map((target) => [target.probe, outcome(target, isOpen(target))])),
      ...Object.fromEntries(ALWAYS.open.map((probe) => [probe, "open"])),
      ...Object.fromEntries(ALWAYS.refused.map((probe) => [probe, "refused"])),
    });
    expect((await readdir(bundleOf("busy"))).filter((file) => file.endsWith(".new"))).toEqual([]);
  }

  async function expectAudited(acknowledged: number): Promise<void> {
    const lines = (await readFile(`${bundleOf("busy")}/audit.jsonl`, "utf8")).trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { action: string });
    const decisions = events.filter(({ action }) => action === "allowed" || action === "denied");
    expect(decisions.length).toBeGreaterThanOrEqual(acknowledged);
  }
});

/** Each target turns every round, its neighbours the other way; what one covers turns with it. */
function verdictOf({ text, within = text }: Target, round: number): Verdict {
  const index = TARGETS.findIndex((target) => target.text === within);
  return (index + round) % 2 === 0 ? "allow" : "deny";
}

function outcome({ text }: Target, isOpen: boolean): string {
  if (isOpen) return "open";
  return text.endsWith(".test") ? "no such name" : "refused";
}

/** It has the lock, since it runs something else than the program that waits for it. */
async function isAtWork(pid: number): Promise<boolean> {
  try {
    const [child] = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ");
    return !["", "flock", "node"].includes((await readFile(`/proc/${child}/comm`, "utf8")).trim());
  } catch {
    return false;
  }
}

/** mulberry32: numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
