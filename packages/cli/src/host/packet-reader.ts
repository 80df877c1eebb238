import { LOG_STAGE, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import type { Host } from "./host.ts";
import { enterNetwork } from "./running-container.ts";

/**
 * Starts what is missing of what writes the logs of a running container, the packet reader and the keeper of the logs, as
 * the hook does at its start.
 */
export async function reviveLogs(host: Host, record: RuntimeRecord, bundle: string): Promise<void> {
  const { programs } = await host.facts();
  await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [...enterNetwork(record), programs.node, host.places.hookEntrypoint, LOG_STAGE, bundle],
  });
}
