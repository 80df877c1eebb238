import { BUNDLE_FILE, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import type { Host } from "./host.ts";
import { enterNetwork } from "./running-container.ts";

/** Starts the packet reader of a running container, as the hook does at its start. */
export async function startPacketReader(
  host: Host,
  record: RuntimeRecord,
  { bundle, ulogd }: { readonly bundle: string; readonly ulogd: string },
): Promise<void> {
  const { programs } = await host.facts();
  await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [
      ...enterNetwork(record),
      ulogd,
      "--daemon",
      `--configfile=${bundle}/${BUNDLE_FILE.ulogdConf}`,
      `--pidfile=${bundle}/${BUNDLE_FILE.ulogdPid}`,
    ],
  });
}
