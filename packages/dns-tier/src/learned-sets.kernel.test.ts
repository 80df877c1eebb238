import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { domain, policyOf } from "../testing/name-policies.ts";
import { DIG, DNSMASQ } from "../testing/programs.ts";
import { type ResolverLab, startResolverLab } from "../testing/resolver-lab.ts";
import { attributeAnswers } from "./attribute-answers.ts";
import { isNameOpen, scopesOfName } from "./name-policy.ts";
import { findScopeConflict } from "./scope-conflict.ts";

/** The names that the property test asks for. Each has an address of its own. */
const NUMBERED = [...new Set(fc.sample(domain, { numRuns: 200, seed: 1 }))].filter((name) =>
  name.includes("."),
);
const addressOf = (name: string) => `198.18.1.${NUMBERED.indexOf(name)}`;
const MANY = Array.from({ length: 200 }, (_, index) => `198.18.2.${index}`).sort();

const ZONE = [
  "host-record=good.test,198.18.0.1,2001:2::1",
  "host-record=api.good.test,198.18.0.2,2001:2::2",
  "host-record=plain.test,198.18.0.3,2001:2::3",
  "host-record=both.test,198.18.0.4,2001:2::4",
  "host-record=a.wild.test,198.18.0.5,2001:2::5",
  "host-record=edge.other,198.18.0.6,2001:2::6",
  "cname=alias.test,hop.other",
  "cname=hop.other,edge.other",
  "txt-record=says.wild.test,198.18.0.99",
  "host-record=says.wild.test,198.18.0.7",
  "address=/strange.wild.test/198.18.0.8",
  ...MANY.map((address) => `host-record=many.test,${address}`),
  ...NUMBERED.map((name) => `host-record=${name},${addressOf(name)}`),
];

let lab: ResolverLab;

// The reason to skip is that there is no dnsmasq to ask, or nothing to ask it with.
describe.skipIf(DNSMASQ === undefined || DIG === undefined)("a real dnsmasq fills", () => {
  beforeAll(async () => {
    lab = await startResolverLab(ZONE);
  });
  afterAll(() => lab.stop());

  const SCOPED = policyOf({
    exact: ["good.test@1", "plain.test", "both.test@1", "both.test@2", "alias.test@2"],
    wildcards: ["wild.test@3"],
  });

  test.each([
    ["a name on every port", "plain.test", { dns_v4: ["198.18.0.3"], dns_v6: ["2001:2::3"] }],
    ["a name of one scope", "good.test", { dns_1_v4: ["198.18.0.1"], dns_1_v6: ["2001:2::1"] }],
    [
      "a name of two scopes",
      "both.test",
      {
        dns_1_v4: ["198.18.0.4"],
        dns_1_v6: ["2001:2::4"],
        dns_2_v4: ["198.18.0.4"],
        dns_2_v6: ["2001:2::4"],
      },
    ],
    ["a name below a wildcard", "a.wild.test", { dns_3_v4: ["198.18.0.5"], dns_3_v6: ["2001:2::5"] }],
    ["an alias, by its own name", "alias.test", { dns_2_v4: ["198.18.0.6"], dns_2_v6: ["2001:2::6"] }],
    ["a name in capitals", "GOOD.Test", { dns_1_v4: ["198.18.0.1"], dns_1_v6: ["2001:2::1"] }],
    ["no name below an exact one", "api.good.test", {}],
  ])("the sets of its scopes and no other: %s", async (_, name, learned) => {
    await lab.restart(SCOPED);
    const answers = [await lab.ask(name, "A"), await lab.ask(name, "AAAA")];
    expect(answers.map(({ status }) => status)).toEqual(
      Object.keys(learned).length > 0 ? ["NOERROR", "NOERROR"] : ["NXDOMAIN", "NXDOMAIN"],
    );
    expect(await lab.learned()).toEqual(learned);
  });

  test("the set of scope 0 again for a name below one of another scope", async () => {
    await lab.restart(policyOf({ exact: ["good.test@1", "api.good.test"] }));
    await lab.ask("good.test");
    await lab.ask("api.good.test");
    expect(await lab.learned()).toEqual({ dns_1_v4: ["198.18.0.1"], dns_v4: ["198.18.0.2"] });
  });

  test("a set with all of an answer that needs TCP", async () => {
    await lab.restart(policyOf({ exact: ["many.test@1"] }));
    expect((await lab.ask("many.test")).addresses.toSorted()).toEqual(MANY);
    expect(await lab.learned()).toEqual({ dns_1_v4: MANY });
    expect(plain(attributeAnswers(lab.log()))).toEqual({ "many.test": MANY });
  });

  test("for any policy the sets of each open name, and nothing for the others", async () => {
    const scopes = fc.constantFrom("", "@1", "@2", "@3");
    const scoped = fc.array(
      fc.tuple(domain, scopes).map((parts) => parts.join("")),
      { maxLength: 6 },
    );
    const policies = fc
      .record({
        exact: scoped,
        wildcards: scoped,
        closedExact: fc.array(domain, { maxLength: 3 }),
        closedWildcards: fc.array(domain, { maxLength: 2 }),
      })
      .map(policyOf)
      .filter((policy) => findScopeConflict(policy) === undefined);
    await fc.assert(
      fc.asyncProperty(policies, async (policy) => {
        await lab.restart(policy);
        await lab.askAll(NUMBERED);
        const expected: Record<string, string[]> = {};
        for (const name of NUMBERED) {
          for (const scope of scopesOfName(policy, name)) {
            const set = scope === 0 ? "dns_v4" : `dns_${scope}_v4`;
            expected[set] = [...(expected[set] ?? []), addressOf(name)].sort();
          }
        }
        expect(await lab.learned()).toEqual(expected);
        const open = NUMBERED.filter((name) => isNameOpen(policy, name));
        expect(plain(attributeAnswers(lab.log()))).toEqual(
          Object.fromEntries(open.map((name) => [name, [addressOf(name)]])),
        );
      }),
      { numRuns: 25 },
    );
  });
});

describe.skipIf(DNSMASQ === undefined || DIG === undefined)("the log of a real dnsmasq tells", () => {
  const OPEN = policyOf({
    exact: ["good.test", "both.test", "plain.test", "alias.test", "many.test"],
    wildcards: ["wild.test"],
  });

  beforeAll(async () => {
    lab = await startResolverLab(ZONE);
  });
  afterAll(() => lab.stop());
  beforeEach(() => lab.restart(OPEN));

  test("whose answer each address was, of questions all at once, over UDP and TCP", async () => {
    const names = ["good.test", "both.test", "plain.test", "alias.test", "a.wild.test", "many.test"];
    const questions = names.flatMap((name) => [
      lab.ask(name, "A"),
      lab.ask(name, "AAAA"),
      lab.ask(name, "A", "+tcp"),
    ]);
    await Promise.all([...questions, lab.ask("api.good.test"), lab.ask("gone.wild.test")]);
    expect(plain(attributeAnswers(lab.log()))).toEqual({
      "good.test": ["198.18.0.1", "2001:2::1"],
      "both.test": ["198.18.0.4", "2001:2::4"],
      "plain.test": ["198.18.0.3", "2001:2::3"],
      "alias.test": ["198.18.0.6", "2001:2::6"],
      "a.wild.test": ["198.18.0.5", "2001:2::5"],
      "many.test": MANY,
    });
  });

  test("what was answered before dnsmasq was started anew, too", async () => {
    await lab.ask("good.test");
    await lab.restart(OPEN, { keepLog: true });
    await lab.ask("plain.test");
    expect(plain(attributeAnswers(lab.log()))).toEqual({
      "good.test": ["198.18.0.1"],
      "plain.test": ["198.18.0.3"],
    });
  });

  test("a name in the capitals it was asked in", async () => {
    await lab.ask("GOOD.Test");
    expect(lab.log()).toContain("reply GOOD.Test is 198.18.0.1\n");
    expect(plain(attributeAnswers(lab.log()))).toEqual({ "good.test": ["198.18.0.1"] });
  });

  test("no address that only a text record says", async () => {
    await lab.ask("says.wild.test", "TXT");
    expect(lab.log()).toContain("reply says.wild.test is 198.18.0.99\n");
    expect(plain(attributeAnswers(lab.log()))).toEqual({});
    await lab.ask("says.wild.test", "A");
    expect(plain(attributeAnswers(lab.log()))).toEqual({ "says.wild.test": ["198.18.0.7"] });
  });

  test.each([
    ["a line break", "x\\010y.strange.wild.test"],
    [
      "a whole line",
      "x\\010Nov\\03224\\03202:51:39\\032dnsmasq[1]:\\032started,\\032version\\0322.strange.wild.test",
    ],
    ["spaces", "x\\032y.strange.wild.test"],
    ["an answer", "reply\\032plain.test\\032is\\032198.18.0.66.strange.wild.test"],
    ["an answer that ends it", "x.strange.wild.test\\032is\\032198.18.0.66"],
    ["another's question", "good.test\\032from\\032127.0.0.1.strange.wild.test"],
    ["a dot inside a label", "good\\.test.strange.wild.test"],
    ["a zero byte", "good.test\\000.strange.wild.test"],
    ["a byte beyond ASCII", "\\255.strange.wild.test"],
    ["signs that no entry has", "x!y.strange.wild.test"],
  ])("no answer that a name makes up with %s", async (_, name) => {
    await lab.ask("good.test");
    await lab.ask(name);
    await lab.ask("plain.test");
    expect(plain(attributeAnswers(lab.log()))).toEqual({
      "good.test": ["198.18.0.1"],
      "plain.test": ["198.18.0.3"],
    });
  });

  test("not of a name that no entry can spell, although its answer is learned", async () => {
    await lab.ask("x\\032y.strange.wild.test");
    expect(await lab.learned()).toEqual({ dns_v4: ["198.18.0.8"] });
    expect(plain(attributeAnswers(lab.log()))).toEqual({});
  });
});

function plain(answers: ReadonlyMap<string, ReadonlySet<string>>): Record<string, string[]> {
  return Object.fromEntries([...answers].map(([name, addresses]) => [name, [...addresses].sort()]));
}
