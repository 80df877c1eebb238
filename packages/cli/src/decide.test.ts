import { renderEntry } from "@terok-shield/profiles";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decisionOf, later, MOMENT, makeState, type TestState } from "../testing/test-state.ts";
import { composePolicy } from "./compose-policy.ts";
import type { ContainerState } from "./container-state.ts";
import { decide, findDeniedAddresses } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { renderDuration } from "./duration.ts";
import { ShieldError } from "./shield-error.ts";

function render({ verdict, entry, lease }: Decision): string {
  return `${verdict} ${renderEntry(entry)}${lease === undefined ? "" : ` --for ${renderDuration(lease.seconds)}`}`;
}

const recordedIn = ({ decisions }: ContainerState) => decisions.map(render);

/** Decides one after the other; each must come into force. */
function decideAll(given: Omit<TestState, "decisions">, said: readonly string[]): ContainerState {
  return said.reduce((state, text) => {
    const { state: next, outcome } = decide(state, decisionOf(text), MOMENT);
    expect([text, outcome.kind]).toEqual([text, "decided"]);
    return next;
  }, makeState(given));
}

function outcomeOf(given: Omit<TestState, "decisions">, said: readonly string[], last: string) {
  const state = decideAll(given, said);
  const decided = decide(state, decisionOf(last), MOMENT);
  return { before: state, ...decided };
}

describe("the last decision about an entry wins", () => {
  test.each<{ name: string; said: string[]; recorded: string[] }>([
    {
      name: "and undoes its opposite",
      said: ["allow a.test", "deny a.test", "deny 198.18.0.7", "allow 198.18.0.7"],
      recorded: ["deny a.test", "allow 198.18.0.7"],
    },
    {
      name: "and takes the place of its like",
      said: ["allow a.test", "allow b.test", "allow a.test"],
      recorded: ["allow b.test", "allow a.test"],
    },
    {
      name: "in whatever spelling",
      said: ["allow A.test.", "deny a.test", "allow 198.18.0.9/16", "deny 198.18.0.0/16"],
      recorded: ["deny a.test", "deny 198.18.0.0/16"],
    },
    {
      name: "and leaves others alone",
      said: ["deny a.test:443/tcp", "deny a.test:443/udp", "deny *.a.test", "allow b.test", "deny b.test:80"],
      recorded: [
        "deny a.test:443/tcp",
        "deny a.test:443/udp",
        "deny *.a.test",
        "allow b.test",
        "deny b.test:80",
      ],
    },
    {
      name: "for its time, over a permanent one that comes back",
      said: ["allow a.test", "deny a.test --for 1m", "deny b.test", "allow b.test --for 1m"],
      recorded: ["allow a.test", "deny a.test --for 1m", "deny b.test", "allow b.test --for 1m"],
    },
    {
      name: "for its time, in the place of another temporary one",
      said: ["allow a.test", "deny a.test --for 1m", "allow a.test --for 1h"],
      recorded: ["allow a.test", "allow a.test --for 1h"],
    },
    {
      name: "for good, over any temporary one",
      said: ["allow a.test --for 1m", "deny a.test", "deny b.test --for 1m", "allow b.test"],
      recorded: ["deny a.test", "allow b.test"],
    },
  ])("$name", ({ said, recorded }) => expect(recordedIn(decideAll({}, said))).toEqual(recorded));

  test("also when a profile says the same: the profile may change", () => {
    expect(recordedIn(decideAll({ profile: ["a.test"] }, ["allow a.test"]))).toEqual(["allow a.test"]);
  });

  test("with the time of the decision", () => {
    const { state } = decide(makeState(), decisionOf("allow a.test"), later(60));
    expect(state.decisions[0]?.decidedAt).toBe("2026-12-01T10:16:00.000Z");
  });

  test("and what is over is gone", () => {
    const state = decideAll({}, ["deny *.test --for 1m", "allow 198.18.0.7 --for 2m"]);
    const { state: after, outcome } = decide(state, decisionOf("allow a.test"), later(60));
    expect(outcome.kind).toBe("decided");
    expect(recordedIn(after)).toEqual(["allow 198.18.0.7 --for 2m", "allow a.test"]);
  });
});

describe("what a wider deny covers stays denied, and nothing changes", () => {
  test.each<{ said: string[]; last: string; by: string[] }>([
    { said: ["deny 198.18.0.0/16"], last: "allow 198.18.1.1", by: ["deny 198.18.0.0/16"] },
    { said: ["deny 198.18.0.0/16"], last: "allow 198.18.1.1:443 --for 1m", by: ["deny 198.18.0.0/16"] },
    {
      said: ["deny 198.18.0.0/16 --for 1m"],
      last: "allow 198.18.0.0/17",
      by: ["deny 198.18.0.0/16 --for 1m"],
    },
    {
      said: ["deny 198.18.0.0/16:1-1000"],
      last: "allow 198.18.1.1:443/tcp",
      by: ["deny 198.18.0.0/16:1-1000"],
    },
    { said: ["deny 198.18.1.1"], last: "allow 198.18.1.1:443", by: ["deny 198.18.1.1"] },
    // Several that together leave nothing.
    {
      said: ["deny 198.18.0.0/17", "deny 198.18.128.0/17", "deny 198.19.0.0/16"],
      last: "allow 198.18.0.0/16",
      by: ["deny 198.18.0.0/17", "deny 198.18.128.0/17"],
    },
    {
      said: ["deny 198.18.0.0/30:1-500/tcp", "deny 198.18.0.1:400-1000/tcp"],
      last: "allow 198.18.0.1:80-600/tcp",
      by: ["deny 198.18.0.0/30:1-500/tcp", "deny 198.18.0.1:400-1000/tcp"],
    },
    { said: ["deny *.test"], last: "allow a.b.test", by: ["deny *.test"] },
    { said: ["deny *.test"], last: "allow *.b.test --for 1m", by: ["deny *.test"] },
    { said: ["deny a.test"], last: "allow a.test:443", by: ["deny a.test"] },
    { said: ["deny *.a.test"], last: "allow *.a.test:443", by: ["deny *.a.test"] },
    {
      said: ["deny *.test:443/tcp", "deny a.test:443/udp"],
      last: "allow a.test:443",
      by: ["deny *.test:443/tcp", "deny a.test:443/udp"],
    },
    // Its own deny stays too.
    { said: ["deny a.test", "deny *.test"], last: "allow a.test", by: ["deny *.test"] },
  ])("$last under $said", ({ said, last, by }) => {
    const { before, state, outcome } = outcomeOf({ profile: ["a.test"] }, said, last);
    expect(outcome.kind === "covered" && outcome.by.map(render)).toEqual(by);
    expect(state).toBe(before);
  });

  test("and once that is lifted, it can be allowed", () => {
    expect(
      recordedIn(decideAll({}, ["deny 198.18.0.0/16", "allow 198.18.0.0/16", "allow 198.18.1.1"])),
    ).toEqual(["allow 198.18.0.0/16", "allow 198.18.1.1"]);
  });
});

describe("a narrower deny stays, and is named", () => {
  test.each<{ said: string[]; last: string; notes: string[] }>([
    { said: ["deny 198.18.1.0/24"], last: "allow 198.18.0.0/16", notes: ["198.18.1.0/24 stays denied"] },
    { said: ["deny 198.18.0.0/16:25"], last: "allow 198.18.0.1", notes: ["198.18.0.0/16:25 stays denied"] },
    { said: ["deny a.test:25"], last: "allow a.test", notes: ["a.test:25 stays denied"] },
    {
      said: ["deny *.a.w.test", "deny b.w.test", "deny w.test", "deny c.test"],
      last: "allow *.w.test",
      notes: ["*.a.w.test, b.w.test stay denied"],
    },
    {
      said: ["0", "1", "2", "3", "4", "5", "6"].map((last) => `deny 198.18.0.${last}`),
      last: "allow 198.18.0.0/16",
      notes: ["198.18.0.0, 198.18.0.1, 198.18.0.2, 198.18.0.3, 198.18.0.4 and 2 more stay denied"],
    },
    // These have nothing to do with it.
    { said: ["deny 198.19.0.0/16"], last: "allow 198.18.0.0/16", notes: [] },
    { said: ["deny 198.18.0.1:25/tcp"], last: "allow 198.18.0.1:25/udp", notes: [] },
    { said: ["deny *.a.test"], last: "allow a.test", notes: [] },
    { said: ["deny a.test"], last: "allow *.a.test", notes: [] },
    { said: ["deny 198.18.1.0/24"], last: "deny 198.18.0.0/16", notes: [] },
  ])("$last after $said", ({ said, last, notes }) => {
    const { state, outcome } = outcomeOf({}, said, last);
    expect(outcome).toEqual({ kind: "decided", notes });
    expect(recordedIn(state)).toEqual([...said, last]);
  });
});

test.each([
  ["allow 10.0.0.7", ["10.0.0.7 opens private or special addresses"]],
  [
    "allow 169.254.0.0/16 --for 1m",
    ["169.254.0.0/16 opens private or special addresses, but not the cloud metadata addresses in it"],
  ],
  ["deny 10.0.0.7", []],
])("%s: the operator hears what it opens", (last, notes) => {
  expect(outcomeOf({}, [], last).outcome).toEqual({ kind: "decided", notes });
});

describe("what cannot be enforced is refused in the words for a profile's line", () => {
  test.each<{ last: string; given?: Omit<TestState, "decisions">; message: string }>([
    {
      last: "allow *.example.org",
      given: { tier: "dig" },
      message:
        "*.example.org needs dnsmasq, since the dig tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.",
    },
    {
      last: "allow 10.0.2.2:5432/tcp",
      message:
        "10.0.2.2:5432/tcp is of the container's own network, where no entry opens anything. Leave it out; ports of the host are granted by loopback_ports in config.yml.",
    },
    {
      last: "deny 10.0.2.3",
      message:
        "10.0.2.3 is where the container's resolver asks, and nothing else in the container reaches it. To close names, deny the names.",
    },
    {
      last: "allow api.good.test:443",
      given: { profile: ["*.good.test:80"] },
      message:
        "mine.txt:1: allow api.good.test:443 and *.good.test:80 give api.good.test and the names below it different ports or times, which dnsmasq cannot tell apart. Write the same for both.",
    },
    {
      last: "deny api.good.test:443",
      given: { profile: ["*.good.test"] },
      message:
        "mine.txt:1: *.good.test and deny api.good.test:443 give api.good.test and the names below it different ports or times, which dnsmasq cannot tell apart. Write the same for both.",
    },
    {
      last: "allow *.good.test --for 1m",
      given: { profile: ["api.good.test"] },
      message:
        "mine.txt:1: api.good.test and allow *.good.test give api.good.test and the names below it different ports or times, which dnsmasq cannot tell apart. Write the same for both.",
    },
  ])("$last", ({ last, given = {}, message }) => {
    expect(() => outcomeOf(given, [], last)).toThrow(new ShieldError(message, { code: "usage" }));
  });
});

describe("a conflict", () => {
  test("that comes with the end of something temporary is refused at once", () => {
    const given = { profile: ["*.good.test:80"] };
    const last = "allow api.good.test:80-443";
    expect(() => decideAll(given, ["deny *.good.test:81-443 --for 1m", last])).toThrow(
      "which dnsmasq cannot tell apart",
    );
    expect(() => decideAll(given, ["deny *.good.test:81-443", last])).not.toThrow();
  });

  test("that is there already stands in no other decision's way", () => {
    const state = decideAll({ profile: ["a.test", "*.a.test:443"] }, ["allow b.test", "deny a.test"]);
    expect(composePolicy(state, MOMENT).conflicts).toEqual([]);
  });

  test("in a static tier there is none", () => {
    expect(recordedIn(decideAll({ tier: "dig", profile: ["a.test"] }, ["deny *.a.test:443"]))).toEqual([
      "deny *.a.test:443",
    ]);
  });
});

test("one name is open for so many different times, and no more", () => {
  const said = [1, 2, 3, 4, 5, 6, 7].map((port) => `allow a.test:${port} --for ${port}m`);
  const state = decideAll({ profile: ["a.test:443"] }, said);
  expect(() => decide(state, decisionOf("allow a.test:8 --for 8m"), MOMENT)).toThrow(
    new ShieldError("a.test:8 would be open for more than 8 different times. End one of them first.", {
      code: "usage",
    }),
  );
  expect(decide(state, decisionOf("allow a.test:8"), MOMENT).outcome.kind).toBe("decided");
});

describe("what a name led to and stays denied", () => {
  const addresses = ["198.18.0.7", "198.18.1.7", "2001:2::7"];
  test.each<{ said: string[]; ports?: string; denied: Record<string, string> }>([
    { said: [], denied: {} },
    {
      said: ["deny 198.18.0.0/24", "deny 2001:2::7 --for 1m"],
      denied: { "198.18.0.7": "deny 198.18.0.0/24", "2001:2::7": "deny 2001:2::7 --for 1m" },
    },
    { said: ["deny 198.18.0.0/24:443/tcp"], denied: {} },
    {
      said: ["deny 198.18.0.0/24:443/tcp"],
      ports: "x.test:443/tcp",
      denied: { "198.18.0.7": "deny 198.18.0.0/24:443/tcp" },
    },
    { said: ["deny 198.18.0.0/24", "allow 198.18.0.0/24 --for 1m"], denied: {} },
    { said: ["deny a.test", "allow 198.18.0.0/24"], denied: {} },
  ])("$said", ({ said, ports, denied }) => {
    const { entry } = decisionOf(`allow ${ports ?? "x.test"}`);
    const found = findDeniedAddresses(decideAll({}, said), addresses, entry.ports);
    expect(Object.fromEntries([...found].map(([address, deny]) => [address, render(deny)]))).toEqual(denied);
  });
});

describe("whatever was decided before", () => {
  const target = fc.constantFrom(
    "a.test",
    "a.test:443",
    "*.test",
    "*.a.test",
    "198.18.0.0/16",
    "198.18.0.7",
    "198.18.0.7:443/tcp",
  );
  const word = fc
    .tuple(fc.constantFrom("allow", "deny"), target, fc.constantFrom("", " --for 1m", " --for 2m"))
    .map((parts) => parts.join(" ").replace(/ +/g, " ").trim());

  test("each decision is in force, or refused, or covered by denies that are recorded; never two about one entry", () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (said) => {
        let state = makeState();
        for (const text of said) {
          const before = state;
          try {
            const decided = decide(state, decisionOf(text), MOMENT);
            state = decided.state;
            if (decided.outcome.kind === "covered") {
              expect(state).toBe(before);
              expect(decided.outcome.by.length).toBeGreaterThan(0);
              for (const deny of decided.outcome.by) expect(state.decisions).toContain(deny);
            } else {
              expect(recordedIn(state).at(-1)).toBe(text);
            }
          } catch (cause) {
            expect(cause).toMatchObject({ code: "usage" });
          }
          const kinds = state.decisions.map(
            ({ entry, lease }) => `${renderEntry(entry)} ${lease === undefined}`,
          );
          expect(new Set(kinds).size).toBe(kinds.length);
          expect(composePolicy(state, MOMENT).conflicts).toEqual([]);
        }
      }),
    );
  });
});
