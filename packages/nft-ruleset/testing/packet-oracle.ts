import { BlockList } from "node:net";
import type { Destination, EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { parseIpRange } from "../src/ip-range.ts";

/** The first packet of something new that the container sends. */
export interface Probe {
  readonly address: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  /** Of no account with icmp. */
  readonly port: number;
}

/** What names led to; in bypass, what they had led to before. */
export interface Learned {
  /** 0 stands for the names that open every port. */
  readonly scope: number;
  readonly address: string;
}

/** As the counters are called. */
export type Fate = "allowed" | "bypassed" | "refused_denied" | "refused_private" | "refused_blocked";

/** What README.md and docs/security.md say of a packet, said once more and as plainly as can be. */
export function fateOf(
  probe: Probe,
  policy: EgressPolicy,
  mode: ShieldMode,
  learned: readonly Learned[],
): Fate {
  if (mode.kind === "block") return "refused_blocked";
  if (isDenied(probe, policy)) return "refused_denied";
  if (isHostLoopback(probe, policy)) return "allowed";
  if (policy.reserved.some((range) => isTo(probe, { range }))) return "refused_private";
  if (isAllowedByOwner(probe, policy)) return "allowed";
  if (PRIVATE.check(probe.address, familyOf(probe))) {
    return mode.kind === "down" && mode.privateRanges === "open" ? "bypassed" : "refused_private";
  }
  if (isAllowedByName(probe, policy, learned)) return "allowed";
  return mode.kind === "down" ? "bypassed" : "refused_blocked";
}

/** A denial that is lifted for a time is none meanwhile, and takes no other denial with it. */
function isDenied(probe: Probe, { deny, timed }: EgressPolicy): boolean {
  // Of several for the same denial, which no state has, the last counts.
  const isLifted = (denial: Destination) =>
    (timed?.lift.findLast((lift) => isSame(lift, denial))?.remainingSeconds ?? 0) > 0;
  return (
    deny.some((denial) => isTo(probe, denial) && !isLifted(denial)) ||
    (timed?.deny ?? []).some((denial) => isTo(probe, denial) && denial.remainingSeconds > 0)
  );
}

function isHostLoopback(probe: Probe, { hostLoopback }: EgressPolicy): boolean {
  return (
    probe.protocol === "tcp" &&
    hostLoopback?.ports.includes(probe.port) === true &&
    hostLoopback.addresses.some((range) => isTo(probe, { range }))
  );
}

/** The cloud's metadata addresses only where an entry is exactly that address. */
function isAllowedByOwner(probe: Probe, { allow, timed }: EgressPolicy): boolean {
  const running = (timed?.allow ?? []).filter(({ remainingSeconds }) => remainingSeconds > 0);
  return [...allow, ...running].some(
    (entry) =>
      isTo(probe, entry) &&
      (!METADATA.check(probe.address, familyOf(probe)) || entry.range.first === entry.range.last),
  );
}

function isAllowedByName(probe: Probe, policy: EgressPolicy, addresses: readonly Learned[]): boolean {
  const { learned } = policy;
  if (learned.kind === "fixed") return learned.destinations.some((entry) => isTo(probe, entry));
  const found = addresses.filter(({ address }) => address === probe.address).map(({ scope }) => scope);
  if (found.includes(0)) return true;
  return learned.scopes.some(({ id, area, remainingSeconds }) => {
    if (!found.includes(id) || (remainingSeconds !== undefined && remainingSeconds <= 0)) return false;
    if (probe.protocol === "icmp") return area.other;
    return area[probe.protocol].some(({ first, last }) => first <= probe.port && probe.port <= last);
  });
}

function isTo({ address, protocol, port }: Probe, { range, ports }: Destination): boolean {
  const { family, first } = parseIpRange(address);
  if (family !== range.family || first < range.first || first > range.last) return false;
  if (ports === undefined) return true;
  const isProtocol = ports.protocol === undefined ? protocol !== "icmp" : ports.protocol === protocol;
  return isProtocol && ports.first <= port && port <= ports.last;
}

function isSame(one: Destination, other: Destination): boolean {
  return (
    one.range.family === other.range.family &&
    one.range.first === other.range.first &&
    one.range.last === other.range.last &&
    one.ports?.protocol === other.ports?.protocol &&
    one.ports?.first === other.ports?.first &&
    one.ports?.last === other.ports?.last
  );
}

function familyOf({ address }: Probe): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

/** By the documents (RFC 6890, RFC 8215), in the words of Node: those of the product are not asked. */
const PRIVATE = blockList([
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  ...["192.0.0.0/24", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"],
  ...["fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::/96", "64:ff9b:1::/48", "2001::/32"],
  // 10.0.0.0/8 and 169.254.0.0/16 in NAT64 and in 6to4.
  ...["64:ff9b::a00:0/104", "2002:a00::/24", "64:ff9b::a9fe:0/112", "2002:a9fe::/32"],
]);

const METADATA = blockList([
  ...["169.254.169.254/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"],
  "64:ff9b::a9fe:a9fe/128",
]);

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", length] = range.split("/");
    list.addSubnet(address, Number(length), address.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}
