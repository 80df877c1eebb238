import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { inKernel, inKernelEach, type KernelAnswer } from "../testing/in-kernel.ts";
import { DOWN, GOLDENS, MODES, NOTHING_ALLOWED, UP, WITH_RESOLVER } from "../testing/sample-policies.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { type IpRange, parseIpRange, renderIpRange } from "./ip-range.ts";
import { differingObjects, expectedListing, readListing, sameListing } from "./listing.ts";
import { renderModeChange, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";
import { renderSetEdit } from "./set-edit.ts";
import { readShieldState } from "./shield-state.ts";

describe("in a network namespace of a real kernel", () => {
  test.each(GOLDENS)("lists $golden as planned", ({ golden, policy, mode }) => {
    expectListed(inKernel([readGolden(golden)]), policy, mode);
  });

  test("golden/change-from-up-to-down.nft leads from golden/up-with-resolver.nft to golden/down.nft", () => {
    const changed = inKernel([readGolden("up-with-resolver"), readGolden("change-from-up-to-down")]);
    expectListed(changed, WITH_RESOLVER, DOWN);
    expect(readListing(changed)).toEqual(readListing(inKernel([readGolden("down")])));
  });

  test("a change between any two modes lists as if loaded so", () => {
    const pairs = MODES.flatMap((from) => MODES.map((to) => [from, to] as const));
    const answers = inKernelEach(
      pairs.map(([from, to]) => [renderRuleset(WITH_RESOLVER, from), renderModeChange(WITH_RESOLVER, to)]),
    );
    for (const [index, [, to]] of pairs.entries()) {
      expectListed(answers[index]?.listing ?? "refused", WITH_RESOLVER, to);
    }
  });

  test("a ruleset loads over itself, as in a container that restarts inside a living pod", () => {
    const text = renderRuleset(WITH_RESOLVER, UP);
    expectListed(inKernel([text, text]), WITH_RESOLVER, UP);
  });

  test("a rootless nft loads 12 000 ranges, and a large ruleset that is one part", () => {
    const addresses = (count: number, text: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => parseIpRange(text(index)));
    const ipv6 = addresses(6000, (index) => `2001:db8:${index.toString(16)}::1`);
    const ipv4 = addresses(
      6000,
      (index) => `198.${18 + (index >> 15)}.${(index >> 7) & 255}.${(index & 127) * 2}`,
    );
    for (const policy of [
      { ...WITH_RESOLVER, allow: ipv6, deny: ipv4 },
      { ...WITH_RESOLVER, allow: ipv6.slice(0, 1900), deny: [] },
    ]) {
      expectListed(inKernel(renderRulesetInParts(policy, DOWN)), policy, DOWN);
    }
  });

  test("what the resolver learned is not part of the policy", () => {
    const learned = "add element inet terok_shield dns_v4 { 198.51.100.1, 198.51.100.2 timeout 9s }";
    expectListed(inKernel([readGolden("up-with-resolver"), learned]), WITH_RESOLVER, UP);
  });

  test("a mode change without our table fails as a whole", () => {
    const [answer] = inKernelEach([[renderModeChange(WITH_RESOLVER, UP)]]);
    expect(answer?.refusal).toMatch(/No such file or directory/);
  });

  test("an edit of a set leaves what the policy would have loaded, whatever overlaps", () => {
    const sample = fc.sample(
      fc.tuple(fc.constantFrom("allow" as const, "deny" as const), ranges(), ranges()),
      {
        numRuns: 30,
        seed: 1,
      },
    );
    const answers = inKernelEach(
      sample.map(([set, before, after]) => [
        renderRuleset({ ...NOTHING_ALLOWED, [set]: before }, UP),
        renderSetEdit(set, before, after) ?? "# nothing differs",
      ]),
    );
    for (const [index, [set, , after]] of sample.entries()) {
      expectListed(answers[index]?.listing ?? "refused", { ...NOTHING_ALLOWED, [set]: after }, UP);
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
  ["our table made dormant", "table inet terok_shield { flags dormant; }", /^.*table terok_shield$/],
  ["one more chain", "add chain inet terok_shield more", /chain more/],
  ["one more set", "add set inet terok_shield more { type ipv4_addr; }", /set more/],
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
  ["ct mark { 0x7e530002", "ct mark { 0, 0x7e530002"],
  ["meta mark 0x7e530001", "meta mark and 0x1 == 0x1"],
  ["tcp dport 53 meta", "tcp dport != 53 meta"],
  ["ip daddr 10.0.2.3 udp", "ip daddr 10.0.2.3/31 udp"],
  ['oifname "lo" accept', 'oifname "lo*" accept'],
  ['oifname "lo" accept', 'oif "lo" accept'],
  ["ip6 hoplimit 255", "ip6 hoplimit 1-255"],
  ["limit rate 50/second", "limit rate over 50/second"],
  ["limit rate 50/second", "limit rate 50/minute"],
  ["group 100", "group 101"],
  ["group 100", "group 100 snaplen 1"],
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
  expect(readShieldState(listing, policy)).toEqual(mode);
}

function readGolden(name: string): string {
  return readFileSync(new URL(`../golden/${name}.nft`, import.meta.url), "utf8");
}

/** Blocks that often meet, and sometimes cover a metadata address. */
function ranges(): fc.Arbitrary<IpRange[]> {
  const block = fc.oneof(
    fc.tuple(fc.constantFrom("192.0.2.", "169.254.169."), fc.nat(255), fc.integer({ min: 24, max: 32 })),
    fc.tuple(fc.constant("2001:db8::"), fc.nat(255), fc.integer({ min: 120, max: 128 })),
  );
  return fc.array(
    block.map(([prefix, host, length]) =>
      parseIpRange(`${prefix}${prefix.includes(":") ? host.toString(16) : host}/${length}`),
    ),
    { maxLength: 12 },
  );
}

function readIpv6(text: string): IpRange | undefined {
  const range = parseIpRange(text);
  return range.family === 6 ? range : undefined;
}
