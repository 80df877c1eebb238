import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modes, policies } from "../testing/arbitrary-policies.ts";
import { inKernel, inKernelEach } from "../testing/in-kernel.ts";
import { DOWN, to, UP, WITH_LEASES, WITH_PORTS, WITH_RESOLVER } from "../testing/sample-policies.ts";
import type { EgressPolicy, PolicyInMode, ShieldMode } from "./egress-policy.ts";
import { type IpRange, isSingleAddress, parseIpRange, renderIpRange } from "./ip-range.ts";
import {
  differingObjects,
  expectedListing,
  listedObjects,
  parseListedPiece,
  readListing,
} from "./listing.ts";
import { type LiveSets, readLiveSets } from "./live-sets.ts";
import { renderPolicyChange } from "./policy-change.ts";
import { renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";
import { planRuleset } from "./ruleset.ts";
import { readShieldState } from "./shield-state.ts";

describe("renderPolicyChange in a network namespace of a real kernel", () => {
  test("leads from any policy and mode to any other, as if that had been loaded", () => {
    const sample = fc
      .sample(fc.tuple(policies(), modes(), policies(), modes(), fc.nat(3)), { numRuns: 100, seed: 1 })
      .map(([before, mode, after, nextMode, forgotten]) => ({
        before: { policy: before, mode },
        // Most changes are of something, not of everything.
        after: {
          policy: { ...(forgotten === 0 ? after : mixed(before, after)), revision: before.revision + 1 },
          mode: nextMode,
        },
        forgotten,
      }));
    const answers = inKernelEach(
      sample.map(({ before, after, forgotten }) => {
        const live = liveSetsOf(before);
        return [
          renderRuleset(before.policy, before.mode),
          learn(live),
          ...renderPolicyChange(before, after, live, { forget: firstAddresses(live, forgotten) }),
        ];
      }),
    );
    for (const [index, { before, after, forgotten }] of sample.entries()) {
      expect(answers[index]?.refusal).toBeUndefined();
      const listing = answers[index]?.listing ?? "";
      expectListed(listing, after);
      expect(addressesBySet(readLiveSets(listing).learned)).toEqual(learnedAfter(before, after, forgotten));
    }
  });

  test.each([
    { what: "without our table", loaded: "table inet other { }" },
    { what: "of an earlier revision", loaded: renderRuleset({ ...WITH_PORTS, revision: 8 }, UP) },
    { what: "of a later revision", loaded: renderRuleset({ ...WITH_PORTS, revision: 10 }, UP) },
    {
      what: "in the middle of another change",
      loaded: renderRuleset({ ...WITH_PORTS, revision: 9 }, UP).replace("revision_9", "revision_partial"),
    },
  ])("a kernel $what refuses a change as a whole", ({ loaded }) => {
    const before = at({ ...WITH_PORTS, revision: 9 });
    for (const after of [at({ ...WITH_LEASES, revision: 10 }), at({ ...WITH_PORTS, revision: 10 }, DOWN)]) {
      const change = renderPolicyChange(before, after, liveSetsOf(before));
      const [was, is] = inKernelEach([[loaded], [loaded, ...change]]);
      expect(is?.refusal).toMatch(/No such file or directory/);
      expect(readListing(is?.listing ?? "")).toEqual(readListing(was?.listing ?? ""));
      const right = renderRuleset(before.policy, before.mode);
      expect(inKernelEach([[right, ...change]])[0]?.refusal).toBeUndefined();
    }
  });

  describe("of more than a transaction holds", () => {
    const addresses = (from: number, to: number, ports = "") =>
      Array.from({ length: to - from }, (_, index) => dottedQuad(2 * (from + index)) + ports);
    const before = at({
      ...WITH_RESOLVER,
      allow: [...addresses(0, 2500), "198.18.0.0/24"].map(to),
      deny: [...addresses(500, 1500, " 443"), "198.18.0.7"].map(to),
    });
    const after = at({
      ...WITH_RESOLVER,
      revision: 2,
      allow: [...addresses(1000, 2500), ...addresses(3000, 4500), "198.18.0.0/25"].map(to),
      deny: [...addresses(500, 1000), ...addresses(3500, 5000), "198.18.0.7"].map(to),
    });

    test("each address goes in one step from what was said of it to what is", () => {
      const steps = renderPolicyChange(before, after, liveSetsOf(before));
      expect(steps.length).toBeGreaterThan(3);
      const loads = [...renderRulesetInParts(before.policy, UP)];
      const listings = inKernelEach(steps.map((_, index) => [...loads, ...steps.slice(0, index + 1)]));
      const [was, will] = [inKernel(loads), inKernel(renderRulesetInParts(after.policy, UP))].map(verdicts);
      let changed = 0;
      for (const { refusal, listing } of listings) {
        expect(refusal).toBeUndefined();
        const now = verdicts(listing);
        for (let index = 0; index < 10_000; index++) {
          const address = dottedQuad(index);
          const verdict = now(address);
          if (verdict === was?.(address)) continue;
          changed++;
          expect([address, verdict]).toEqual([address, will?.(address)]);
        }
        if (listing !== listings.at(-1)?.listing) {
          expect(readLiveSets(listing).revision).toBeUndefined();
          expect(readShieldState(listing, before.policy).kind).toBe("error");
          expect(readShieldState(listing, after.policy).kind).toBe("error");
        }
      }
      expect(changed).toBeGreaterThan(5000);
      expectListed(listings.at(-1)?.listing ?? "", after);
    });

    test.each([
      { what: "into bypass", from: UP, to: DOWN },
      { what: "out of bypass", from: DOWN, to: UP },
    ])("leads $what too, with all that was learned", ({ from, to: mode }) => {
      const names = from === UP ? ["dns_v4", "kept_v4"] : ["kept_v4", "dns_v4"];
      const learned = addresses(0, 3000).map((text) => ({ ...parseIpRange(text), expiresSeconds: 900 }));
      const was = { ...at(WITH_RESOLVER), mode: from };
      const will = { ...at({ ...WITH_RESOLVER, revision: 2 }), mode };
      const steps = renderPolicyChange(was, will, {
        learned: new Map([[names[0] ?? "", learned]]),
        counters: {},
      });
      expect(steps).toHaveLength(2);
      // Until all is there, the narrower of the two.
      expect(steps[0]).not.toContain("goto admit_bypass");
      const listing = inKernel([renderRuleset(WITH_RESOLVER, from), ...steps]);
      expectListed(listing, will);
      expect(readLiveSets(listing).learned.get(names[1] ?? "")).toHaveLength(3000);
    });

    test("what cannot be taken apart is loaded anew, with what was learned and counted", () => {
      const wide = at({ ...WITH_RESOLVER, revision: 2, allow: [to("198.18.0.0/15")] });
      const live = { ...liveSetsOf(before), counters: { allowed: { packets: 3, bytes: 180 } } };
      const steps = renderPolicyChange(before, wide, live);
      const listing = inKernel([...renderRulesetInParts(before.policy, UP), ...steps]);
      expectListed(listing, wide);
      expect(addressesBySet(readLiveSets(listing).learned)).toEqual(addressesBySet(live.learned));
      expect(readLiveSets(listing).counters.allowed).toEqual({ packets: 3, bytes: 180 });
    });
  });
});

function at(policy: EgressPolicy, mode: ShieldMode = UP): PolicyInMode {
  return { policy, mode };
}

/** The 198.18.0.0/15 address of that number. */
function dottedQuad(index: number): string {
  return `198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** What a listing says of an address, on any port and on port 443. */
function verdicts(listing: string): (address: string) => string {
  const sets = new Map<string, IpRange[]>();
  for (const object of listedObjects(listing)) {
    const { set } = object as { set?: { name: string; elem?: unknown[] } };
    const pieces = set?.elem?.map(parseListedPiece) ?? [];
    if (set !== undefined)
      sets.set(
        set.name,
        pieces.flatMap((piece) => (piece ? [piece.range] : [])),
      );
  }
  const holds = (names: readonly string[]) => {
    const ranges = names.flatMap((name) => sets.get(name) ?? []);
    const addresses = new Set(ranges.filter(isSingleAddress).map(({ first }) => first));
    const blocks = ranges.filter((range) => !isSingleAddress(range));
    return ({ first }: IpRange) =>
      addresses.has(first) || blocks.some((block) => block.first <= first && first <= block.last);
  };
  const [denies, deniesPort, allows] = [
    ["deny_v4", "deny_singles_v4"],
    ["deny_ports_v4"],
    ["allow_v4", "allow_singles_v4"],
  ].map(holds);
  return (text) => {
    const address = parseIpRange(text);
    if (denies?.(address)) return "denied";
    return allows?.(address) ? (deniesPort?.(address) ? "allowed but for a port" : "allowed") : "blocked";
  };
}

/** The first policy with what the second says of some things. */
function mixed(policy: EgressPolicy, other: EgressPolicy): EgressPolicy {
  const { timed: _, ...rest } = policy;
  const swapsTimed = other.revision % 2 === 0;
  const timed = swapsTimed ? other.timed : policy.timed;
  const fitting = policy.learned.kind === other.learned.kind ? other.learned : policy.learned;
  return {
    ...rest,
    allow: [...policy.allow.slice(1), ...other.allow.slice(0, 2)],
    ...(timed === undefined ? {} : { timed }),
    learned:
      fitting.kind === "by-resolver" && policy.learned.kind === "by-resolver"
        ? { ...fitting, timeoutSeconds: policy.learned.timeoutSeconds }
        : fitting,
  };
}

/** Two addresses in each of the sets that a resolver fills. */
function liveSetsOf({ policy, mode }: PolicyInMode): LiveSets {
  const names = planRuleset(policy, mode).sets.filter(({ kind }) => kind === "learned");
  return {
    revision: policy.revision,
    counters: {},
    learned: new Map(
      names.map(({ name }, index) => [
        name,
        [1, 2].map((host) => ({
          ...parseIpRange(name.endsWith("4") ? `198.51.${index}.${host}` : `2001:db8:${index}::${host}`),
          expiresSeconds: 30 + host,
        })),
      ]),
    ),
  };
}

function learn({ learned }: LiveSets): string {
  const lines = [...learned].map(([set, addresses]) => {
    const elements = addresses.map((range) => `${renderIpRange(range)} timeout 1800s expires 40s`);
    return `add element inet terok_shield ${set} { ${elements.join(", ")} }`;
  });
  return `# what was learned\n${lines.join("\n")}`;
}

/** The first address of every set, or of none. */
function firstAddresses({ learned }: LiveSets, forgotten: number): Map<string, IpRange[]> {
  if (forgotten === 0) return new Map();
  return new Map([...learned].map(([set, [address]]) => [set, address === undefined ? [] : [address]]));
}

/** Each set of `after`, with the addresses of the set that they come from. */
function learnedAfter(
  before: PolicyInMode,
  after: PolicyInMode,
  forgotten: number,
): Record<string, string[]> {
  const live = liveSetsOf(before);
  const forget = addressesBySet(firstAddresses(live, forgotten));
  const [was, is] = [addressesBySet(live.learned), addressesBySet(liveSetsOf(after).learned)];
  const entries = Object.keys(is).map((set) => {
    const kept = set.replace("dns", "kept");
    const isPutAside = set.startsWith("kept") && was[set] === undefined;
    const comesBack = set.startsWith("dns") && was[kept] !== undefined && is[kept] === undefined;
    const source = isPutAside ? set.replace("kept", "dns") : comesBack ? kept : set;
    return [set, (was[source] ?? []).filter((address) => !forget[source]?.includes(address))];
  });
  return Object.fromEntries(entries);
}

function addressesBySet(sets: ReadonlyMap<string, readonly IpRange[]>): Record<string, string[]> {
  return Object.fromEntries([...sets].map(([set, ranges]) => [set, ranges.map(renderIpRange).sort()]));
}

function expectListed(listing: string, { policy, mode }: PolicyInMode): void {
  expect(differingObjects(expectedListing(policy, mode), readListing(listing))).toEqual([]);
  const state = readShieldState(listing, policy);
  expect(state.kind === "error" ? state.reason : state.kind).toBe(mode.kind);
}
