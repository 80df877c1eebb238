import { parseContainerName } from "../container-name.ts";
import { readCounters } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import { summariseCounters, sumOf } from "../stats.ts";
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
      const hasRules = status.kind !== "stopped" && status.kind !== "unprotected";
      const counts = hasRules ? await readCounts(host, container) : undefined;
      return { container, status, tier, profiles, ...(counts === undefined ? {} : { counts }) };
    }),
  );
}

async function readCounts(host: Host, name: string): Promise<Counts | undefined> {
  const read = await readCounters(host, parseContainerName(name));
  // Those of an earlier run are no news of this one.
  if (read?.isLive !== true) return undefined;
  const { allowedConnections, bypassedConnections, refusedPackets } = summariseCounters(read.counters);
  return { allowedConnections, bypassedConnections, refusedPackets: sumOf(refusedPackets) };
}
