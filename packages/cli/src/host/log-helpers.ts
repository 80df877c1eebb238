import type { ContainerState } from "../container-state.ts";
import { isHelperAlive } from "./helper-processes.ts";
import type { Host } from "./host.ts";

/** What should write the logs of a running container, or keep them short, and does not run. */
export async function findMissingLogHelpers(
  host: Host,
  bundle: string,
  { auditEnabled, tier }: Pick<ContainerState, "auditEnabled" | "tier">,
): Promise<("ulogd" | "keeper")[]> {
  const { ulogd } = (await host.facts()).programs;
  const needed = [
    ...(ulogd !== undefined && auditEnabled ? (["ulogd"] as const) : []),
    ...(auditEnabled || tier === "dnsmasq" ? (["keeper"] as const) : []),
  ];
  return needed.filter((kind) => !isHelperAlive(bundle, kind));
}
