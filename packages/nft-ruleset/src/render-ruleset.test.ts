import { describe, expect, test } from "vitest";
import {
  BLOCK,
  BY_RESOLVER,
  DOWN,
  GOLDENS,
  NOTHING_ALLOWED,
  to,
  UP,
  WITH_LEASES,
  WITH_PORTS,
  WITH_RESOLVER,
} from "../testing/sample-policies.ts";
import type { Destination } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import { renderRepair, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";

describe("renderRuleset", () => {
  test.each(GOLDENS)("renders $golden", async ({ golden, policy, mode }) => {
    await expect(renderRuleset(policy, mode)).toMatchFileSnapshot(`../golden/${golden}.nft`);
  });

  test("the same policy gives the same text, in whatever order its destinations and ports come", () => {
    for (const policy of [WITH_RESOLVER, WITH_PORTS, WITH_LEASES]) {
      const { allow, deny, timed = { allow: [], deny: [], lift: [] } } = policy;
      const shuffled = {
        ...policy,
        allow: allow.toReversed(),
        deny: deny.toReversed(),
        timed: { ...timed, allow: timed.allow.toReversed(), deny: timed.deny.toReversed() },
        published: [443, 80, 80].map((port) => ({ protocol: "tcp" as const, port })),
      };
      const sorted = { ...policy, published: [80, 443].map((port) => ({ protocol: "tcp" as const, port })) };
      expect(renderRuleset(shuffled, UP)).toBe(renderRuleset(sorted, UP));
    }
  });

  test("a learned address that is private stays closed, since private ranges are looked at first", () => {
    const text = renderRuleset(
      { ...NOTHING_ALLOWED, learned: { kind: "fixed", destinations: [to("10.0.0.1")] } },
      UP,
    );
    const places = ["ip daddr @private_v4", "ip daddr @dns_v4"].map((rule) => text.indexOf(rule));
    expect(places[0]).toBeGreaterThan(0);
    expect(places[1]).toBeGreaterThan(places[0] as number);
  });

  test("what has ended keeps its sets and rules, without elements", () => {
    const ended = { remainingSeconds: 0 };
    const policy = {
      ...WITH_RESOLVER,
      timed: {
        allow: [{ ...to("198.51.100.1"), ...ended }],
        deny: [{ ...to("198.51.100.2 443"), ...ended }],
        lift: [{ ...to("203.0.113.9"), ...ended }],
      },
      learned: { ...BY_RESOLVER, scopes: [{ id: 1, area: { tcp: [], udp: [], other: true }, ...ended }] },
    };
    const text = renderRuleset(policy, { ...DOWN, ...ended } as const);
    for (const name of ["timed_allow_v4", "timed_deny_ports_v6", "lift_v4", "active_1", "bypass_lease"]) {
      expect(text).toMatch(new RegExp(`\\n\\tset ${name} \\{\\n\\t\\ttype .*\\n\\t\\tflags .*\\n\\t\\}\\n`));
      expect(text).toContain(`@${name} `);
    }
  });
});

describe("a policy of many single addresses", () => {
  const singles = (count: number) =>
    Array.from({ length: count }, (_, index) => to(`2001:db8::${index * 2}`));

  test.each([
    { count: 1000, sets: ["allow_v6"] },
    { count: 1001, sets: ["allow_v6", "allow_singles_v6"] },
  ])("with $count has them in $sets", ({ count, sets }) => {
    const policy = { ...NOTHING_ALLOWED, allow: [...singles(count), to("2001:db8:1::/48")] };
    const text = renderRuleset(policy, UP);
    expect([...text.matchAll(/^\tset (allow\w*_v6) /gm)].map(([, name]) => name)).toEqual(sets);
    expect([...text.matchAll(/ip6 daddr @(\w+) goto admit_allowed/g)].map(([, name]) => name)).toEqual(sets);
  });

  test("has them in a set without intervals, and ranges in the other", () => {
    const policy = { ...NOTHING_ALLOWED, deny: [...singles(1001), to("2001:db8:1::/48")] };
    const text = renderRuleset(policy, UP);
    expect(text).toContain(
      "\tset deny_v6 {\n\t\ttype ipv6_addr\n\t\tflags interval\n\t\telements = {\n\t\t\t2001:db8:1::/48\n\t\t}\n\t}\n",
    );
    expect(text).toContain(
      "\tset deny_singles_v6 {\n\t\ttype ipv6_addr\n\t\telements = {\n\t\t\t2001:db8::, ",
    );
    expect(text).toContain("ip6 daddr @deny_singles_v6 goto refuse_denied");
    expect(text).toContain("ip6 saddr @deny_singles_v6 drop");
  });
});

describe("renderRulesetInParts", () => {
  /** Of a table that is not there yet. */
  const created = (ruleset: string) =>
    ruleset.replace(
      "table inet terok_shield\ndelete table inet terok_shield\n",
      "create table inet terok_shield\n",
    );

  test("gives one part, the ruleset, when that is of usual size", () => {
    expect(renderRulesetInParts(WITH_RESOLVER, DOWN)).toEqual([created(renderRuleset(WITH_RESOLVER, DOWN))]);
    expect(renderRulesetInParts({ ...NOTHING_ALLOWED, allow: scattered(1900) }, UP)).toHaveLength(1);
  });

  test("starts in a blackout with empty sets and no revision, and ends with the rules of the mode", () => {
    const policy = { ...NOTHING_ALLOWED, allow: scattered(5000), deny: [to("192.0.2.1")] };
    const [first = "", ...rest] = renderRulesetInParts(policy, UP);
    expect(first).toBe(
      created(renderRuleset(NOTHING_ALLOWED, BLOCK))
        .replace(/\t\telements = \{[^}]*\}\n/g, "")
        .replace("revision_1", "revision_partial"),
    );
    const last = rest.pop() ?? "";
    expect(last).toContain("delete chain inet terok_shield revision_partial\n");
    expect(last).toContain("\tchain revision_1 {\n");
    expect(last).toContain(/\n\tchain output \{\n[\s\S]*?\n\t\}\n/.exec(renderRuleset(policy, UP))?.[0]);
    const filled = rest.map((text) => [
      ...text.matchAll(/add element inet terok_shield (\w+) \{ ([^}]*) \}/g),
    ]);
    expect(filled.flat().map(([, set]) => set)).toEqual([
      "private_v4",
      "deny_v4",
      "private_v6",
      "allow_v6",
      "allow_v6",
      "allow_v6",
    ]);
    for (const edits of filled) {
      expect(edits.flatMap(([, , elements]) => elements?.split(", ")).length).toBeLessThanOrEqual(2000);
    }
  });

  test("gives each address in one part, once", () => {
    const policy = { ...NOTHING_ALLOWED, learned: { kind: "fixed" as const, destinations: scattered(5000) } };
    const text = renderRulesetInParts(policy, UP).join("\n");
    const filled = [...text.matchAll(/add element inet terok_shield dns_v6 \{ ([^}]*) \}/g)];
    const elements = filled.flatMap(([, list]) => list?.split(", "));
    expect(elements).toHaveLength(5000);
    expect(new Set(elements).size).toBe(5000);
  });
});

describe("renderRepair", () => {
  test("brings the rules of bypass when the elements of its sets are there, and before that lets nothing through", () => {
    const [first = "", ...rest] = renderRepair(WITH_RESOLVER, DOWN, { learned: new Map(), counters: {} });
    const last = rest.pop() ?? "";
    expect(first).toContain("flush ruleset\n");
    expect(first).not.toContain("elements = {");
    expect(first).not.toContain("goto admit_bypass");
    expect(rest.join("")).toContain("add element inet terok_shield deny_v4 { 203.0.113.9 }");
    expect(rest.join("")).not.toContain("chain");
    expect(last).toContain("goto admit_bypass");
    expect(last).not.toContain("element");
  });

  test("is the ruleset, with nobody else's rules, and with the counters and learned addresses so far", () => {
    const learned = new Map([
      ["dns_v4", [{ ...parseIpRange("198.51.100.1"), expiresSeconds: 60 }]],
      ["dns_7_v4", [{ ...parseIpRange("198.51.100.2"), expiresSeconds: 60 }]],
    ]);
    const counters = { allowed: { packets: 5, bytes: 300 }, of_somebody: { packets: 1, bytes: 1 } };
    const [text, ...more] = renderRepair(WITH_RESOLVER, UP, { learned, counters });
    expect(more).toEqual([]);
    expect(text).toBe(
      renderRuleset(WITH_RESOLVER, UP)
        .replace("table inet terok_shield\ndelete table inet terok_shield\n", "flush ruleset\n")
        .replace("counter allowed { }", "counter allowed { packets 5 bytes 300 }")
        .replace(
          "set dns_v4 {\n\t\ttype ipv4_addr\n\t\tsize 65536\n\t\tflags dynamic,timeout\n\t\ttimeout 1800s\n",
          "$&\t\telements = {\n\t\t\t198.51.100.1 timeout 1800s expires 60s\n\t\t}\n",
        ),
    );
  });
});

function scattered(count: number): Destination[] {
  return Array.from({ length: count }, (_, index) => to(`2001:db8:${index.toString(16)}::/127`));
}
