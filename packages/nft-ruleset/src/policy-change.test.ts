import { describe, expect, test } from "vitest";
import {
  BLOCK,
  BY_RESOLVER,
  DOWN,
  DOWN_FOR,
  NOTHING_ALLOWED,
  to,
  UP,
  WITH_LEASES,
  WITH_PORTS,
  WITH_RESOLVER,
} from "../testing/sample-policies.ts";
import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import type { LiveSets } from "./live-sets.ts";
import { needsLiveSets, renderPolicyChange } from "./policy-change.ts";
import { EVERY_PORT } from "./port-area.ts";

const LIVE: LiveSets = {
  revision: 1,
  learned: new Map([["dns_v4", [{ ...parseIpRange("198.51.100.1"), expiresSeconds: 60 }]]]),
  counters: {},
};

describe("renderPolicyChange", () => {
  test("renders golden/change-from-up-to-down.nft: only what differs", async () => {
    const changes = renderPolicyChange(at(WITH_RESOLVER), at(next(WITH_RESOLVER), DOWN), LIVE);
    expect(changes).toHaveLength(1);
    await expect(changes[0]).toMatchFileSnapshot("../golden/change-from-up-to-down.nft");
  });

  test("renders golden/change-of-leases.nft: timed sets that differ are filled anew", async () => {
    const { timed = { allow: [], deny: [], lift: [] } } = WITH_LEASES;
    const after = next(WITH_LEASES, { timed: { ...timed, allow: timed.allow.slice(1), lift: [] } });
    const [change] = renderPolicyChange(at(WITH_LEASES), at(after), undefined);
    await expect(change).toMatchFileSnapshot("../golden/change-of-leases.nft");
  });

  test.each<[string, EgressPolicy, Partial<EgressPolicy>, string[]]>([
    ["nothing", WITH_PORTS, {}, []],
    [
      "the same addresses in other words",
      { ...NOTHING_ALLOWED, deny: ["192.0.2.0/25", "192.0.2.128/25"].map(to) },
      { deny: ["192.0.2.7", "192.0.2.0/24"].map(to) },
      [],
    ],
    [
      "an address inside a range that stays",
      { ...NOTHING_ALLOWED, allow: [to("10.0.0.0/8")] },
      { allow: ["10.0.0.0/8", "10.1.2.3"].map(to) },
      [],
    ],
    [
      "one line for each set and family",
      { ...NOTHING_ALLOWED, deny: ["192.0.2.1", "198.51.100.1"].map(to) },
      { deny: ["192.0.2.1", "203.0.113.1", "2001:db8::1"].map(to) },
      [
        "delete element inet terok_shield deny_v4 { 198.51.100.1 }",
        "add element inet terok_shield deny_v4 { 203.0.113.1 }",
        "add element inet terok_shield deny_v6 { 2001:db8::1 }",
      ],
    ],
    [
      "a neighbour makes a new range: the old one goes first",
      { ...NOTHING_ALLOWED, deny: [to("192.0.2.0/25")] },
      { deny: ["192.0.2.0/25", "192.0.2.128/25"].map(to) },
      [
        "delete element inet terok_shield deny_v4 { 192.0.2.0/25 }",
        "add element inet terok_shield deny_v4 { 192.0.2.0/24 }",
      ],
    ],
    [
      "taking one port out of a range leaves two",
      { ...NOTHING_ALLOWED, allow: [to("192.0.2.1 80-90/tcp")] },
      { allow: ["192.0.2.1 80-84/tcp", "192.0.2.1 86-90/tcp"].map(to) },
      [
        "delete element inet terok_shield allow_ports_v4 { 192.0.2.1 . tcp . 80-90 }",
        "add element inet terok_shield allow_ports_v4 { 192.0.2.1 . tcp . 80-84, 192.0.2.1 . tcp . 86-90 }",
      ],
    ],
    [
      "metadata addresses are not opened by what covers them",
      NOTHING_ALLOWED,
      { allow: [to("169.254.169.254/31")], deny: [to("169.254.0.0/16")] },
      [
        "add element inet terok_shield deny_v4 { 169.254.0.0/16 }",
        "add element inet terok_shield allow_v4 { 169.254.169.255 }",
      ],
    ],
  ])("%s", (_, before, change, edits) => {
    expect(renderPolicyChange(at(before), at(next(before, change)), undefined)).toEqual([
      [
        "delete chain inet terok_shield revision_1",
        "table inet terok_shield {",
        "\tchain revision_2 {",
        "\t}",
        "}",
        ...edits,
        "",
      ].join("\n"),
    ]);
  });

  test("a change of one address among 10 000 says no more than that", () => {
    const allow = scattered(10_000);
    const before = { ...WITH_RESOLVER, allow };
    const [text = ""] = renderPolicyChange(
      at(before),
      at(next(before, { allow: [...allow, to("192.0.2.1")] })),
      undefined,
    );
    expect(text.split("\n").filter((line) => line.includes("element"))).toEqual([
      "add element inet terok_shield allow_v4 { 192.0.2.1 }",
    ]);
  });

  test("a change without a revision of its own is none", () => {
    expect(() => renderPolicyChange(at(WITH_RESOLVER), at(WITH_RESOLVER, DOWN), LIVE)).toThrow(
      "a change needs a revision of its own: 1",
    );
  });

  test("a change that needs what the kernel holds is not rendered without", () => {
    expect(() => renderPolicyChange(at(WITH_RESOLVER), at(next(WITH_RESOLVER), DOWN), undefined)).toThrow(
      "this change needs what the kernel holds",
    );
  });
});

describe("needsLiveSets", () => {
  const more = { allow: [to("192.0.2.1"), to("192.0.2.2 443")] };
  const by = { ...BY_RESOLVER, scopes: [{ id: 1, area: EVERY_PORT, remainingSeconds: 9 }] };

  test.each<[string, boolean, Partial<EgressPolicy>, ShieldMode, ShieldMode]>([
    ["another destination", false, more, UP, UP],
    ["another destination in bypass", false, more, DOWN, DOWN],
    ["another scope of names", false, { learned: by }, UP, UP],
    ["a blackout, and back", false, {}, UP, BLOCK],
    ["bypass that gets an end", false, {}, DOWN, DOWN_FOR],
    ["bypass that begins", true, {}, UP, DOWN],
    ["bypass that ends", true, {}, DOWN_FOR, BLOCK],
    ["another timeout", true, { learned: { ...BY_RESOLVER, timeoutSeconds: 9 } }, UP, UP],
    ["static names instead of a resolver", true, { learned: { kind: "fixed", destinations: [] } }, UP, UP],
    ["more than one transaction holds", true, { allow: scattered(2001) }, UP, UP],
  ])("%s: %j", (_, isNeeded, change, from, mode) => {
    const [before, after] = [at(WITH_RESOLVER, from), at(next(WITH_RESOLVER, change), mode)];
    expect(needsLiveSets(before, after)).toBe(isNeeded);
    if (!isNeeded) expect(renderPolicyChange(before, after, undefined)).toHaveLength(1);
  });
});

function at(policy: EgressPolicy, mode: ShieldMode = UP) {
  return { policy, mode };
}

function next(policy: EgressPolicy, change: Partial<EgressPolicy> = {}): EgressPolicy {
  return { ...policy, ...change, revision: policy.revision + 1 };
}

function scattered(count: number) {
  return Array.from({ length: count }, (_, index) => to(`2001:db8:${index.toString(16)}::1`));
}
