import type { ContainerSummary } from "../commands/list.ts";
import { renderTable } from "./table.ts";

/** A table of containers: name, status, tier, connections let through and packets refused, profiles. */
export function renderList(containers: readonly ContainerSummary[]): string {
  if (containers.length === 0) return "No shielded containers.\n";
  const rows = containers.map(({ container, status, tier, counts, profiles }) => [
    container,
    status.kind,
    tier,
    counts === undefined ? "-" : String(counts.allowedConnections + counts.bypassedConnections),
    counts === undefined ? "-" : String(counts.refusedPackets),
    profiles.join(" "),
  ]);
  return renderTable([["NAME", "STATE", "TIER", "ALLOWED", "REFUSED", "PROFILES"], ...rows]);
}
