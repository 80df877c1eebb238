import type { AuditEvent } from "@terok-shield/audit";
import { bundleDirectory } from "../bundle-directory.ts";
import { parseContainerName } from "../container-name.ts";
import { readAuditEvents } from "../host/audit-log.ts";
import { listBundles } from "../host/bundles.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";

/**
 * The newest events of one container, or of all together, oldest first.
 * @throws ShieldError when there is no such container: an empty log would look as if nothing had happened to it.
 */
export async function readLogs(
  host: Host,
  { container, count }: { readonly container?: string; readonly count: number },
): Promise<AuditEvent[]> {
  const known = await listBundles(host.places);
  const containers = container === undefined ? known : [parseContainerName(container)];
  const missing = containers.find((name) => !known.includes(name));
  if (missing !== undefined) {
    throw new ShieldError(
      `There is no shielded container ${missing}. ${known.length === 0 ? "There is none at all." : `There are ${known.join(", ")}.`}`,
    );
  }
  const events = await Promise.all(
    containers.map((name) => readAuditEvents(bundleDirectory(host.places, name), count)),
  );
  return events.flat().sort(byTime).slice(-count);
}

function byTime(left: AuditEvent, right: AuditEvent): number {
  return left.ts < right.ts ? -1 : left.ts > right.ts ? 1 : 0;
}
