import { describe, expect, test } from "vitest";
import { BLOCK, DOWN, GOLDENS, NOTHING_ALLOWED, UP, WITH_RESOLVER } from "../testing/sample-policies.ts";
import { type IpRange, parseIpRange } from "./ip-range.ts";
import { renderModeChange, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";

describe("renderRuleset", () => {
  test.each(GOLDENS)("renders $golden", async ({ golden, policy, mode }) => {
    await expect(renderRuleset(policy, mode)).toMatchFileSnapshot(`../golden/${golden}.nft`);
  });

  test("the same policy gives the same text, in whatever order its ranges and ports come", () => {
    const shuffled = {
      ...WITH_RESOLVER,
      allow: WITH_RESOLVER.allow.toReversed(),
      deny: WITH_RESOLVER.deny.toReversed(),
      published: [443, 80, 80].map((port) => ({ protocol: "tcp" as const, port })),
    };
    const sorted = {
      ...WITH_RESOLVER,
      published: [80, 443].map((port) => ({ protocol: "tcp" as const, port })),
    };
    expect(renderRuleset(shuffled, UP)).toBe(renderRuleset(sorted, UP));
  });

  test("a learned address that is private stays closed, since private ranges are looked at first", () => {
    const ranges = [parseIpRange("10.0.0.1")];
    const text = renderRuleset({ ...NOTHING_ALLOWED, learned: { kind: "fixed", ranges } }, UP);
    const places = ["ip daddr @private_v4", "ip daddr @dns_v4"].map((rule) => text.indexOf(rule));
    expect(places[0]).toBeGreaterThan(0);
    expect(places[1]).toBeGreaterThan(places[0] as number);
  });
});

describe("renderRulesetInParts", () => {
  test("gives one part, the ruleset, when that is of usual size", () => {
    expect(renderRulesetInParts(WITH_RESOLVER, DOWN)).toEqual([renderRuleset(WITH_RESOLVER, DOWN)]);
    expect(renderRulesetInParts({ ...NOTHING_ALLOWED, allow: scattered(1900) }, UP)).toHaveLength(1);
  });

  test("starts in a blackout with empty sets, and ends with the rules of the mode", () => {
    const policy = { ...NOTHING_ALLOWED, allow: scattered(5000), deny: [parseIpRange("192.0.2.1")] };
    const [first = "", ...rest] = renderRulesetInParts(policy, DOWN);
    expect(first).toBe(renderRuleset(NOTHING_ALLOWED, BLOCK).replace(/\t\telements = \{[^}]*\}\n/g, ""));
    expect(rest.pop()).toBe(renderModeChange(policy, DOWN));
    expect(rest.map((text) => text.replace(/ \{.*/s, "").replace(/.* /, ""))).toEqual([
      "private_v4",
      "deny_v4",
      "private_v6",
      "allow_v6",
      "allow_v6",
      "allow_v6",
    ]);
  });

  test("gives each range in one part, once", () => {
    const policy = { ...NOTHING_ALLOWED, learned: { kind: "fixed" as const, ranges: scattered(5000) } };
    const parts = renderRulesetInParts(policy, UP).filter((text) => text.includes("dns_v6 {"));
    const filled = parts.slice(1).flatMap((text) => text.slice(text.indexOf("{") + 2, -3).split(", "));
    expect(filled).toHaveLength(5000);
    expect(new Set(filled).size).toBe(5000);
  });
});

describe("renderModeChange", () => {
  test("renders golden/change-from-up-to-down.nft: hooked chains only, so sets and counters stay", async () => {
    await expect(renderModeChange(WITH_RESOLVER, DOWN)).toMatchFileSnapshot(
      "../golden/change-from-up-to-down.nft",
    );
  });
});

function scattered(count: number): IpRange[] {
  return Array.from({ length: count }, (_, index) => parseIpRange(`2001:db8:${index.toString(16)}::1`));
}
