import { createHash } from "node:crypto";
import { BUNDLE_FILE, findMarker, parseConfirmation } from "@terok-shield/hook-entrypoint/contract";
import { renderActiveServers } from "../bundle-plan.ts";
import type { ContainerState } from "../container-state.ts";
import { readTextFile } from "../host/files.ts";
import { isHelperAlive } from "../host/helper-processes.ts";
import type { Moment } from "../host/moment.ts";

/**
 * `dead`: no dnsmasq runs. `outdated`: it was started with another configuration than the bundle's, or nobody knows with
 * which. `behind`: it was not seen to follow the servers file of this state.
 */
export type ResolverState = "current" | "behind" | "outdated" | "dead";

/** Whether the dnsmasq of a running container is at a state. */
export function readResolverState(bundle: string, state: ContainerState, moment: Moment): ResolverState {
  if (!isHelperAlive(bundle, "dnsmasq")) return "dead";
  const read = (file: string) => readTextFile(`${bundle}/${file}`) ?? "";
  const confirmed = parseConfirmation(read(BUNDLE_FILE.confirmedDnsServers));
  if (confirmed?.configuration !== digest(read(BUNDLE_FILE.dnsmasqConf))) return "outdated";
  const active = read(BUNDLE_FILE.activeDnsServers);
  const marker = findMarker(active);
  const isOurs = marker !== undefined && active === renderActiveServers(state, moment, marker);
  return isOurs && confirmed.servers === digest(active) ? "current" : "behind";
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
