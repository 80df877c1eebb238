import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { modes, policies } from "../testing/arbitrary-policies.ts";
import { inKernel, inKernelEach, type KernelAnswer } from "../testing/in-kernel.ts";
import { policyOfListing } from "../testing/policy-of-listing.ts";
import {
  BY_RESOLVER,
  DOWN,
  DOWN_ALL_FOR,
  GOLDENS,
  to,
  UP,
  WITH_LEASES,
  WITH_PORTS,
  WITH_RESOLVER,
} from "../testing/sample-policies.ts";
import type { EgressPolicy, LearnedScope, ShieldMode } from "./egress-policy.ts";
import { type IpRange, parseIpRange, renderIpRange } from "./ip-range.ts";
import { differingObjects, expectedListing, readListing, sameListing } from "./listing.ts";
import { readLiveSets } from "./live-sets.ts";
import { areaOf, EVERY_PORT, type PortSpan, subtractAreas, unionAreas } from "./port-area.ts";
import { renderRepair, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";
import { readShieldState } from "./shield-state.ts";
import { isWithinLimits } from "./transaction-room.ts";

describe("in a network namespace of a real kernel", () => {
  test.each(GOLDENS)("lists $golden as planned", ({ golden, policy, mode }) => {
    expectListed(inKernel([readGolden(golden)]), policy, mode);
  });

  test("a ruleset loads over itself, as in a container that restarts inside a living pod", () => {
    const text = renderRuleset(WITH_LEASES, UP);
    expectListed(inKernel([text, text]), WITH_LEASES, UP);
  });

  test("a rootless nft loads 12 000 destinations, and a large ruleset that is one part", () => {
    const destinations = (count: number, text: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => to(text(index)));
    const ipv6 = destinations(6000, (index) => `2001:db8:${index.toString(16)}::1`);
    const ports = (count: number) =>
      destinations(count, (index) => `2001:db8:${index.toString(16)}::/${126 + (index % 2)} 8000-8010/tcp`);
    const ipv4 = destinations(
      6000,
      (index) => `198.${18 + (index >> 15)}.${(index >> 7) & 255}.${(index & 127) * 2}`,
    );
    const timed = ports(1900).map((entry) => ({ ...entry, remainingSeconds: 3600.5 }));
    for (const policy of [
      { ...WITH_RESOLVER, allow: ipv6, deny: ipv4 },
      { ...WITH_RESOLVER, allow: ipv6.slice(0, 1900), deny: [] },
      { ...WITH_PORTS, allow: ports(4000), deny: [] },
      { ...WITH_PORTS, allow: [], deny: [], timed: { allow: [], lift: [], deny: timed } },
    ]) {
      expectListed(inKernel(renderRulesetInParts(policy, DOWN)), policy, DOWN);
    }
  });

  test.each<[string, (index: number) => PortSpan[], Partial<LearnedScope>]>([
    ["one port of TCP", (index) => [{ first: 8000 + index, last: 8000 + index, protocol: "tcp" }], {}],
    ["ranges of both", (index) => [{ first: 8000 + index, last: 9000 + index }], {}],
    [
      "many ports for a time",
      (index) => [1, 2, 3, 4].map((n) => ({ first: 9000 * n + 2 * index, last: 9000 * n + 2 * index })),
      { remainingSeconds: 3600 },
    ],
  ])("a rootless nft loads rules up to the limit that is said, for names that open %s", (_, ports, scope) => {
    const policyOf = (count: number): EgressPolicy => ({
      ...WITH_RESOLVER,
      learned: {
        ...BY_RESOLVER,
        scopes: Array.from({ length: count }, (_, index) => ({
          id: index + 1,
          area: subtractAreas(EVERY_PORT, ports(index).map(areaOf).reduce(unionAreas)),
          ...scope,
        })),
      },
      allow: Array.from({ length: 250 }, (_, index) => to(`2001:db8:${index.toString(16)}::/127 8000-8010`)),
    });
    const count = Array.from({ length: 100 }, (_, index) => index + 1).findLast((n) =>
      isWithinLimits(policyOf(n)),
    );
    expect(count).toBeGreaterThan(10);
    const policy = policyOf(count ?? 0);
    expect(isWithinLimits(policyOf(101))).toBe(false);
    for (const mode of [UP, DOWN_ALL_FOR]) {
      const parts = renderRulesetInParts(policy, mode);
      expectListed(inKernel(parts), policy, mode);
    }
  });

  test("a repair puts our table in the place of whatever is there, and keeps what was learned and counted", () => {
    const before = [
      renderRuleset(WITH_PORTS, UP).replace("counter allowed { }", "counter allowed { packets 7 bytes 420 }"),
      "add element inet terok_shield dns_1_v4 { 198.51.100.1 timeout 1800s expires 60s }",
    ];
    const keep = readLiveSets(inKernel(before));
    const tampered = "flush chain inet terok_shield output\ntable ip other { chain x { }; }";
    const repaired = inKernel([...before, tampered, ...renderRepair(WITH_PORTS, DOWN, keep)]);
    expectListed(repaired, WITH_PORTS, DOWN);
    const live = readLiveSets(repaired);
    expect(live.counters.allowed).toEqual({ packets: 7, bytes: 420 });
    expect(live.learned.get("dns_1_v4")).toEqual([
      { ...parseIpRange("198.51.100.1"), expiresSeconds: expect.closeTo(59, -0.5) },
    ]);
  });

  test("what the resolver learned is not part of the policy", () => {
    const learned = "add element inet terok_shield dns_v4 { 198.51.100.1, 198.51.100.2 timeout 9s }";
    expectListed(inKernel([readGolden("up-with-resolver"), learned]), WITH_RESOLVER, UP);
  });

  test("the kernel takes and lists whatever overlaps, by addresses, ports and time", () => {
    const sample = fc.sample(fc.tuple(policies(), modes()), { numRuns: 100, seed: 1 });
    const answers = inKernelEach(sample.map(([policy, mode]) => [renderRuleset(policy, mode)]));
    for (const [index, [policy, mode]] of sample.entries()) {
      expect(answers[index]?.refusal).toBeUndefined();
      expectListed(answers[index]?.listing ?? "", policy, mode);
    }
  });

  test("a policy that was loaded can be read back from the kernel, and is the same policy", () => {
    // In a blackout the kernel has no rule that would tell of it.
    const open = modes().filter(({ kind }) => kind !== "block");
    const sample = fc
      .sample(fc.tuple(policies(), open), { numRuns: 40, seed: 2 })
      .map(([policy, mode]) => [inWholeSeconds(policy), mode] as const);
    const answers = inKernelEach(sample.map(([policy, mode]) => [renderRuleset(policy, mode)]));
    for (const [index, [policy, mode]] of sample.entries()) {
      const readBack = { ...policyOfListing(answers[index]?.listing ?? ""), published: policy.published };
      expect(renderRuleset(readBack, mode)).toBe(renderRuleset(policy, mode));
    }
  });

  test("the kernel lists every IPv6 address in the words of renderIpRange", () => {
    const zeros = Array.from({ length: 256 }, (_, bits) =>
      Array.from({ length: 8 }, (_, group) => ((bits >> group) & 1 ? "ffff" : "0")).join(":"),
    );
    const sample = fc.sample(fc.ipV6(), { numRuns: 300, seed: 1 });
    const written = [...zeros, ...sample]
      .map(readIpv6)
      .filter((range) => range !== undefined)
      .map(renderIpRange);
    const addresses = [...new Set(written)].sort();
    const text = `table inet x { set y { type ipv6_addr; elements = { ${addresses.join(", ")} } ; } ; }`;
    const { nftables } = JSON.parse(inKernel([text])) as { nftables: { set?: { elem: string[] } }[] };
    expect(nftables.find(({ set }) => set !== undefined)?.set?.elem.sort()).toEqual(addresses);
  });
});

/** Loaded after golden/up-with-resolver.nft: what is done, and what the error names. */
const TAMPERINGS: [string, string, RegExp][] = [
  ["a foreign accept put first", "insert rule inet terok_shield output accept", /chain output/],
  ["a rule taken away by a flush", "flush chain inet terok_shield output", /chain output/],
  ["a helper chain flushed", "flush chain inet terok_shield refuse_denied", /chain refuse_denied/],
  ["a chain's policy changed", "chain inet terok_shield output { policy accept; }", /chain output/],
  ["a set emptied", "flush set inet terok_shield allow_v4", /set allow_v4/],
  ["an element added", "add element inet terok_shield allow_v4 { 192.0.2.9 }", /set allow_v4/],
  ["an element taken away", "delete element inet terok_shield deny_v4 { 203.0.113.9 }", /set deny_v4/],
  // nft 1.0.6 lists the flags of a table from memory that it never wrote, and may end its output there.
  [
    "our table made dormant",
    "table inet terok_shield { flags dormant; }",
    /^.*table terok_shield$|cannot be read/,
  ],
  ["one more chain", "add chain inet terok_shield more", /chain more/],
  ["one more set", "add set inet terok_shield more { type ipv4_addr; }", /set more/],
  ["another revision", "add chain inet terok_shield revision_2", /chain revision_2/],
  ["one more map", "add map inet terok_shield more { type ipv4_addr : verdict; }", /map more/],
  ["one more quota", "add quota inet terok_shield more { 1 bytes }", /quota more/],
  ["one more limit", "add limit inet terok_shield more { rate 1/second }", /limit more/],
  [
    "one more conntrack helper",
    'add ct helper inet terok_shield more { type "ftp" protocol tcp; }',
    /ct helper more/,
  ],
  [
    "a table of someone else",
    "table ip other { chain x { type route hook output priority -150; meta mark set 1; }; }",
    /table "other"/,
  ],
  ["an egress hook of someone else", "table netdev other { chain x { }; }", /table "other"/],
  ["a table of our name in another family", "table ip terok_shield { chain output { }; }", /table/],
  ["our table deleted and another one there", "delete table inet terok_shield\ntable ip x { }", /table/],
];

/** In golden/up-with-resolver.nft: one text and what stands there instead. */
const MISWRITINGS = [
  ["policy drop", "policy accept"],
  ["priority filter", "priority 10"],
  ["timeout 1800s", "timeout 1801s"],
  ["size 65536", "size 65535"],
  ["size 65536", "size 65536\n\t\tgc-interval 1s"],
  ["size 65536", "size 65536\n\t\tpolicy memory"],
  ["flags interval", "flags interval\n\t\tcounter"],
  ["flags interval", "flags interval,timeout"],
  ["flags interval\n", "flags interval,timeout\n\t\ttimeout 1d\n"],
  ["203.0.113.9", '203.0.113.9 comment "x"'],
  ["203.0.113.9", "203.0.113.8"],
  ["update @dns_v4 { ip daddr }", "update @dns_v4 { ip daddr timeout 30d }"],
  ["update @dns_v4 { ip daddr }", "add @dns_v4 { ip daddr }"],
  ["update @dns_v4", "update @dns_v4 { ip saddr } update @dns_v4"],
  ["ct direction reply", "ct direction original"],
  ["ct state established,related", "ct state established,related,new"],
  ["ct direction original ct state", "ct state"],
  ["tcp dport 53 ct state new", "tcp dport 53"],
  ["ct mark { 0x7e520001", "ct mark { 0, 0x7e520001"],
  ["ct mark 0x7e520001 accept", "ct mark 0x7e520000 accept"],
  ["meta mark 0x7e510001", "meta mark and 0x1 == 0x1"],
  ["{ ip daddr } goto admit_learned", "{ ip daddr } goto admit_allowed"],
  ["tcp dport 53 meta", "tcp dport != 53 meta"],
  ["ip daddr 10.0.2.3 udp", "ip daddr 10.0.2.3/31 udp"],
  ['oifname "lo" accept', 'oifname "lo*" accept'],
  ['oifname "lo" accept', 'oif "lo" accept'],
  ["ip6 hoplimit 255", "ip6 hoplimit 1-255"],
  ["limit rate 50/second", "limit rate over 50/second"],
  ["limit rate 50/second", "limit rate 50/minute"],
  ["group 100", "group 101"],
  ["snaplen 128", "snaplen 1"],
  ["queue-threshold 16", "queue-threshold 1"],
  ["limit rate over 100/second", "limit rate 100/second"],
  ['counter name "logged_denied" log', "log"],
  ['prefix "TEROK_SHIELD_DENIED: "', 'prefix "TEROK_SHIELD_ALLOWED: "'],
  ['counter name "refused_denied"', "counter"],
  ["goto reject_packet", "jump reject_packet"],
  ["goto refuse_denied", "goto refuse_private"],
  ["ip option lsrr exists", "ip option lsrr missing"],
  ["exthdr rt exists", "exthdr frag exists"],
  ["reject with icmpx admin-prohibited", "reject with icmpx port-unreachable"],
] as const;

describe("readShieldState of a real listing that was tampered with", () => {
  const loaded = readGolden("up-with-resolver");
  let tampered: KernelAnswer[];
  let miswritten: KernelAnswer[];

  beforeAll(() => {
    tampered = inKernelEach(TAMPERINGS.map(([, tampering]) => [loaded, tampering]));
    miswritten = inKernelEach(MISWRITINGS.map(([text, instead]) => [loaded.replace(text, instead)]));
  });

  test.each(TAMPERINGS.map((row, index) => [...row, index] as const))(
    "%s is an error that names the place",
    (_, _tampering, place, index) => {
      expect(tampered[index]?.refusal).toBeUndefined();
      expect(readShieldState(tampered[index]?.listing ?? "", WITH_RESOLVER)).toEqual({
        kind: "error",
        reason: expect.stringMatching(place),
      });
    },
  );

  test.each(MISWRITINGS.map((row, index) => [...row, index] as const))(
    "%j written as %j is noticed",
    (text, _, index) => {
      expect(loaded).toContain(text);
      expect(miswritten[index]?.refusal).toBeUndefined();
      expect(readShieldState(miswritten[index]?.listing ?? "", WITH_RESOLVER)).toEqual({
        kind: "error",
        reason: expect.stringContaining("not what policy says"),
      });
    },
  );
});

function expectListed(listing: string, policy: EgressPolicy, mode: ShieldMode): void {
  const [expected, actual] = [expectedListing(policy, mode), readListing(listing)];
  expect(differingObjects(expected, actual)).toEqual([]);
  expect(sameListing(expected, actual)).toBe(true);
  const { remainingSeconds } = { remainingSeconds: undefined, ...mode };
  const left =
    remainingSeconds === undefined ? {} : { remainingSeconds: expect.closeTo(remainingSeconds, -1) };
  expect(readShieldState(listing, policy)).toEqual({ ...mode, ...left });
}

/** Without what has ended or is lifted, of which the kernel holds nothing, and in the unit in which nft lists times. */
function inWholeSeconds(policy: EgressPolicy): EgressPolicy {
  const whole = <Timed extends { remainingSeconds?: number }>(entries: readonly Timed[]): Timed[] =>
    entries.flatMap((entry) => {
      const { remainingSeconds } = entry;
      if (remainingSeconds === undefined) return [entry];
      return remainingSeconds > 0 ? [{ ...entry, remainingSeconds: Math.floor(remainingSeconds) }] : [];
    });
  const { timed = { allow: [], deny: [] }, learned } = policy;
  return {
    ...policy,
    timed: { allow: whole(timed.allow), deny: whole(timed.deny), lift: [] },
    learned: learned.kind === "fixed" ? learned : { ...learned, scopes: whole(learned.scopes) },
  };
}

function readGolden(name: string): string {
  return readFileSync(new URL(`../golden/${name}.nft`, import.meta.url), "utf8");
}

function readIpv6(text: string): IpRange | undefined {
  const range = parseIpRange(text);
  return range.family === 6 ? range : undefined;
}
