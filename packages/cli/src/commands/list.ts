import { readLiveSets, TABLE } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { parseContainerName } from "../container-name.ts";
import { findContainerRun } from "../host/container-run.ts";
import type { Host } from "../host/host.ts";
import { runNft } from "../host/running-container.ts";
import { readAllStatus, type StatusReport } from "./status.ts";

export interface ContainerSummary extends Pick<StatusReport, "container" | "status" | "tier" | "profiles"> {
  /** Since the container's start; undefined while it does not run, or runs without the shield's rules. */
  readonly counts?: Counts;
}

interface Counts {
  readonly allowedConnections: number;
  /** Those that policy would have refused, but for bypass. */
  readonly bypassedConnections: number;
  readonly refusedPackets: number;
}

/** Every shielded container, by name, without asking podman. */
export async function list(host: Host): Promise<ContainerSummary[]> {
  const reports = await readAllStatus(host);
  return Promise.all(
    reports.map(async ({ container, status, tier, profiles }) => {
      const counts = status.kind === "stopped" ? undefined : await readCounts(host, container);
      return { container, status, tier, profiles, ...(counts === undefined ? {} : { counts }) };
    }),
  );
}

async function readCounts(host: Host, name: string): Promise<Counts | undefined> {
  const container = parseContainerName(name);
  const run = await findContainerRun(bundleDirectory(host.places, container), container);
  if (run.kind !== "running") return undefined;
  // Its status says what is wrong where there is no table.
  const args = ["-j", "list", "counters", "table", TABLE.family, TABLE.name];
  const listing = await runNft(host, run.record, args).catch(() => undefined);
  if (listing === undefined) return undefined;
  const counters = Object.entries(readLiveSets(listing).counters);
  const sum = (isWanted: (name: string) => boolean) =>
    counters.filter(([counter]) => isWanted(counter)).reduce((total, [, { packets }]) => total + packets, 0);
  return {
    // The rules count these at a connection's first packet.
    allowedConnections: sum((counter) => counter === "allowed"),
    bypassedConnections: sum((counter) => counter === "bypassed"),
    refusedPackets: sum((counter) => counter.startsWith("refused_")),
  };
}
