import { renderIpRange } from "@terok-shield/nft-ruleset";
import { expect, test } from "vitest";
import { planNetwork } from "./rootless-network.ts";

test.each([
  {
    kind: "slirp4netns",
    loopbackPorts: [],
    option: "slirp4netns:cidr=10.0.2.0/24,enable_ipv6=true,allow_host_loopback=false",
  },
  {
    kind: "slirp4netns",
    loopbackPorts: [5432],
    option: "slirp4netns:cidr=10.0.2.0/24,enable_ipv6=true,allow_host_loopback=true",
  },
  { kind: "pasta", loopbackPorts: [], option: "pasta:--dns-forward,169.254.1.1,--no-map-gw,-T,none,-U,none" },
  {
    kind: "pasta",
    loopbackPorts: [5432, 6379],
    option: "pasta:--dns-forward,169.254.1.1,--no-map-gw,-T,none,-U,none,--map-host-loopback,169.254.1.2",
  },
] as const)(
  "$kind shows the host's loopback only for granted ports: $loopbackPorts",
  ({ kind, loopbackPorts, option }) => {
    expect(planNetwork(kind, loopbackPorts).option).toBe(option);
  },
);

test.each([
  {
    kind: "slirp4netns",
    upstream: "10.0.2.3",
    reserved: ["10.0.2.0/24", "fd00::/64"],
    hostLoopback: ["10.0.2.2"],
  },
  {
    kind: "pasta",
    upstream: "169.254.1.1",
    reserved: ["169.254.1.1", "169.254.1.2"],
    hostLoopback: ["169.254.1.2"],
  },
] as const)("$kind forwards DNS at $upstream and keeps its own addresses", ({ kind, ...expected }) => {
  const { upstream, reserved, hostLoopback } = planNetwork(kind, []);
  expect({
    upstream,
    reserved: reserved.map(renderIpRange),
    hostLoopback: hostLoopback.map(renderIpRange),
  }).toEqual(expected);
});
