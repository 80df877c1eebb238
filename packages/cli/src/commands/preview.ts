import { renderRuleset, type ShieldMode } from "@terok-shield/nft-ruleset";
import { parseProfileName } from "@terok-shield/profiles";
import { composePolicy } from "../compose-policy.ts";
import { newContainerState } from "../container-state.ts";
import { describeConflict, findFaults } from "../entry-faults.ts";
import type { Host } from "../host/host.ts";
import { networkAddresses, planNetwork } from "../rootless-network.ts";
import { settle } from "../settle.ts";
import { ShieldError } from "../shield-error.ts";
import { readConfig, readEntries } from "./prepare.ts";

export interface PreviewRequest {
  readonly profiles?: readonly string[];
  readonly mode: ShieldMode;
}

/** The ruleset that a container of these profiles would get in the dnsmasq tier. Touches nothing. */
export async function preview(host: Host, { profiles, mode }: PreviewRequest): Promise<string> {
  const config = await readConfig(host);
  const names = (profiles ?? config.default_profiles).map(parseProfileName);
  const network = config.network === "auto" ? "slirp4netns" : config.network;
  const loopbackPorts = config.loopback_ports;
  const tier = "dnsmasq";
  const state = settle(
    undefined,
    newContainerState({
      container: "preview",
      request: { profiles: names, published: [], trustedMounts: [], network, loopbackPorts },
      tier,
      auditEnabled: config.audit.enabled,
      dnsTimeoutSeconds: config.dns.timeout_seconds,
      entries: await readEntries(host, names, config),
      resolved: new Map(),
      network: networkAddresses(planNetwork(network, loopbackPorts), { tier, loopbackPorts }),
    }),
  );
  const { policy, conflicts } = composePolicy(state, host.moment());
  const faults = [...findFaults(state.entries, state), ...conflicts.map(describeConflict)];
  if (faults.length > 0) throw new ShieldError(faults.join("\n"), { code: "usage" });
  return renderRuleset(policy, mode);
}
