import { type Judgement, parseIpRange } from "@terok-shield/nft-ruleset";
import { describe, expect, test } from "vitest";
import { decisionOf, later, MOMENT, makeState, RUN, type TestState } from "../testing/test-state.ts";
import { type Cause, explainName, explainService, hintFor, type Policy, type Service } from "./explain.ts";

const DOWN = { kind: "down", privateRanges: "closed", run: RUN } as const;

function policyOf(state: TestState, rest: Partial<Policy> = {}): Policy {
  return { state: makeState(state), moment: MOMENT, namesOf: () => [], ...rest };
}

function judged(verdict: Judgement["verdict"], chain: string): Judgement {
  const rule = (name: string) => ({ table: "terok_shield", chain: name, found: [] });
  return { verdict, trail: [rule("output"), rule(chain)] };
}

/** `198.18.1.1 443/tcp` */
function serviceOf(text: string): Service {
  const [address = "", port = "443", protocol = "tcp"] = text.split(/[ /]/);
  return {
    address: parseIpRange(address),
    port: Number(port),
    protocol: protocol as Service["protocol"],
    isLocal: false,
  };
}

function passing(chain: string, to: string, policy: Policy): Cause {
  return explainService(judged("accepted", chain), serviceOf(to), policy);
}

function refusing(chain: string, to: string, policy: Policy): Cause {
  return explainService(judged("rejected", chain), serviceOf(to), policy);
}

describe("of what passes", () => {
  const profile = ["good.test", "198.18.0.0/16", "198.18.1.0/24:443", "*.wild.test:80"];

  test("the narrowest entry is named, with its file and line", () => {
    expect(passing("admit_allowed", "198.18.1.1 443/tcp", policyOf({ profile }))).toEqual({
      verdict: "passes",
      by: "entry",
      text: 'allowed: entry "198.18.1.0/24:443" (profile mine, mine.txt:3)',
      entry: "198.18.1.0/24:443",
      source: { file: "mine.txt", line: 3 },
    });
    expect(passing("admit_allowed", "198.18.1.1 80/tcp", policyOf({ profile })).entry).toBe("198.18.0.0/16");
    expect(passing("admit_allowed", "198.18.1.1 0/icmp", policyOf({ profile })).entry).toBe("198.18.0.0/16");
  });

  test("a decision, with the time that is left of it", () => {
    const decisions = [decisionOf("allow 198.18.1.1 --for 30m")];
    expect(passing("admit_temporary", "198.18.1.1", policyOf({ decisions }, { moment: later(60) }))).toEqual({
      verdict: "passes",
      by: "decision",
      text: "allowed: allow 198.18.1.1 by the operator, 29m left",
      entry: "198.18.1.1",
      remainingSeconds: 1740,
    });
  });

  test("the name that led to a learned address, and the entry that opens it at that port", () => {
    const policy = policyOf({ profile }, { namesOf: () => ["evil.test", "a.wild.test", "good.test"] });
    expect(passing("admit_learned_3", "198.18.0.21 80/tcp", policy).text).toBe(
      'allowed: entry "*.wild.test:80" (profile mine, mine.txt:4), as a.wild.test',
    );
    expect(passing("admit_learned", "198.18.0.21 443/tcp", policy).entry).toBe("good.test");
    expect(passing("admit_learned", "198.18.0.21", policyOf({ profile }))).toMatchObject({ by: "name" });
  });

  test("in a static tier, the name that was resolved to it", () => {
    const policy = policyOf({
      tier: "dig",
      profile: ["good.test"],
      resolved: { "good.test": ["198.18.0.10"] },
    });
    expect(passing("admit_allowed", "198.18.0.10", policy).entry).toBe("good.test");
  });

  test("bypass", () => {
    expect(passing("admit_bypass", "198.18.66.66", policyOf({ mode: DOWN }))).toEqual({
      verdict: "passes",
      by: "bypass",
      text: "bypass: no entry names it (down, until terok-shield up)",
    });
  });

  test.each([
    ["admit_allowed", {}, "no entry and no decision names it"],
    ["admit_bypass", {}, "policy is not down"],
    ["elsewhere", { profile }, "no entry lets it pass so"],
    [
      "admit_allowed",
      { profile, decisions: [decisionOf("deny 198.18.1.0/28")] },
      "policy denies it: deny 198.18.1.0/28 by the operator",
    ],
  ])("%s in a policy that does not say so disagrees", (chain, state: TestState, disagreement) => {
    expect(passing(chain, "198.18.1.1", policyOf(state))).toMatchObject({ verdict: "passes", disagreement });
  });

  test("a deny that a temporary allow lifts is no disagreement", () => {
    const decisions = [decisionOf("deny 198.18.1.1"), decisionOf("allow 198.18.1.1 --for 1m")];
    expect(passing("admit_temporary", "198.18.1.1", policyOf({ decisions })).disagreement).toBeUndefined();
  });
});

describe("of what is refused", () => {
  test.each([
    ["refuse_blocked", "198.18.66.66", "nothing", "refused: no entry names it"],
    [
      "refuse_private",
      "10.1.2.3",
      "private",
      "refused: private range 10.0.0.0/8, an entry that names it exactly would open it",
    ],
    [
      "refuse_private",
      "169.254.169.254",
      "private",
      "refused: a cloud metadata address, only an entry of exactly that address would open it",
    ],
  ])("%s of %s", (chain, to, by, text) => {
    expect(refusing(chain, to, policyOf({}))).toEqual({ verdict: "refused", by, text });
  });

  test("a metadata address in a wider entry stays closed, which is as policy says", () => {
    const policy = policyOf({ profile: ["169.254.0.0/16"] });
    expect(refusing("refuse_private", "169.254.169.254", policy).disagreement).toBeUndefined();
    expect(refusing("refuse_private", "169.254.1.1", policy).disagreement).toContain("policy lets it pass");
  });

  test("a deny", () => {
    const decisions = [decisionOf("deny 198.18.0.0/16:443 --for 30m")];
    expect(refusing("refuse_denied", "198.18.1.1 443/tcp", policyOf({ decisions }))).toMatchObject({
      by: "deny",
      text: "refused: deny 198.18.0.0/16:443 by the operator, 30m left",
      remainingSeconds: 1800,
    });
    expect(refusing("refuse_denied", "198.18.1.1 80/tcp", policyOf({ decisions }))).toMatchObject({
      disagreement: "no decision denies it",
    });
  });

  test("what policy would let pass disagrees", () => {
    const profile = ["198.18.1.0/24", "good.test"];
    expect(refusing("refuse_blocked", "198.18.1.1", policyOf({ profile })).disagreement).toContain(
      "mine.txt:1",
    );
    const asked = policyOf({ profile }, { name: "good.test", namesOf: () => ["good.test"] });
    expect(refusing("refuse_blocked", "198.18.0.10", asked).disagreement).toContain("mine.txt:2");
    expect(refusing("refuse_blocked", "198.18.1.1", policyOf({ profile, mode: { kind: "block" } }))).toEqual({
      verdict: "refused",
      by: "block",
      text: "refused: blocked, nothing passes until up",
    });
  });
});

describe("of a name that leads nowhere", () => {
  const profile = ["good.test"];
  test.each([
    ["evil.test", "refused", {}, "refused", "refused: no entry names it"],
    ["a.good.test", "no such name", { profile }, "refused", "refused: no entry names it"],
    [
      "good.test",
      "none",
      { profile },
      "refused",
      'refused: entry "good.test" (profile mine, mine.txt:1) allows the name, but it has no public address',
    ],
    [
      "good.test",
      "failed",
      { profile },
      "unknown",
      'cannot tell: entry "good.test" (profile mine, mine.txt:1) allows the name, but the resolver gave no answer',
    ],
    [
      "good.test",
      "refused",
      { profile, decisions: [decisionOf("deny good.test")] },
      "refused",
      "refused: deny good.test by the operator",
    ],
    [
      "good.test",
      "refused",
      { profile, decisions: [decisionOf("deny good.test:443")], mode: DOWN },
      "refused",
      "refused: deny good.test:443 by the operator",
    ],
    [
      "good.test",
      "not asked",
      { profile, mode: { kind: "block" } },
      "refused",
      "refused: blocked, nothing passes until up",
    ],
  ] as const)("%s: %s", (name, kind, state, verdict, text) => {
    const cause = explainName({ name, kind }, policyOf(state));
    expect(cause).toMatchObject({ verdict, text });
    expect(cause.disagreement).toBeUndefined();
  });

  test("a resolver that refuses what policy opens, or asks for what it does not, disagrees", () => {
    expect(explainName({ name: "good.test", kind: "refused" }, policyOf({ profile }))).toHaveProperty(
      "disagreement",
    );
    expect(explainName({ name: "evil.test", kind: "none" }, policyOf({ profile }))).toHaveProperty(
      "disagreement",
    );
  });

  test("what was not asked for cannot be told", () => {
    expect(explainName({ name: "evil.test", kind: "not asked" }, policyOf({ mode: DOWN })).verdict).toBe(
      "unknown",
    );
    expect(explainName({ name: "evil.test", kind: "not asked" }, policyOf({})).verdict).toBe("unknown");
  });
});

test.each([
  [
    { verdict: "passes", by: "entry" },
    { to: "close", command: ["deny", "x"] },
  ],
  [
    { verdict: "passes", by: "bypass" },
    { to: "end", command: ["up"] },
  ],
  [{ verdict: "passes", by: "local" }, undefined],
  [
    { verdict: "refused", by: "nothing" },
    { to: "open", command: ["allow", "x"] },
  ],
  [
    { verdict: "refused", by: "deny", entry: "y" },
    { to: "open", command: ["allow", "y"] },
  ],
  [{ verdict: "refused", by: "network" }, undefined],
  [
    { verdict: "passes", by: "entry", disagreement: "z" },
    { to: "repair", command: ["up", "--repair"] },
  ],
] as const)("the hint for %j", (cause, hint) => {
  expect(hintFor([{ text: "", ...cause }], "x")).toEqual(hint);
});
