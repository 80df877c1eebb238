/**
 * `pnpm bench [SECTION…]`: measures, prints, and writes docs/benchmarks.md and docs/benchmarks.json. With sections named, it
 * prints those alone and writes nothing. BENCH_ROUNDS says how many rounds count, 10 when absent, and
 * BENCH_FLOOD_SECONDS how long the flood takes, 60 when absent.
 */
import { writeFile } from "node:fs/promises";
import { arch, cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { installShield } from "../src/lab/install-shield.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import type { BenchLab } from "./bench-lab.ts";
import { measureCommands } from "./commands.ts";
import type { Section } from "./figure.ts";
import { measureFlood } from "./flood.ts";
import { measureHelpers } from "./helpers.ts";
import { renderReport } from "./render-report.ts";
import { measureRules } from "./rules.ts";
import { measureStarts } from "./starts.ts";
import { measureTraffic } from "./traffic.ts";

const SECTIONS: Readonly<Record<string, (bench: BenchLab) => Promise<Section>>> = {
  starts: measureStarts,
  commands: measureCommands,
  rules: measureRules,
  traffic: measureTraffic,
  helpers: measureHelpers,
  flood: measureFlood,
};
const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => SECTIONS[name] === undefined);
if (unknown.length > 0)
  throw new Error(`No section ${unknown.join(", ")}. There are: ${Object.keys(SECTIONS).join(", ")}`);
const rounds = Number(process.env.BENCH_ROUNDS ?? 10);
const installed = await installShield();
try {
  const sections: Section[] = [];
  let facts: Record<string, string> = {};
  for (const [name, measure] of Object.entries(SECTIONS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    process.stderr.write(`${name} …\n`);
    // Each in a lab of its own, so that none meets what another left.
    const lab = await createLab({ shieldPrefix: installed.prefix });
    try {
      facts = await describeMachine(lab);
      sections.push(await measure({ lab, rounds }));
    } finally {
      await lab.destroy();
    }
  }
  const machine = { date: new Date().toISOString().slice(0, 10), facts };
  const report = renderReport(machine, sections);
  process.stdout.write(report);
  if (wanted.length === 0) {
    await writeFile(`${DOCS}benchmarks.md`, report);
    await writeFile(
      `${DOCS}benchmarks.json`,
      `${JSON.stringify({ ...machine, rounds, sections }, null, 1)}\n`,
    );
  }
} finally {
  await installed.remove();
}

async function describeMachine({ user }: Lab): Promise<Record<string, string>> {
  const first = async (file: string, ...args: string[]) =>
    (await user.mustRun(file, args)).split("\n")[0]?.trim() ?? "";
  return {
    machine: `${cpus().length} processors, ${cpus()[0]?.model ?? arch()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    podman: await first("podman", "--version"),
    runtime: await first("crun", "--version"),
    nft: await first("nft", "--version"),
    dnsmasq: await first("dnsmasq", "--version"),
    slirp4netns: await first("slirp4netns", "--version"),
    node: process.version,
  };
}
