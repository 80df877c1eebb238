import { renderHostsFile } from "@terok-shield/dns-tier";
import { type IpRange, renderSetEdit } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { appendHosts } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { findRunningContainer, runNft } from "../host/running-container.ts";
import { resolveEntries } from "./resolve-entries.ts";
import { prepareAgain, readContainerState } from "./start.ts";

export interface Resolved {
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Resolves the names that a container may reach. In a static tier the answers come into force at once,
 * also while the container runs; with dnsmasq they are only shown, since it asks for itself.
 */
export async function resolve(
  host: Host,
  name: string,
  { force }: { readonly force: boolean },
): Promise<Resolved> {
  const container = parseContainerName(name);
  const state = await readContainerState(host, container);
  if (state.tier === "dnsmasq") {
    const { programs } = await host.facts();
    const tier = programs.dig === undefined ? "getent" : "dig";
    return resolveEntries(host, state.names.exact, { tier, renew: force });
  }
  const prepared = await prepareAgain(host, state, { renewNames: force, whileRunning: true });
  const running = await findRunningContainer(bundleDirectory(host.places, container));
  if (running !== undefined) {
    const after = await readContainerState(host, container);
    const edit = renderSetEdit("dns", learnedRanges(state), learnedRanges(after));
    if (edit !== undefined) await runNft(host, running, ["-f", "-"], edit);
    if (running.hostsFile !== undefined)
      await appendHosts(running.hostsFile, renderHostsFile(prepared.resolved));
  }
  return prepared;
}

function learnedRanges({ policy }: ContainerState): readonly IpRange[] {
  return policy.learned.kind === "fixed" ? policy.learned.ranges : [];
}
