import { readFile } from "node:fs/promises";
import { until } from "../src/lab/until.ts";
import { openKernel } from "../tests/kernel.ts";
import { eventsOf } from "../tests/shield-events.ts";
import { type BenchLab, helpersOf, sleeping, writeProfile } from "./bench-lab.ts";
import type { Section } from "./figure.ts";

const FLOOD = new URL("../src/lab/flood.py", import.meta.url);
const SECONDS = Number(process.env.BENCH_FLOOD_SECONDS ?? 60);
/** In a minute 100 000 packets to many addresses, and 10 000 names. */
const PACKETS_PER_SECOND = 1667;
const NAMES_PER_SECOND = 167;
/** USER_HZ: what /proc counts in (proc(5)). */
const TICKS_PER_SECOND = 100;

/** What a container that never stops trying costs its host. */
export async function measureFlood(bench: BenchLab): Promise<Section> {
  const { lab } = bench;
  await writeProfile(lab, "bench", ["198.18.1.1", "good.test"]);
  await lab.user.mustRun("terok-shield", ["run", "web", "--profiles", "bench", "--", "-d", ...sleeping(lab)]);
  const program = await readFile(FLOOD, "utf8");
  const flood = async (kind: string, perSecond: number): Promise<{ sent: number; refused: number }> => {
    const words = [kind, String(perSecond), "flood.test", String(SECONDS)];
    const args = ["exec", "web", "python3", "-c", program, ...words];
    return JSON.parse(await lab.user.mustRun("podman", args, { timeoutMs: (SECONDS + 60) * 1000 }));
  };
  const before = await processorTicks(bench);
  const [packets, names] = await Promise.all([
    flood("packets", PACKETS_PER_SECOND),
    flood("names", NAMES_PER_SECOND),
  ]);
  const ticks = (await processorTicks(bench)) - before;
  const counters = await readCounters(bench);
  const bundle = `${lab.user.home}/.local/state/terok/shield/containers/web`;
  const log = lab.path(`${bundle}/packets.jsonl`);
  await until("the log keeper has counted once more", async () =>
    (await readFile(log, "utf8").catch(() => "")).includes(`"refused_blocked":[${counters.blocked},`),
  );
  // What a long flood has pushed out of the log is told by the kernel alone.
  const told = await countPackets(bench);
  const bytes = Number((await lab.user.mustRun("du", ["--bytes", "--summarize", bundle])).split("\t")[0]);
  const one = (name: string, value: number) => ({ name, unit: "" as const, values: [value] });
  return {
    title: "A flood",
    about: `For ${SECONDS} s a container sends ${PACKETS_PER_SECOND} refused packets and asks for ${NAMES_PER_SECOND} names a second, each another. Processor time is that of dnsmasq, ulogd2 and the log keeper with its children; what the kernel spends is the container's own.`,
    figures: [
      one("packets sent", packets.sent),
      one("packets that the kernel counted as refused", counters.blocked),
      one("packets listed, or counted as left out, in what the log still has", told),
      one("names asked", names.sent),
      one("queries that the kernel counted, refused ones and others", counters.queries),
      {
        name: "processor time of the helpers, of one processor",
        unit: "%",
        values: [(100 * ticks) / TICKS_PER_SECOND / SECONDS],
        target: { most: 5 },
      },
      { name: "the bundle afterwards", unit: "MiB", values: [bytes / 2 ** 20], target: { most: 64 } },
    ],
  };
}

/** Of the helpers and of those of their children that have ended. */
async function processorTicks(bench: BenchLab): Promise<number> {
  const helpers = await helpersOf(bench, "web");
  const ticks = await Promise.all(
    helpers.map(async ({ pid }) => {
      const stat = await readFile(bench.lab.path(`/proc/${pid}/stat`), "utf8").catch(() => "");
      const [user, system, childrenUser, childrenSystem] = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(11, 15)
        .map(Number);
      return (user ?? 0) + (system ?? 0) + (childrenUser ?? 0) + (childrenSystem ?? 0);
    }),
  );
  return ticks.reduce((sum, each) => sum + each, 0);
}

async function readCounters({ lab }: BenchLab): Promise<{ blocked: number; queries: number }> {
  const listing = await (await openKernel(lab, "web")).nft("list", "counters");
  const count = (name: string) =>
    Number(new RegExp(`counter ${name} \\{\\s+packets (\\d+)`).exec(listing)?.[1]);
  return { blocked: count("refused_blocked"), queries: count("refused_queries") + count("dns_asked") };
}

async function countPackets({ lab }: BenchLab): Promise<number> {
  const events = await eventsOf(lab, "web");
  const listed = events.filter(({ verdict }) => verdict === "blocked").length;
  return events.reduce((sum, { leftOut }) => sum + (leftOut?.blocked ?? 0), listed);
}
