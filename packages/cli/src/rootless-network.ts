import type { DnsTier } from "@terok-shield/dns-tier";
import { type EgressPolicy, parseIpRange } from "@terok-shield/nft-ruleset";

export type NetworkKind = "slirp4netns" | "pasta";

/** How a rootless network shows itself inside the container. */
export interface RootlessNetwork {
  readonly kind: NetworkKind;
  /** The address that forwards port 53 to the host's resolver. */
  readonly upstream: string;
  /** Value of podman's --network. */
  readonly option: string;
  readonly reserved: EgressPolicy["reserved"];
  readonly hostLoopback: EgressPolicy["reserved"];
}

const SLIRP_CIDR = "10.0.2.0/24";
const PASTA_DNS = "169.254.1.1";
const PASTA_HOST = "169.254.1.2";

/**
 * The network that `prepare` asks podman for. Everything is fixed by options, so that nothing is guessed
 * (slirp4netns(1), pasta(1)).
 */
export function planNetwork(kind: NetworkKind, loopbackPorts: readonly number[]): RootlessNetwork {
  const hostGranted = loopbackPorts.length > 0;
  if (kind === "slirp4netns") {
    return {
      kind,
      upstream: "10.0.2.3",
      option: `slirp4netns:cidr=${SLIRP_CIDR},enable_ipv6=true,allow_host_loopback=${hostGranted}`,
      reserved: [SLIRP_CIDR, "fd00::/64"].map(parseIpRange),
      hostLoopback: ["10.0.2.2"].map(parseIpRange),
    };
  }
  // Without -T and -U, a `pasta_options` of containers.conf could put ports of the host's loopback on the container's
  // own; with both of them, pasta refuses to start.
  return {
    kind,
    upstream: PASTA_DNS,
    option: `pasta:--dns-forward,${PASTA_DNS},--no-map-gw,-T,none,-U,none${hostGranted ? `,--map-host-loopback,${PASTA_HOST}` : ""}`,
    reserved: [PASTA_DNS, PASTA_HOST].map(parseIpRange),
    hostLoopback: [PASTA_HOST].map(parseIpRange),
  };
}

/** What the network shows inside the container; only dnsmasq asks its resolver. */
export function networkAddresses(
  { upstream, reserved, hostLoopback }: RootlessNetwork,
  { tier, loopbackPorts }: { readonly tier: DnsTier; readonly loopbackPorts: readonly number[] },
): Pick<EgressPolicy, "upstream" | "reserved" | "hostLoopback"> {
  return {
    ...(tier === "dnsmasq" ? { upstream: parseIpRange(upstream) } : {}),
    reserved,
    hostLoopback: { addresses: hostLoopback, ports: loopbackPorts },
  };
}
