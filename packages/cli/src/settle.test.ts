import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decisionOf, MOMENT, makeState, RUN, type TestState } from "../testing/test-state.ts";
import type { ContainerState } from "./container-state.ts";
import { withoutOver } from "./expiry.ts";
import { narrowsNames, settle } from "./settle.ts";

interface Case extends Omit<TestState, "decisions"> {
  readonly decided?: readonly string[];
}

const stateOf = ({ decided = [], ...rest }: Case): ContainerState =>
  makeState({ ...rest, decisions: decided.map((text) => decisionOf(text)) });

const generationsOf = ({ queryGeneration, flowGeneration }: ContainerState) => [
  queryGeneration,
  flowGeneration,
];

test("each change has the next revision, the first is 1", () => {
  const first = stateOf({});
  expect(first.revision).toBe(1);
  expect(settle(first, { ...first, revision: 77 }).revision).toBe(2);
});

describe("generations", () => {
  const bypass = { kind: "down", privateRanges: "closed", run: RUN } as const;
  test.each<{ name: string; before: Case; after: Case; generations: [number, number] }>([
    {
      name: "stay when nothing about names changes",
      before: { profile: ["a.test"] },
      after: { profile: ["a.test", "b.test"], decided: ["deny 198.18.0.0/16"] },
      generations: [0, 0],
    },
    {
      name: "both change when a name is denied",
      before: { profile: ["a.test"] },
      after: { profile: ["a.test"], decided: ["deny a.test"] },
      generations: [1, 1],
    },
    {
      name: "stay when bypass begins",
      before: {},
      after: { mode: bypass },
      generations: [0, 0],
    },
    {
      name: "of queries alone changes when bypass ends",
      before: { mode: bypass },
      after: {},
      generations: [1, 0],
    },
    {
      name: "of queries alone changes when bypass gives way to block",
      before: { mode: bypass },
      after: { mode: { kind: "block" } },
      generations: [1, 0],
    },
  ])("$name", ({ before, after, generations }) =>
    expect(generationsOf(settle(stateOf(before), stateOf(after)))).toEqual(generations),
  );

  test("come round after 16 bits", () => {
    const before = { ...stateOf({ profile: ["a.test"] }), queryGeneration: 0xffff, flowGeneration: 0xffff };
    expect(generationsOf(settle(before, stateOf({})))).toEqual([0, 0]);
  });
});

describe("names narrow when one of them loses a port, or has it for a time only", () => {
  test.each<{ before: Case; after: Case; narrows: boolean }>([
    { before: { profile: ["a.test"] }, after: {}, narrows: true },
    { before: { profile: ["a.test"] }, after: { profile: ["a.test:443"] }, narrows: true },
    { before: { profile: ["a.test:443"] }, after: { profile: ["a.test"] }, narrows: false },
    { before: { profile: ["a.test:443"] }, after: { profile: ["a.test:443/tcp"] }, narrows: true },
    { before: { profile: ["*.w.test"] }, after: { profile: ["a.w.test"] }, narrows: true },
    { before: { profile: ["a.w.test"] }, after: { profile: ["*.w.test"] }, narrows: false },
    {
      before: { profile: ["*.w.test"] },
      after: { profile: ["*.w.test"], decided: ["deny b.w.test"] },
      narrows: true,
    },
    {
      before: { profile: ["*.w.test"] },
      after: { profile: ["*.w.test"], decided: ["deny *.x.w.test"] },
      narrows: true,
    },
    {
      before: { profile: ["*.w.test"] },
      after: { profile: ["*.w.test"], decided: ["deny *.v.test", "deny w.test"] },
      narrows: false,
    },
    { before: {}, after: { decided: ["deny a.test"] }, narrows: false },
    {
      before: { profile: ["a.test"] },
      after: { profile: ["a.test"], decided: ["deny a.test --for 1m"] },
      narrows: true,
    },
    {
      before: { profile: ["a.test"], decided: ["deny a.test --for 1m"] },
      after: { profile: ["a.test"] },
      narrows: false,
    },
    { before: { decided: ["allow a.test --for 1m"] }, after: {}, narrows: true },
    { before: { decided: ["allow a.test --for 1m"] }, after: { decided: ["allow a.test"] }, narrows: false },
    { before: { decided: ["allow a.test"] }, after: { decided: ["allow a.test --for 1m"] }, narrows: true },
    {
      before: { profile: ["a.test:443"] },
      after: { profile: ["a.test:443"], decided: ["allow a.test --for 1m"] },
      narrows: false,
    },
    {
      before: { decided: ["deny a.test", "allow a.test --for 1m"] },
      after: { decided: ["deny a.test"] },
      narrows: true,
    },
    // A name that dnsmasq cannot tell apart from those below it any more is closed.
    { before: { profile: ["a.test:443"] }, after: { profile: ["a.test:443", "*.a.test"] }, narrows: true },
    // Static tiers have no names in the kernel.
    { before: { tier: "dig", profile: ["a.test"] }, after: { tier: "dig" }, narrows: false },
  ])("$before -> $after", ({ before, after, narrows }) =>
    expect(narrowsNames(stateOf(before), stateOf(after))).toBe(narrows),
  );

  test("also when a lease has ended that was on disk: dnsmasq did not hear of it", () => {
    const before = stateOf({ decided: ["allow a.test --for 1m"] });
    const after = withoutOver(before, { ...MOMENT, monotonicSeconds: MOMENT.monotonicSeconds + 60 });
    expect(generationsOf(settle(before, after))).toEqual([1, 1]);
  });

  test("a policy never narrows into itself, nor when something more is allowed on all ports", () => {
    const rule = fc
      .tuple(
        fc.constantFrom("", "*."),
        fc.constantFrom("a.test", "b.a.test", "c.b.a.test"),
        fc.constantFrom("", ":1", ":1-9/tcp"),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), fc.array(rule, { maxLength: 3 }), (profile, denied) => {
        const decided = [...new Set(denied)].map((target) => `deny ${target}`);
        const state = stateOf({ profile, decided });
        expect(narrowsNames(state, state)).toBe(false);
        expect(narrowsNames(state, stateOf({ profile: [...profile, "z.test"], decided }))).toBe(false);
        expect(narrowsNames(stateOf({ profile: [...profile, "z.test"], decided }), state)).toBe(true);
      }),
    );
  });
});

describe("scopes", () => {
  const idsOf = ({ scopes }: ContainerState) => [...scopes.byKey.values()];

  test("keep their numbers as long as a name is in them", () => {
    const first = stateOf({ profile: ["a.test:443", "b.test:80"] });
    const second = settle(first, {
      ...stateOf({ profile: ["b.test:80", "c.test:25"] }),
      scopes: first.scopes,
    });
    expect([idsOf(first), idsOf(second)]).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(second.scopes.nextId).toBe(4);
  });

  test("are none in a static tier", () => {
    expect(idsOf(stateOf({ tier: "dig", profile: ["a.test:443"] }))).toEqual([]);
  });
});
