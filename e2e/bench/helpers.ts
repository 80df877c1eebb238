import { readFile } from "node:fs/promises";
import { type BenchLab, helpersOf, remove, sleeping, writeProfile } from "./bench-lab.ts";
import type { Figure, Section } from "./figure.ts";

const CONTAINERS = 50;
const FOREGROUND_RUNS = 100;
const SILENT_NAMES = 18;

/** What runs beside containers, many of them at once, and names that nobody answers. */
export async function measureHelpers(bench: BenchLab): Promise<Section> {
  const { lab } = bench;
  await writeProfile(lab, "bench", ["198.18.1.1", "good.test"]);
  const began = performance.now();
  const names = Array.from({ length: CONTAINERS }, (_, index) => `crowd-${index}`);
  await Promise.all(
    names.map((name) =>
      lab.user.mustRun("terok-shield", ["run", name, "--profiles", "bench", "--", "-d", ...sleeping(lab)], {
        timeoutMs: 600_000,
      }),
    ),
  );
  const seconds = (performance.now() - began) / 1000;
  const { stdout } = await lab.shield(["status", "--json"]);
  const up = (JSON.parse(stdout) as { status: { kind: string } }[]).filter(
    ({ status }) => status.kind === "up",
  );
  const memory = await Promise.all(names.map((name) => residentMebibytes(bench, name)));
  await Promise.all(
    names.map((name) => lab.user.mustRun("podman", remove(name).slice(1), { timeoutMs: 600_000 })),
  );
  return {
    title: "Beside a container",
    about:
      "Resident memory (VmRSS, so shared pages count in each) of dnsmasq, ulogd2 and the log keeper of one container; that many containers started at once; foreground runs one after the other; and the preparation of a container whose names nobody answers.",
    figures: [
      { name: "helpers of one container", unit: "MiB", values: memory, target: { most: 10 } },
      { name: `${CONTAINERS} started at once`, unit: "s", values: [seconds] },
      { name: "of them up", unit: "", values: [up.length], target: { least: CONTAINERS } },
      ...(await runInForeground(bench)),
      { name: "helpers left over", unit: "", values: [await countHelpers(bench)], target: { most: 0 } },
      await prepareSilent(bench),
    ],
  };
}

async function residentMebibytes(bench: BenchLab, container: string): Promise<number> {
  const helpers = await helpersOf(bench, container);
  const sizes = await Promise.all(
    helpers.map(async ({ pid }) => {
      const status = await readFile(bench.lab.path(`/proc/${pid}/status`), "utf8").catch(() => "");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}

async function countHelpers({ lab }: BenchLab): Promise<number> {
  return (await lab.user.processes()).filter(
    ({ name, command }) => ["dnsmasq", "ulogd"].includes(name) || command.includes("terok-shield-keeper"),
  ).length;
}

async function runInForeground({ lab }: BenchLab): Promise<Figure[]> {
  let hung = 0;
  for (let run = 0; run < FOREGROUND_RUNS; run += 1) {
    const words = ["run", "brief", "--profiles", "bench", "--", "--rm", ...lab.imageArgs, "true"];
    const isOver = await lab.user.run("terok-shield", words, { timeoutMs: 60_000 }).then(
      ({ exitCode }) => exitCode === 0,
      () => false,
    );
    if (!isOver) hung += 1;
  }
  return [
    {
      name: `of ${FOREGROUND_RUNS} foreground runs, hung or failed`,
      unit: "",
      values: [hung],
      target: { most: 0 },
    },
  ];
}

/** In the dig tier, where `prepare` looks names up itself. */
async function prepareSilent({ lab }: BenchLab): Promise<Figure> {
  const names = Array.from({ length: SILENT_NAMES }, (_, index) => `silent-${index}.test`);
  for (const name of names) await lab.internet.setName(name, { silent: true });
  await writeProfile(lab, "silent", names);
  await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/config.yml`, "dns: {tier: dig}\n");
  const began = performance.now();
  const { stderr } = await lab.user.run("terok-shield", ["prepare", "silent", "--profiles", "silent"]);
  const seconds = (performance.now() - began) / 1000;
  await lab.user.mustRun("rm", [`${lab.user.home}/.config/terok/shield/config.yml`]);
  const named = names.filter((name) => stderr.includes(name)).length;
  if (named !== SILENT_NAMES)
    throw new Error(`prepare named ${named} of ${SILENT_NAMES} silent names:\n${stderr}`);
  return {
    name: `prepare with ${SILENT_NAMES} silent names, all named`,
    unit: "s",
    values: [seconds],
    target: { most: 6 },
  };
}
