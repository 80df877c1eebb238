import { areaOf, EVERY_PORT } from "@terok-shield/nft-ruleset";
import { describe, expect, test } from "vitest";
import { MOMENT } from "../testing/test-state.ts";
import { HIGHEST_SCOPE } from "./container-state.ts";
import { startLease } from "./lease.ts";
import { type OpenPart, renderPart } from "./name-rules.ts";
import { numberScopes, scopeOfPart } from "./scope-numbers.ts";

const EVERYTHING: OpenPart = { area: EVERY_PORT };
const tcp = (port: number): OpenPart => ({ area: areaOf({ first: port, last: port, protocol: "tcp" }) });
const openFor = (seconds: number): OpenPart => ({ area: EVERY_PORT, lease: startLease(seconds, MOMENT) });
const names = (...parts: OpenPart[]) => ({
  exact: parts.map((part, index) => ({ name: `n${index}.test`, parts: [part] })),
  wildcards: [],
});
const NONE = { nextId: 1, byKey: new Map<string, number>() };

test("every port for good is scope 0, whatever is recorded", () => {
  expect(numberScopes(NONE, names(EVERYTHING))).toEqual(NONE);
  expect(scopeOfPart(new Map(), EVERYTHING)).toBe(0);
});

test("each other area, and each end, has a number of its own", () => {
  const parts = [tcp(443), tcp(80), openFor(60), openFor(61), tcp(443)];
  const { nextId, byKey } = numberScopes(NONE, names(...parts));
  expect(parts.map((part) => scopeOfPart(byKey, part))).toEqual([1, 2, 3, 4, 1]);
  expect(nextId).toBe(5);
});

describe("a number that was given", () => {
  const first = numberScopes(NONE, names(tcp(443), tcp(80)));

  test("stays", () => {
    expect(numberScopes(first, names(tcp(80), tcp(443)))).toEqual(first);
  });

  test("goes with what had it, and comes back to nothing else", () => {
    const second = numberScopes(first, names(tcp(80)));
    expect([...second.byKey.values()]).toEqual([2]);
    const third = numberScopes(second, names(tcp(80), tcp(443)));
    expect(third.byKey.get(renderPart(tcp(443)))).toBe(3);
  });

  test("is not the next one's, either, whose turn it is", () => {
    const last = { nextId: 1, byKey: new Map([[renderPart(tcp(80)), 1]]) };
    expect([...numberScopes(last, names(tcp(443))).byKey.values()]).toEqual([2]);
  });

  test("is used again when all have been", () => {
    const last = { nextId: HIGHEST_SCOPE, byKey: new Map([[renderPart(tcp(80)), 1]]) };
    const { nextId, byKey } = numberScopes(last, names(tcp(80), tcp(443), tcp(25)));
    expect([tcp(80), tcp(443), tcp(25)].map((part) => scopeOfPart(byKey, part))).toEqual([
      1,
      HIGHEST_SCOPE,
      2,
    ]);
    expect(nextId).toBe(3);
  });
});

test("a part that got no number is a mistake of ours", () => {
  expect(() => scopeOfPart(new Map(), tcp(443))).toThrow("tcp:443 has no scope");
});
