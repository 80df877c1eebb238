import type { AuditEvent } from "@terok-shield/audit";
import { bundleDirectory } from "../bundle-directory.ts";
import { parseContainerName } from "../container-name.ts";
import { readAuditEvents } from "../host/audit-log.ts";
import { listBundles } from "../host/bundles.ts";
import type { Host } from "../host/host.ts";

/** The newest events of one container, or of all together, oldest first. */
export async function readLogs(
  host: Host,
  { container, count }: { readonly container?: string; readonly count: number },
): Promise<AuditEvent[]> {
  const containers =
    container === undefined ? await listBundles(host.places) : [parseContainerName(container)];
  const events = await Promise.all(
    containers.map((name) => readAuditEvents(bundleDirectory(host.places, name), count)),
  );
  return events.flat().sort(byTime).slice(-count);
}

function byTime(left: AuditEvent, right: AuditEvent): number {
  return left.ts < right.ts ? -1 : left.ts > right.ts ? 1 : 0;
}
