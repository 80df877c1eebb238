import { isIpText, isIpv4Text } from "./ip-text.ts";

/** The network that podman gives the container, as far as DNS depends on it. */
export type ContainerNetwork =
  | { readonly kind: "slirp4netns"; readonly cidr?: string }
  | { readonly kind: "pasta"; readonly dnsForward: string };

const SLIRP4NETNS_DEFAULT_CIDR = "10.0.2.0/24";

/**
 * The address at which the network forwards DNS: slirp4netns answers at the third of its CIDR, pasta at the
 * one it is told.
 * @throws Error when the CIDR or the address is not one.
 */
export function upstreamFor(network: ContainerNetwork): string {
  if (network.kind === "slirp4netns") return thirdAddress(network.cidr ?? SLIRP4NETNS_DEFAULT_CIDR);
  if (!isIpText(network.dnsForward))
    throw new Error(`${JSON.stringify(network.dnsForward)} is not an IP address`);
  return network.dnsForward;
}

/**
 * Reads `ADDRESS` or `ADDRESS#PORT`, dnsmasq's way to write a server.
 * @throws Error when it is neither.
 */
export function parseUpstream(text: string): { address: string; port: number } {
  const [address = "", port = "53", ...rest] = text.split("#");
  if (rest.length > 0 || !isIpText(address) || !/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535) {
    throw new Error(`${JSON.stringify(text)} is not the address of a resolver`);
  }
  return { address, port: Number(port) };
}

/** slirp4netns takes a network address and nothing longer than /25. */
function thirdAddress(cidr: string): string {
  const [address = "", length = "", ...rest] = cidr.split("/");
  const prefixLength = /^[1-9]\d?$/.test(length) ? Number(length) : Number.NaN;
  const octets = address.split(".").map(Number);
  const network = octets.reduce((value, octet) => value * 256 + octet, 0);
  const isNetwork = network % 2 ** (32 - prefixLength) === 0;
  if (rest.length > 0 || !isIpv4Text(address) || !(prefixLength <= 25) || !isNetwork) {
    throw new Error(
      `${JSON.stringify(cidr)} is not a network of slirp4netns. Write one like ${SLIRP4NETNS_DEFAULT_CIDR}.`,
    );
  }
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 3].join(".");
}
