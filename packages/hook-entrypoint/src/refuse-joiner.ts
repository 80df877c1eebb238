import { appendEvent } from "./audit-event.ts";
import { namespaceInode } from "./network-namespace.ts";
import type { OciState } from "./oci-state.ts";
import { isRunning, readRuntimeRecord } from "./runtime-record.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/**
 * Judges a container without a shield that is about to start.
 * @throws ShieldRefusal when it is in the network namespace of the container that runs with the bundle: nothing but its
 * user namespace might keep it from the rules there (containers/podman#19185).
 */
export function refuseJoiner({ id, pid }: OciState, directory: string): void {
  const record = readRuntimeRecord(directory);
  if (record === undefined || record.containerId === id || !isRunning(record)) return;
  if (pid === undefined || namespaceInode(pid, "net") !== record.networkNamespace) return;
  const reason = `the container ${id.slice(0, 12)} would be in the shielded container's network, where it might undo the shield`;
  appendEvent(directory, { action: "error", detail: reason });
  throw new ShieldRefusal(reason);
}
