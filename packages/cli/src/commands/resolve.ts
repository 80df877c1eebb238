import { renderHostsFile } from "@terok-shield/dns-tier";
import { type IpRange, renderSetEdit } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import { appendHosts } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { findRunningContainer, runNft } from "../host/running-container.ts";
import { readConfig } from "./prepare.ts";
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
    const resolved = await resolveEntries(host, state.names.exact, { tier, renew: force });
    if ((await readConfig(host)).audit.enabled) await noteUnresolved(host, container, resolved);
    return resolved;
  }
  const prepared = await prepareAgain(host, state, { renewNames: force, whileRunning: true });
  const running = await findRunningContainer(bundleDirectory(host.places, container));
  if (running !== undefined) {
    const after = await readContainerState(host, container);
    const edits = [
      // Profiles as they are now are in the state, so they have to be in the kernel too.
      renderSetEdit("allow", state.policy.allow, after.policy.allow),
      renderSetEdit("dns", learnedRanges(state), learnedRanges(after)),
    ].filter((edit) => edit !== undefined);
    if (edits.length > 0) await runNft(host, running, ["-f", "-"], edits.join(""));
    if (running.hostsFile !== undefined)
      await appendHosts(running.hostsFile, renderHostsFile(prepared.resolved));
  }
  return prepared;
}

async function noteUnresolved(host: Host, container: ContainerName, { unresolved }: Resolved): Promise<void> {
  const ts = host.now().toISOString();
  await appendAuditEvents(
    bundleDirectory(host.places, container),
    unresolved.map(({ name, reason }) => ({
      v: 1,
      ts,
      container,
      action: "note",
      detail: `${name} does not resolve: ${reason}`,
    })),
  );
}

function learnedRanges({ policy }: ContainerState): readonly IpRange[] {
  return policy.learned.kind === "fixed" ? policy.learned.ranges : [];
}
