import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modes, policies } from "../testing/arbitrary-policies.ts";
import { fateOf, type Learned } from "../testing/packet-oracle.ts";
import { to } from "../testing/sample-policies.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import { keptSets, learnedSets } from "./set-names.ts";

/** A few for each run of `npm test`; `pnpm test:fuzz` has more. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 15);

/** In and around what the arbitrary policies name, and in each kind of private space. */
const ADDRESSES = [
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

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab(ADDRESSES);
});

afterAll(() => lab.stop());

const someMore = fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.subarray(MORE, { maxLength: 2 }));
const anyPolicy = fc.tuple(policies(), someMore, someMore, fc.constantFrom([], [80], [80, 443, 8005])).map(
  ([policy, allow, deny, ports]): EgressPolicy => ({
    ...policy,
    allow: [...policy.allow, ...allow],
    deny: [...policy.deny, ...deny],
    hostLoopback: { addresses: ["10.0.2.2", "fd00::1"].map(parseIpRange), ports },
  }),
);
const probe = fc.record({
  address: fc.constantFrom(...ADDRESSES),
  protocol: fc.constantFrom("tcp" as const, "udp" as const, "icmp" as const),
  port: fc.constantFrom(...PORTS),
});
const probes = fc.uniqueArray(probe, {
  selector: ({ address, protocol, port }) => [address, protocol, protocol === "icmp" ? "" : port].join(" "),
  minLength: 16,
  maxLength: 16,
});
const someLearned = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...ADDRESSES)), { maxLength: 8 });

test(`the kernel does with each packet what the documents say, over ${RUNS} policies, modes and what was learned`, async () => {
  const seen = new Set<string>();
  const property = fc.asyncProperty(
    anyPolicy,
    modes(),
    someLearned,
    probes,
    async (policy, mode, found, tried) => {
      const learned = learnedBy(policy, found);
      await lab.reset();
      await lab.load(policy, mode, inSets(learned, mode));
      for (const each of tried) {
        await lab.counters();
        const { address, protocol, port } = each;
        await lab.attempt(protocol, address, protocol === "icmp" ? {} : { to: [address, port] });
        const fate = fateOf(each, policy, mode, learned);
        const arrived = (await lab.arrivals()).some((packet) => packet.includes(` ${address}`));
        expect({ ...each, counted: Object.keys(await lab.counters()), arrived }).toEqual({
          ...each,
          counted: [fate],
          arrived: fate === "allowed" || fate === "bypassed",
        });
        seen.add(fate);
      }
    },
  );
  await fc.assert(property, { numRuns: RUNS });
  expect([...seen].sort()).toEqual([
    "allowed",
    "bypassed",
    "refused_blocked",
    "refused_denied",
    "refused_private",
  ]);
}, 3_600_000);

function learnedBy({ learned }: EgressPolicy, found: readonly (readonly [number, string])[]): Learned[] {
  if (learned.kind === "fixed") return [];
  const ids = [0, ...learned.scopes.map(({ id }) => id)];
  return found.map(([index, address]) => ({ scope: ids[index % ids.length] ?? 0, address }));
}

function inSets(learned: readonly Learned[], mode: ShieldMode): Record<string, string[]> {
  const sets: Record<string, string[]> = {};
  for (const { scope, address } of learned) {
    const names = (mode.kind === "down" ? keptSets : learnedSets)(scope);
    const set = address.includes(":") ? names.v6 : names.v4;
    sets[set] = [...new Set([...(sets[set] ?? []), address])];
  }
  return sets;
}
