import { renderRuleset, type ShieldMode } from "@terok-shield/nft-ruleset";
import { parseProfileName } from "@terok-shield/profiles";
import { planEgress } from "../egress-plan.ts";
import type { Host } from "../host/host.ts";
import { planNetwork } from "../rootless-network.ts";
import { readConfig, readEntries } from "./prepare.ts";

export interface PreviewRequest {
  readonly profiles?: readonly string[];
  readonly mode: ShieldMode;
}

/** The ruleset that a container of these profiles would get in the dnsmasq tier. Touches nothing. */
export async function preview(host: Host, { profiles, mode }: PreviewRequest): Promise<string> {
  const config = await readConfig(host);
  const names = (profiles ?? config.default_profiles).map(parseProfileName);
  const { policy } = planEgress({
    entries: await readEntries(host, names, config),
    tier: "dnsmasq",
    network: planNetwork(config.network === "auto" ? "slirp4netns" : config.network, config.loopback_ports),
    published: [],
    loopbackPorts: config.loopback_ports,
    dnsTimeoutSeconds: config.dns.timeout_seconds,
  });
  return renderRuleset(policy, mode);
}
