import { readLiveSets, readSetSizes, type SetSize } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { findContainerRun } from "../host/container-run.ts";
import { readCounters, type ShieldCounters } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import { CommandFailedError } from "../host/run-command.ts";
import { secondsSinceStart } from "../host/run-start.ts";
import { runNft } from "../host/running-container.ts";
import { type ContainerStats, summariseCounters } from "../stats.ts";
import { readContainerState } from "./read-state.ts";
import { readAllStatus, readStatus, type StatusReport } from "./status.ts";

/**
 * What the kernel counted of these containers, in their present run or their last; of all when none is named.
 * @throws ShieldError when one that is named is unknown.
 */
export async function readStats(host: Host, names: readonly string[]): Promise<ContainerStats[]> {
  const reports =
    names.length === 0
      ? await readAllStatus(host)
      : await Promise.all([...new Set(names)].map((name) => readStatus(host, name)));
  return Promise.all(reports.map((report) => readStatsOf(host, report)));
}

async function readStatsOf(
  host: Host,
  { container: name, status, tier }: StatusReport,
): Promise<ContainerStats> {
  const container = parseContainerName(name);
  const state = readSoundState(host, container);
  const live = await readLive(host, container);
  const counters = live?.counters ?? (await readCounters(host, container));
  return {
    ...{ container, status, tier, sets: live?.sets ?? [] },
    ...(state === undefined ? {} : { revision: state.revision, mode: state.mode.kind }),
    ...(live === undefined ? {} : { startedAt: live.startedAt, uptimeSeconds: live.uptimeSeconds }),
    ...(counters === undefined ? {} : { counted: summarise(counters) }),
  };
}

/** What is wrong with it, its status says. */
function readSoundState(host: Host, container: ContainerName): ContainerState | undefined {
  try {
    return readContainerState(host, container);
  } catch {
    return undefined;
  }
}

function summarise({ at, isLive, counters }: ShieldCounters): NonNullable<ContainerStats["counted"]> {
  return { at, isLive, traffic: summariseCounters(counters) };
}

interface Live {
  readonly counters: ShieldCounters;
  readonly sets: readonly SetSize[];
  readonly startedAt: Date;
  readonly uptimeSeconds: number;
}

/** Undefined when it does not run, or has just ended. */
async function readLive(host: Host, container: ContainerName): Promise<Live | undefined> {
  const run = findContainerRun(bundleDirectory(host.places, container), container);
  if (run.kind !== "running") return undefined;
  try {
    const listing = await runNft(host, run.record, ["-j", "list", "ruleset"]);
    const at = host.now();
    const seconds = Math.floor(await secondsSinceStart(run.record.startTime));
    return {
      counters: { at, isLive: true, counters: readLiveSets(listing).counters },
      sets: readSetSizes(listing),
      startedAt: new Date(at.getTime() - seconds * 1000),
      uptimeSeconds: seconds,
    };
  } catch (cause) {
    if (!(cause instanceof CommandFailedError)) throw cause;
    return undefined;
  }
}
