import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { modes, policies } from "../testing/arbitrary-policies.ts";
import { applyTransaction, type ModelKernel, modelOf, texts } from "../testing/model-kernel.ts";
import {
  BLOCK,
  BY_RESOLVER,
  DOWN,
  DOWN_ALL,
  DOWN_FOR,
  to,
  UP,
  WITH_RESOLVER,
} from "../testing/sample-policies.ts";
import type { EgressPolicy, PolicyInMode, ShieldMode } from "./egress-policy.ts";
import { plannedElements } from "./elements.ts";
import { parseIpRange } from "./ip-range.ts";
import type { LiveSets } from "./live-sets.ts";
import { MANY_SINGLES } from "./plan-sets.ts";
import { renderPolicyChange } from "./policy-change.ts";
import { areaOf } from "./port-area.ts";
import { planRuleset } from "./ruleset.ts";
import { MOST_EDITS } from "./transaction-room.ts";

const NOTHING_LEARNED: LiveSets = { learned: new Map(), counters: {} };

test("whatever changes, the sets are then as if the new policy had been loaded", () => {
  fc.assert(
    fc.property(
      policies(),
      modes(),
      policies(),
      modes(),
      fc.boolean(),
      (first, mode, second, nextMode, isSmall) => {
        const before = { policy: first, mode };
        const policy = isSmall ? { ...second, learned: first.learned, deny: first.deny } : second;
        const after = { policy: { ...policy, revision: first.revision + 1 }, mode: nextMode };
        const kernel = modelOf(before, planRuleset(before.policy, before.mode));
        for (const step of renderPolicyChange(before, after, NOTHING_LEARNED)) applyTransaction(kernel, step);
        expectAt(kernel, after);
      },
    ),
    { numRuns: 300 },
  );
});

describe("of more than a transaction holds", () => {
  const addresses = (first: number, end: number, ports = "") =>
    Array.from({ length: end - first }, (_, index) => to(`${dottedQuad(2 * (first + index))}${ports}`));
  const before = at({ ...WITH_RESOLVER, allow: addresses(0, 2500), deny: addresses(500, 1500, " 443") });
  const after = at({
    ...WITH_RESOLVER,
    revision: 2,
    allow: [...addresses(1000, 2500), ...addresses(3000, 4500)],
    deny: [...addresses(500, 1000), ...addresses(3500, 5000)],
  });

  test("no step has more edits than fit, and each address goes in one step from what was to what will be", () => {
    const kernel = modelOf(before, planRuleset(before.policy, UP));
    const [was, will] = [verdicts(kernel), verdicts(modelOf(after, planRuleset(after.policy, UP)))];
    const steps = renderPolicyChange(before, after, NOTHING_LEARNED);
    expect(steps.length).toBeGreaterThan(3);
    for (const [index, step] of steps.entries()) {
      applyTransaction(kernel, step);
      expect(countEdits(step)).toBeLessThanOrEqual(MOST_EDITS);
      const now = verdicts(kernel);
      for (let number = 0; number < 10_000; number += 2) {
        const address = dottedQuad(number);
        if (now(address) !== was(address)) expect([address, now(address)]).toEqual([address, will(address)]);
      }
      if (index < steps.length - 1) expect(kernel.revision).toBe("revision_partial");
    }
    expectAt(kernel, after);
  });

  test.each<[string, ShieldMode, ShieldMode, "first" | "last"]>([
    ["into bypass", UP, DOWN, "last"],
    ["out of bypass", DOWN, UP, "first"],
    ["into a blackout", UP, BLOCK, "first"],
    ["out of a blackout", BLOCK, UP, "last"],
    ["from bypass into a blackout", DOWN, BLOCK, "first"],
    ["that opens private ranges", DOWN, DOWN_ALL, "last"],
    ["that closes private ranges", DOWN_ALL, DOWN, "first"],
    ["that gives bypass an end", DOWN, DOWN_FOR, "first"],
    ["that takes the end of bypass away", DOWN_FOR, DOWN, "last"],
    ["in the same mode", UP, UP, "first"],
  ])("%s: the rules are the narrower ones until all is there", (_, mode, nextMode, when) => {
    const from = { ...before, mode };
    const steps = renderPolicyChange(from, { ...after, mode: nextMode }, NOTHING_LEARNED);
    const wanted = modelRules({ ...after, mode: nextMode });
    const kernel = modelOf(from, planRuleset(from.policy, mode));
    const hasNewRules = steps.map((step) => {
      applyTransaction(kernel, step);
      return withoutLookUps(kernel.chains.get("output")) === withoutLookUps(wanted);
    });
    expect(hasNewRules.indexOf(true)).toBe(when === "first" ? 0 : steps.length - 1);
  });

  test("what cannot be taken apart is loaded anew", () => {
    const wide = at({ ...WITH_RESOLVER, revision: 2, allow: [to("198.18.0.0/15")] });
    const kernel = modelOf(before, planRuleset(before.policy, UP));
    const steps = renderPolicyChange(before, wide, NOTHING_LEARNED);
    expect(steps[0]).toMatch(/^delete chain inet terok_shield revision_1\ndelete table inet terok_shield\n/);
    for (const step of steps) applyTransaction(kernel, step);
    expectAt(kernel, wide);
  });
});

test("fewer single addresses than have a set of their own make everything new", () => {
  const before = at({ ...WITH_RESOLVER, allow: singles(MANY_SINGLES + 1) });
  const after = at({ ...WITH_RESOLVER, revision: 2, allow: singles(MANY_SINGLES) });
  expect(renderPolicyChange(before, after, NOTHING_LEARNED)[0]).toContain("delete table inet terok_shield\n");
  const more = at({ ...WITH_RESOLVER, revision: 2, allow: singles(MANY_SINGLES + 2) });
  expect(renderPolicyChange(before, more, undefined)).toEqual([expect.not.stringContaining("delete table")]);
});

describe("addresses that are forgotten", () => {
  const before = at({
    ...WITH_RESOLVER,
    learned: { ...BY_RESOLVER, scopes: [{ id: 1, area: areaOf({ first: 80, last: 80 }) }] },
  });
  const after = at({
    ...before.policy,
    revision: 2,
    learned: { ...before.policy.learned, flowGeneration: 2 } as EgressPolicy["learned"],
  });
  const learned = new Map([
    ["dns_v4", ["203.0.113.1", "203.0.113.2"]],
    ["dns_1_v6", ["2001:db8::1"]],
  ]);
  const live = liveOf(learned);
  const forget = new Map([
    ["dns_v4", [parseIpRange("203.0.113.1"), parseIpRange("198.51.100.9")]],
    ["dns_1_v6", [parseIpRange("2001:db8::1")]],
  ]);

  test("go when no rule in force renews them any more, and before rules of a new generation", () => {
    const kernel = modelOf(before, planRuleset(before.policy, UP), learned);
    const [stop = "", change = "", ...more] = renderPolicyChange(before, after, live, { forget });
    expect(more).toEqual([]);
    applyTransaction(kernel, stop);
    expect(kernel.revision).toBe("revision_partial");
    expect(kernel.chains.get("output")).toContain("ip daddr @dns_v4 goto admit_learned");
    expect(kernel.chains.get("output")).not.toContain("update @");
    expect(stop).not.toContain("0x7e520002");
    expect(kernel.sets.get("dns_v4")).toEqual(new Set(["203.0.113.1", "203.0.113.2"]));
    applyTransaction(kernel, change);
    expect(kernel.chains.get("output")).toContain(
      "ip daddr @dns_v4 update @dns_v4 { ip daddr } goto admit_learned",
    );
    expect(change).toContain("0x7e520002");
    expect([kernel.sets.get("dns_v4"), kernel.sets.get("dns_1_v6")]).toEqual([
      new Set(["203.0.113.2"]),
      new Set(),
    ]);
    expect(kernel.revision).toBe("revision_2");
  });

  test("in bypass go from the sets of before it", () => {
    const [from, next] = [
      { ...before, mode: DOWN },
      { ...after, mode: DOWN },
    ];
    const kept = new Map([["kept_v4", ["203.0.113.1", "203.0.113.2"]]]);
    const kernel = modelOf(from, planRuleset(from.policy, DOWN), kept);
    for (const step of renderPolicyChange(from, next, liveOf(kept), {
      forget: new Map([["kept_v4", [parseIpRange("203.0.113.1")]]]),
    })) {
      applyTransaction(kernel, step);
    }
    expect(kernel.sets.get("kept_v4")).toEqual(new Set(["203.0.113.2"]));
  });

  test.each([
    { what: "is put aside", from: UP, mode: DOWN, source: "dns_v4", set: "kept_v4" },
    { what: "comes back", from: DOWN, mode: UP, source: "kept_v4", set: "dns_v4" },
  ])("are not in what $what when bypass begins or ends", ({ from, mode, source, set }) => {
    const was = new Map([[source, ["203.0.113.1", "203.0.113.2"]]]);
    const kernel = modelOf({ ...before, mode: from }, planRuleset(before.policy, from), was);
    const steps = renderPolicyChange({ ...before, mode: from }, { ...after, mode }, liveOf(was), {
      forget: new Map([[source, [parseIpRange("203.0.113.1")]]]),
    });
    for (const step of steps) applyTransaction(kernel, step);
    expect(kernel.sets.get(set)).toEqual(new Set(["203.0.113.2"]));
  });

  test("of a set that is gone need no step of their own", () => {
    const without = at({ ...after.policy, learned: { ...BY_RESOLVER, flowGeneration: 2 } });
    const steps = renderPolicyChange(before, without, live, {
      forget: new Map([["dns_1_v6", [parseIpRange("2001:db8::1")]]]),
    });
    expect(steps).toHaveLength(1);
  });

  test("and are more than a transaction holds, go in several, each whole, before any new rule", () => {
    const many = Array.from({ length: 1500 }, (_, index) => dottedQuad(index));
    const was = new Map([["dns_v4", many]]);
    const kernel = modelOf(before, planRuleset(before.policy, UP), was);
    const steps = renderPolicyChange(before, after, liveOf(was), {
      forget: new Map([["dns_v4", many.map(parseIpRange)]]),
    });
    expect(steps.length).toBeGreaterThan(3);
    const left = steps.map((step) => {
      applyTransaction(kernel, step);
      expect(countEdits(step)).toBeLessThanOrEqual(MOST_EDITS);
      return kernel.sets.get("dns_v4")?.size;
    });
    expect(left[0]).toBe(1500);
    expect(left.at(-2)).toBe(0);
    expect(steps.map((step) => step.includes("0x7e520002"))).toEqual(
      steps.map((_, index) => index === steps.length - 1),
    );
    expectAt(kernel, after);
  });
});

function at(policy: EgressPolicy, mode: ShieldMode = UP): PolicyInMode {
  return { policy, mode };
}

function dottedQuad(index: number): string {
  return `198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

function singles(count: number) {
  return Array.from({ length: count }, (_, index) => to(dottedQuad(2 * index)));
}

function liveOf(learned: ReadonlyMap<string, readonly string[]>): LiveSets {
  const entries = [...learned].map(
    ([set, list]) => [set, list.map((text) => ({ ...parseIpRange(text), expiresSeconds: 60 }))] as const,
  );
  return { learned: new Map(entries), counters: {} };
}

/** What the resolver fills is left out. */
function expectAt({ sets, revision }: ModelKernel, { policy, mode }: PolicyInMode): void {
  const planned = planRuleset(policy, mode).sets;
  expect([...sets.keys()].sort()).toEqual(planned.map(({ name }) => name).sort());
  for (const set of planned) {
    if (set.kind === "learned") continue;
    expect([set.name, [...(sets.get(set.name) ?? [])].sort()]).toEqual([
      set.name,
      texts(plannedElements(set)).sort(),
    ]);
  }
  expect(revision).toBe(`revision_${policy.revision}`);
}

function countEdits(step: string): number {
  return [...step.matchAll(/^(?:add|delete) element .*? \{ (.*) \}$/gm)].reduce(
    (sum, [, list = ""]) => sum + list.split(", ").length,
    0,
  );
}

/** Of single addresses: denied, allowed but for port 443, allowed, or neither. */
function verdicts({ sets }: ModelKernel): (address: string) => string {
  const holding = (...names: string[]) => new Set(names.flatMap((name) => [...(sets.get(name) ?? [])]));
  const denied = holding("deny_v4", "deny_singles_v4");
  const [deniedPorts, allowed] = [holding("deny_ports_v4"), holding("allow_v4", "allow_singles_v4")];
  return (address) => {
    if (denied.has(address)) return "denied";
    if (!allowed.has(address)) return "blocked";
    return deniedPorts.has(`${address} . tcp . 443`) ? "allowed but for a port" : "allowed";
  };
}

function modelRules({ policy, mode }: PolicyInMode): string {
  const { chains } = planRuleset(policy, mode);
  const output = chains.find(({ name }) => name === "output");
  return (output?.rules ?? []).map((rule) => `${rule.map(({ text }) => text).join(" ")}\n`).join("");
}

/** In between, the rules look at the sets of both policies. */
function withoutLookUps(rules: string | undefined): string | undefined {
  return rules
    ?.split("\n")
    .filter((line) => !/@(?:deny|allow)_/.test(line) && !line.startsWith("type filter"))
    .join("\n");
}
