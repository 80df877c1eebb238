import fc from "fast-check";
import type { EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { parseIpRange } from "../src/ip-range.ts";
import { keptSets, learnedSets } from "../src/set-names.ts";
import { policies } from "./arbitrary-policies.ts";
import type { Learned, Probe } from "./packet-oracle.ts";
import { to } from "./sample-policies.ts";

/** In and around what the arbitrary policies name, and in each kind of private space. */
export const PROBED_ADDRESSES = [
  ...["192.0.2.0", "192.0.2.7", "192.0.2.64", "192.0.2.129", "192.0.2.255", "203.0.113.9"],
  ...["169.254.169.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "10.9.0.1", "172.16.0.1"],
  ...["192.168.1.1", "10.0.2.2", "10.0.2.3", "10.0.2.9"],
  ...[
    "2001:db8::",
    "2001:db8::7",
    "2001:db8::80",
    "2001:db8::ff",
    "2001:db8:1::1",
    "fd00::1",
    "fd00:ec2::254",
  ],
  ...["64:ff9b::a09:3", "64:ff9b::a9fe:a9fe", "64:ff9b::c633:6402", "2002:a09:3::1"],
];
const PORTS = [53, 80, 442, 443, 444, 8000, 8005, 8011, 65_535];

/** Wide, private and exact ones, which the arbitrary policies have none of. */
const MORE = [
  ...["0.0.0.0/0", "::/0", "10.0.0.0/8", "169.254.0.0/16 80", "169.254.169.254 443", "100.64.0.0/10"],
  ...[
    "192.0.0.192",
    "fc00::/7",
    "fd00:ec2::254 80/tcp",
    "64:ff9b::/96",
    "::/0 1-65535/udp",
    "192.168.1.1 53",
  ],
].map(to);

const someMore = fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.subarray(MORE, { maxLength: 2 }));
/** Those of `policies()`, and some with wide, private and granted destinations. */
export const probedPolicies = fc
  .tuple(policies(), someMore, someMore, fc.constantFrom([], [80], [80, 443, 8005]))
  .map(
    ([policy, allow, deny, ports]): EgressPolicy => ({
      ...policy,
      allow: [...policy.allow, ...allow],
      deny: [...policy.deny, ...deny],
      hostLoopback: { addresses: ["10.0.2.2", "fd00::1"].map(parseIpRange), ports },
    }),
  );
const probe: fc.Arbitrary<Probe> = fc.record({
  address: fc.constantFrom(...PROBED_ADDRESSES),
  protocol: fc.constantFrom("tcp" as const, "udp" as const, "icmp" as const),
  port: fc.constantFrom(...PORTS),
});
export const probes = fc.uniqueArray(probe, {
  selector: ({ address, protocol, port }) => [address, protocol, protocol === "icmp" ? "" : port].join(" "),
  minLength: 16,
  maxLength: 16,
});
/** What names led to, by the index of a scope. */
export const someLearned = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...PROBED_ADDRESSES)), {
  maxLength: 8,
});

export function learnedBy(
  { learned }: EgressPolicy,
  found: readonly (readonly [number, string])[],
): Learned[] {
  if (learned.kind === "fixed") return [];
  const ids = [0, ...learned.scopes.map(({ id }) => id)];
  return found.map(([index, address]) => ({ scope: ids[index % ids.length] ?? 0, address }));
}

/** By the name of the set that the resolver would fill. */
export function inSets(learned: readonly Learned[], mode: ShieldMode): Record<string, string[]> {
  const sets: Record<string, string[]> = {};
  for (const { scope, address } of learned) {
    const names = (mode.kind === "down" ? keptSets : learnedSets)(scope);
    const set = address.includes(":") ? names.v6 : names.v4;
    sets[set] = [...new Set([...(sets[set] ?? []), address])];
  }
  return sets;
}
