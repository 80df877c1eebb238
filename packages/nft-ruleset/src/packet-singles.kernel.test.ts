import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { NOTHING_ALLOWED, to } from "../testing/sample-policies.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { Destination, EgressPolicy } from "./egress-policy.ts";
import { MANY_SINGLES } from "./plan-sets.ts";

const ALLOWED = { 4: "203.0.113.1", 6: "2001:db8::1" };
const DENIED = { 4: "203.0.113.5", 6: "2001:db8::5" };
const OTHER = { 4: "203.0.113.9", 6: "2001:db8::9" };

let lab: ShieldedLab;
beforeAll(async () => {
  lab = await startShieldedLab([ALLOWED, DENIED, OTHER].flatMap((at) => [at[4], at[6]]));
});
afterAll(() => lab.stop());
beforeEach(() => lab.reset());

/** None beside another, and those of `at` with as many as have a set of their own, or with none. */
function among(many: boolean, ...at: readonly { 4: string; 6: string }[]): Destination[] {
  const crowd = Array.from({ length: MANY_SINGLES + 1 }, (_, index) => [
    to(`198.51.${100 + (index >> 7)}.${(index % 128) * 2}`),
    to(`2001:db8:1::${(index * 2).toString(16)}`),
  ]);
  return [...at.flatMap((one) => [to(one[4]), to(one[6])]), ...(many ? crowd.flat() : [])];
}

test.each([
  { before: true, after: true },
  { before: false, after: true },
  { before: true, after: false },
])(
  "many single addresses, $before before and $after after a change, are allowed and denied as few are",
  async ({ before, after }) => {
    const policy = (many: boolean): Pick<EgressPolicy, "allow" | "deny"> => ({
      allow: among(many, ALLOWED, DENIED),
      deny: among(many, DENIED),
    });
    await lab.load({ ...NOTHING_ALLOWED, ...policy(before), deny: [] });
    const kept = [await lab.flow("tcp", ALLOWED[4]), await lab.flow("udp", ALLOWED[6])];
    const cut = await lab.flow("udp", DENIED[4]);
    await lab.change({ policy: policy(after) });
    for (const id of kept) expect(await lab.echo(id)).toEqual({ value: "x" });
    expect(await lab.echo(cut)).toMatchObject({ error: expect.any(String) });
    await lab.counters();
    for (const family of [4, 6] as const) {
      expect(await lab.attempt("tcp", ALLOWED[family])).toMatchObject({ value: "answered" });
      expect(await lab.attempt("tcp", DENIED[family])).toMatchObject({ error: expect.any(String) });
      expect(await lab.attempt("tcp", OTHER[family])).toMatchObject({ error: expect.any(String) });
    }
    expect(await lab.counters()).toEqual({ allowed: 2, refused_denied: 2, refused_blocked: 2 });
  },
);
