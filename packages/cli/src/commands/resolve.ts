import type { Resolution } from "@terok-shield/dns-tier";
import { bundleDirectory } from "../bundle-directory.ts";
import { openExactNames } from "../compose-policy.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { type ContainerState, renderContainerState } from "../container-state.ts";
import { findFaults } from "../entry-faults.ts";
import { withoutOver } from "../expiry.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { applyChange } from "./apply-change.ts";
import { readConfig, readEntries, withAnswers } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";
import { resolveEntries } from "./resolve-entries.ts";

export interface Resolved {
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Resolves the names that a container may reach. In a static tier the answers come into force at once, and with them the
 * profiles as they are now, also while the container runs; with dnsmasq they are only shown, since it asks for itself.
 */
export async function resolve(
  host: Host,
  name: string,
  { force }: { readonly force: boolean },
): Promise<Resolved> {
  const container = parseContainerName(name);
  const state = withoutOver(readContainerState(host, container), host.moment());
  if (state.tier === "dnsmasq") return show(host, container, state, force);
  const entries = await readEntries(host, state.request.profiles, await readConfig(host));
  const faults = findFaults(entries, state);
  if (faults.length > 0) throw new ShieldError(faults.join("\n"), { code: "usage" });
  const asked = openExactNames({ ...state, entries });
  const resolution = await resolveEntries(host, asked, { tier: state.tier, renew: force });
  await applyChange(host, container, {
    decide: (present, { recorded }) => {
      const state = withAnswers({ ...present, entries }, asked, resolution.resolved);
      return {
        state,
        result: undefined,
        narrows: false,
        isNothing: renderContainerState(state) === renderContainerState(recorded),
        audit: () => [],
      };
    },
  });
  await noteUnresolved(host, container, state, resolution);
  return resolution;
}

async function show(
  host: Host,
  container: ContainerName,
  state: ContainerState,
  renew: boolean,
): Promise<Resolved> {
  const { programs } = await host.facts();
  const tier = programs.dig === undefined ? "getent" : "dig";
  const resolution = await resolveEntries(host, openExactNames(state), { tier, renew });
  await noteUnresolved(host, container, state, resolution);
  return resolution;
}

async function noteUnresolved(
  host: Host,
  container: ContainerName,
  { auditEnabled }: ContainerState,
  { unresolved }: Resolution,
): Promise<void> {
  if (!auditEnabled) return;
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
