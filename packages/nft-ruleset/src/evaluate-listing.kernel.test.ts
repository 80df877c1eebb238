import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modes, policies } from "../testing/arbitrary-policies.ts";
import { type Counted, type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { type Judgement, judgeEveryPort, judgePacket, readListedRuleset } from "./evaluate-listing.ts";
import { parseIpRange } from "./ip-range.ts";
import { keptSets, learnedSets } from "./set-names.ts";

/** In and around what the arbitrary policies name, and private ones. */
const ADDRESSES = [
  ...["192.0.2.0", "192.0.2.7", "192.0.2.64", "192.0.2.129", "192.0.2.200", "192.0.2.255"],
  ...["169.254.169.1", "169.254.169.254", "10.9.0.1", "100.64.0.1", "203.0.113.9"],
  ...["2001:db8::", "2001:db8::7", "2001:db8::80", "2001:db8::ff", "2001:db8:1::1"],
  ...["fd00:9::1", "64:ff9b::a09:3", "64:ff9b::c633:6402"],
];
const PORTS = [1, 53, 80, 441, 442, 443, 444, 8000, 8005, 8010, 8011, 65_534, 65_535];
const PROTOCOLS = ["tcp", "udp", "icmp"] as const;

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab(ADDRESSES);
});

afterAll(() => lab.stop());

const probes = fc.array(
  fc.tuple(fc.constantFrom(...ADDRESSES), fc.constantFrom(...PROTOCOLS), fc.constantFrom(...PORTS)),
  { minLength: 12, maxLength: 12 },
);

test("what is judged of a packet is what the kernel does with it, over policies, modes and what was learned", async () => {
  const seen = new Set<string>();
  const learned = fc.array(fc.tuple(fc.nat(4), fc.constantFrom(...ADDRESSES)), { maxLength: 8 });
  const property = fc.asyncProperty(
    policies(),
    modes(),
    learned,
    probes,
    async (policy, mode, found, tried) => {
      await lab.reset();
      await lab.load(policy, mode, learnedIn(policy, mode, found));
      const ruleset = readListedRuleset(await lab.listing());
      for (const [address, protocol, port] of tried) {
        await lab.counters();
        await lab.attempt(protocol, address, protocol === "icmp" ? {} : { to: [address, port] });
        const counted = await lab.counters();
        const packet = { address: parseIpRange(address), protocol, isLocal: false };
        const judged = judgePacket(ruleset, protocol === "icmp" ? packet : { ...packet, port });
        expect([address, protocol, port, countedBy(judged)]).toEqual([
          address,
          protocol,
          port,
          Object.keys(counted),
        ]);
        const [run] = judgeEveryPort(ruleset, packet).filter(
          ({ protocol: of, first, last }) => of === protocol && first <= port && port <= last,
        );
        expect(run?.judgement).toEqual(judged);
        for (const verdict of Object.keys(counted)) seen.add(verdict);
      }
    },
  );
  await fc.assert(property, { numRuns: 20 });
  expect([...seen].sort()).toEqual([
    "allowed",
    "bypassed",
    "refused_blocked",
    "refused_denied",
    "refused_private",
  ]);
}, 60_000);

test.each([
  [
    "a rule that is not ours, before ours",
    "insert rule inet terok_shield output tcp dport 80 accept",
    "accepted",
  ],
  [
    "a policy that accepts",
    "flush chain inet terok_shield output; chain inet terok_shield output { policy accept; }",
    "accepted",
  ],
  [
    "another table that drops",
    "table ip other { chain out { type filter hook output priority 10; policy drop; }; }; insert rule inet terok_shield output accept",
    "dropped",
  ],
  ["a match that nobody here knows", "insert rule inet terok_shield output ip length 100 accept", "unknown"],
  [
    "an expression that nobody here knows",
    "insert rule inet terok_shield output tcp dport vmap { 80 : accept }",
    "unknown",
  ],
  ["no table at all", "flush ruleset", "accepted"],
] as const)("of somebody else's rules: %s", async (_, transaction, verdict) => {
  const [policy] = fc.sample(policies(), { numRuns: 1, seed: 7 });
  await lab.load({ ...(policy as EgressPolicy), allow: [], learned: { kind: "fixed", destinations: [] } });
  await lab.nft(transaction);

  const packet = { address: parseIpRange("203.0.113.9"), protocol: "tcp", port: 80, isLocal: false } as const;
  expect(judgePacket(readListedRuleset(await lab.listing()), packet)).toMatchObject({ verdict });
  const { error } = await lab.attempt("tcp", "203.0.113.9");
  if (verdict === "accepted") expect(error).toBeUndefined();
});

/** The counters that count a packet that took this way. */
function countedBy({ verdict, trail }: Judgement): (keyof Counted)[] {
  const chains = trail.map(({ chain }) => chain);
  const refusal = chains.find((chain) => chain.startsWith("refuse_"));
  if (verdict === "rejected" && refusal !== undefined) {
    return [refusal.replace("refuse", "refused") as keyof Counted];
  }
  if (verdict !== "accepted") return [];
  return [chains.includes("admit_bypass") ? "bypassed" : "allowed"];
}

function learnedIn(
  { learned }: EgressPolicy,
  mode: ShieldMode,
  found: readonly (readonly [number, string])[],
): Record<string, string[]> {
  if (learned.kind === "fixed") return {};
  const ids = [0, ...learned.scopes.map(({ id }) => id)];
  const sets: Record<string, string[]> = {};
  for (const [index, address] of found) {
    const names = (mode.kind === "down" ? keptSets : learnedSets)(ids[index % ids.length] ?? 0);
    const set = address.includes(":") ? names.v6 : names.v4;
    sets[set] = [...new Set([...(sets[set] ?? []), address])];
  }
  return sets;
}
