import { findScopeConflict, isNameOpen, scopesOfName } from "@terok-shield/dns-tier";
import {
  areaOf,
  coversRange,
  type Destination,
  EVERY_PORT,
  type PortArea,
  parseIpRange,
  renderArea,
  renderIpRange,
  renderRuleset,
} from "@terok-shield/nft-ruleset";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decisionOf, later, MOMENT, makeState, RUN, type TestState } from "../testing/test-state.ts";
import { type Composition, composePolicy, openExactNames } from "./compose-policy.ts";
import type { ContainerState } from "./container-state.ts";
import type { Decision } from "./decision.ts";
import { startLease } from "./lease.ts";

interface Case extends Omit<TestState, "decisions"> {
  /** As an operator says them. */
  readonly decided?: readonly string[];
}

function stateOf({ decided = [], ...rest }: Case): ContainerState {
  return makeState({ ...rest, decisions: decided.map((text) => decisionOf(text)) });
}

const compose = (given: Case, moment = MOMENT) => composePolicy(stateOf(given), moment);

function renderDestination({ range, ports, ...rest }: Destination & { remainingSeconds?: number }): string {
  const area = ports === undefined ? "" : ` ${renderArea(areaOf(ports))}`;
  const time = rest.remainingSeconds === undefined ? "" : ` for ${rest.remainingSeconds} s`;
  return `${renderIpRange(range)}${area}${time}`;
}

/** The ranges of a policy, as text. */
function rangesOf({ policy: { allow, deny, timed } }: Composition) {
  const list = (destinations: readonly Destination[] = []) => destinations.map(renderDestination);
  return {
    allow: list(allow),
    deny: list(deny),
    ...(timed === undefined
      ? {}
      : { timed: { allow: list(timed.allow), deny: list(timed.deny), lift: list(timed.lift) } }),
  };
}

/** The names of a policy and what each scope opens, as text. */
function namesOf({ policy, names }: Composition) {
  const { learned } = policy;
  if (learned.kind !== "by-resolver") return expect.unreachable();
  const scopes = new Map(learned.scopes.map((scope) => [scope.id, scope]));
  const show = (id: number) => {
    const scope = scopes.get(id);
    if (scope === undefined) return id === 0 ? "every port" : "no scope";
    const time = scope.remainingSeconds === undefined ? "" : ` for ${scope.remainingSeconds} s`;
    return `${renderArea(scope.area)}${time}`;
  };
  return {
    open: [
      ...names.exact.map(({ name, scope }) => `${name}: ${show(scope)}`),
      ...names.wildcards.map(({ parent, scope }) => `*.${parent}: ${show(scope)}`),
    ],
    closed: [...names.closedExact, ...names.closedWildcards.map((parent) => `*.${parent}`)],
  };
}

describe("the rest of the policy is what was recorded", () => {
  test("with dnsmasq: its upstream, its timeout and the generations", () => {
    const state = { ...stateOf({}), revision: 12, queryGeneration: 3, flowGeneration: 2 };
    expect(composePolicy(state, MOMENT)).toEqual({
      policy: {
        revision: 12,
        allow: [],
        deny: [],
        learned: {
          kind: "by-resolver",
          timeoutSeconds: 1800,
          scopes: [],
          queryGeneration: 3,
          flowGeneration: 2,
        },
        upstream: parseIpRange("10.0.2.3"),
        reserved: ["10.0.2.0/24", "fd00::/64"].map(parseIpRange),
        hostLoopback: { addresses: [parseIpRange("10.0.2.2")], ports: [] },
        published: [],
      },
      mode: { kind: "up" },
      names: { exact: [], wildcards: [], closedExact: [], closedWildcards: [] },
      closedInBypass: { closedExact: [], closedWildcards: [] },
      conflicts: [],
      notes: [],
    });
  });

  test("in a static tier: no upstream, and what names resolved to", () => {
    const { policy } = compose({ tier: "dig", profile: ["a.test"], resolved: { "a.test": ["198.18.0.7"] } });
    expect(policy).toMatchObject({
      learned: { kind: "fixed", destinations: [{ range: parseIpRange("198.18.0.7") }] },
      reserved: { length: 2 },
    });
    expect(policy).not.toHaveProperty("upstream");
  });
});

describe("the mode", () => {
  const bypass = { kind: "down", privateRanges: "open", run: RUN } as const;
  test.each<[string, ContainerState["mode"], unknown]>([
    ["up", { kind: "up" }, { kind: "up" }],
    ["block", { kind: "block" }, { kind: "block" }],
    ["bypass", bypass, { kind: "down", privateRanges: "open" }],
    [
      "bypass for a time, with what is left of it",
      { ...bypass, lease: startLease(60, MOMENT, RUN) },
      { kind: "down", privateRanges: "open", remainingSeconds: 50 },
    ],
    [
      "bypass for a time that is over, which the kernel still has the rules of",
      { ...bypass, lease: startLease(5, MOMENT, RUN) },
      { kind: "down", privateRanges: "open", remainingSeconds: 0 },
    ],
  ])("is %s", (_, mode, expected) => expect(compose({ mode }, later(10)).mode).toEqual(expected));
});

describe("ranges", () => {
  test.each<{ name: string } & Case & { expected: ReturnType<typeof rangesOf> }>([
    {
      name: "of profiles and operators are allowed and denied, ports and all",
      profile: ["198.18.0.0/16", "198.18.0.7:443/tcp"],
      decided: ["allow [2001:2::7]:8000-8010", "deny 198.18.1.0/24", "deny 198.18.2.1:53/udp"],
      expected: {
        allow: ["198.18.0.0/16", "198.18.0.7 tcp:443", "2001:2::7 tcp:8000-8010 udp:8000-8010"],
        deny: ["198.18.1.0/24", "198.18.2.1 udp:53"],
      },
    },
    {
      name: "for a time stand apart, with what is left of it",
      decided: ["allow 198.18.0.7 --for 1m", "deny 198.18.0.0/16 --for 1h", "allow 198.18.0.8"],
      expected: {
        allow: ["198.18.0.8"],
        deny: [],
        timed: { allow: ["198.18.0.7 for 60 s"], deny: ["198.18.0.0/16 for 3600 s"], lift: [] },
      },
    },
    {
      name: "allowed for a time lift their own permanent deny, which comes back after",
      decided: [
        "deny 198.18.0.7",
        "allow 198.18.0.7 --for 1m",
        "deny 198.18.0.8:443",
        "allow 198.18.0.8 --for 1m",
      ],
      expected: {
        allow: [],
        deny: ["198.18.0.7", "198.18.0.8 tcp:443 udp:443"],
        timed: {
          allow: ["198.18.0.7 for 60 s", "198.18.0.8 for 60 s"],
          deny: [],
          lift: ["198.18.0.7 for 60 s"],
        },
      },
    },
    {
      name: "denied around the resolver's upstream leave it out: no name would resolve",
      decided: ["deny 10.0.2.2/31", "allow 10.0.2.2/31 --for 1m", "deny 10.0.2.3/32 --for 1m"],
      expected: {
        allow: [],
        deny: ["10.0.2.2"],
        timed: { allow: ["10.0.2.2/31 for 60 s"], deny: [], lift: ["10.0.2.2 for 60 s"] },
      },
    },
  ])("$name", ({ expected, name: _, ...given }) => expect(rangesOf(compose(given))).toEqual(expected));

  test("whose time is over are still listed, since the kernel still has their sets, with nothing left", () => {
    const given = { decided: ["allow 198.18.0.7 --for 1m", "deny 198.18.0.8 --for 2m"] };
    expect(rangesOf(compose(given, later(90))).timed).toEqual({
      allow: ["198.18.0.7 for 0 s"],
      deny: ["198.18.0.8 for 30 s"],
      lift: [],
    });
  });

  test("in a static tier a deny may be around the address that dnsmasq would ask", () => {
    expect(rangesOf(compose({ tier: "dig", decided: ["deny 10.0.0.0/8"] })).deny).toEqual(["10.0.0.0/8"]);
  });
});

describe("names with dnsmasq", () => {
  test.each<{ name: string } & Case & { expected: ReturnType<typeof namesOf> }>([
    {
      name: "open every port, or those that their entries name together",
      profile: ["a.test", "b.test:443", "b.test:8000-8010/udp", "*.w.test:443/tcp"],
      decided: ["allow c.test:80"],
      expected: {
        open: [
          "a.test: every port",
          "b.test: tcp:443 udp:443,8000-8010",
          "c.test: tcp:80 udp:80",
          "*.w.test: tcp:443",
        ],
        closed: [],
      },
    },
    {
      name: "denied are closed, whatever opens them",
      profile: ["a.test", "*.w.test", "b.w.test"],
      decided: ["deny a.test", "deny b.w.test", "deny c.w.test", "deny never.test"],
      expected: {
        open: ["*.w.test: every port"],
        closed: ["a.test", "b.w.test", "c.w.test", "never.test"],
      },
    },
    {
      name: "below a denied wildcard are closed, also those that an entry names",
      profile: ["*.test", "a.w.test", "w.test"],
      decided: ["deny *.w.test"],
      expected: { open: ["*.test: every port"], closed: ["*.w.test"] },
    },
    {
      name: "denied on some ports keep the others",
      profile: ["a.test", "b.test:443", "*.w.test:1-100/tcp"],
      decided: ["deny a.test:25/tcp", "deny b.test:443/tcp", "deny *.w.test:50-100"],
      expected: {
        open: ["a.test: tcp:0-24,26-65535 udp:0-65535 other", "b.test: udp:443", "*.w.test: tcp:1-49"],
        closed: [],
      },
    },
    {
      name: "denied on all the ports that they had are not open",
      profile: ["a.test:443", "*.w.test:443", "b.w.test:443"],
      decided: ["deny a.test:443", "deny b.w.test:1-1000"],
      expected: { open: ["*.w.test: tcp:443 udp:443"], closed: ["b.w.test"] },
    },
    {
      name: "that a wildcard opens in the same way need nothing of their own",
      profile: ["*.w.test:443", "*.b.w.test:443/tcp", "a.w.test:443/udp", "w.test:443"],
      expected: { open: ["w.test: tcp:443 udp:443", "*.w.test: tcp:443 udp:443"], closed: [] },
    },
    {
      name: "allowed for a time are in a scope that ends by itself, and in their permanent one",
      profile: ["a.test:443", "b.test"],
      decided: [
        "allow a.test --for 1m",
        "allow b.test:443 --for 1m",
        "allow c.test --for 1h",
        "allow *.w.test:443 --for 1m",
      ],
      expected: {
        open: [
          "a.test: tcp:443 udp:443",
          "a.test: every port for 60 s",
          "b.test: every port",
          "c.test: every port for 3600 s",
          "*.w.test: tcp:443 udp:443 for 60 s",
        ],
        closed: [],
      },
    },
    {
      name: "allowed for several times have a scope for each that opens more than the longer ones",
      decided: ["allow a.test:80 --for 1h", "allow a.test:443 --for 1m", "allow a.test:1-100 --for 30s"],
      expected: {
        open: [
          "a.test: tcp:80 udp:80 for 3600 s",
          "a.test: tcp:443 udp:443 for 60 s",
          "a.test: tcp:1-100 udp:1-100 for 30 s",
        ],
        closed: [],
      },
    },
    {
      name: "allowed for a time are open although they are denied for good, and only they",
      profile: ["a.test"],
      decided: ["deny a.test", "allow a.test --for 1m", "deny *.w.test", "allow *.w.test --for 1m"],
      expected: {
        open: ["a.test: every port for 60 s", "*.w.test: every port for 60 s"],
        closed: [],
      },
    },
    {
      name: "allowed for a time stay closed where another deny is about them",
      decided: ["deny *.test", "deny a.test", "allow a.test --for 1m", "allow *.test --for 1m"],
      expected: { open: ["*.test: every port for 60 s"], closed: ["a.test"] },
    },
    {
      name: "denied for a time are closed",
      profile: ["a.test", "b.test", "*.w.test"],
      decided: [
        "deny a.test --for 1m",
        "allow b.test",
        "deny b.test:443/tcp --for 1m",
        "deny *.x.w.test --for 1m",
      ],
      expected: {
        open: ["b.test: tcp:0-442,444-65535 udp:0-65535 other", "*.w.test: every port"],
        closed: ["a.test", "*.x.w.test"],
      },
    },
  ])("$name", ({ expected, name: _, ...given }) => {
    const composition = compose(given);
    expect(namesOf(composition)).toEqual(expected);
    expect(composition.conflicts).toEqual([]);
  });

  test("have as many times as a line of dnsmasq.conf holds, the shortest are left out", () => {
    const composition = compose({
      profile: ["a.test:443"],
      decided: [9, 8, 7, 6, 5, 4, 3, 2].map((minutes) => `allow a.test:${minutes} --for ${minutes}m`),
    });
    const { open } = namesOf(composition);
    expect([open.length, open.at(-1)]).toEqual([8, "a.test: tcp:3 udp:3 for 180 s"]);
    expect(findScopeConflict(composition.names)).toBeUndefined();
  });

  test("whose time is over are as kernel and resolver were told, with nothing left", () => {
    const { open } = namesOf(compose({ decided: ["allow a.test --for 1m"] }, later(60)));
    expect(open).toEqual(["a.test: every port for 0 s"]);
  });
});

describe("what dnsmasq cannot tell apart is closed rather than open too wide", () => {
  test.each<{ name: string } & Case & { expected: ReturnType<typeof namesOf>; notes: string[] }>([
    {
      name: "a name and those below it, on different ports",
      profile: ["a.test", "*.a.test:443"],
      expected: { open: ["*.a.test: tcp:443 udp:443"], closed: [] },
      notes: [
        "a.test stays closed: dnsmasq cannot tell apart what a.test opens and what the names below it open",
      ],
    },
    {
      name: "a name below a wildcard, on different ports",
      profile: ["*.test", "*.a.test"],
      decided: ["deny a.test:443"],
      expected: { open: ["*.test: every port"], closed: ["a.test"] },
      notes: [
        "a.test stays closed: dnsmasq cannot tell apart what a.test opens and what the names below it open",
      ],
    },
    {
      name: "a name for good, and those below it for a time",
      profile: ["a.test"],
      decided: ["allow *.a.test --for 1m"],
      expected: { open: ["*.a.test: every port for 60 s"], closed: [] },
      notes: [
        "a.test stays closed: dnsmasq cannot tell apart what a.test opens and what the names below it open",
      ],
    },
    {
      name: "some names in a hole of a wildcard",
      profile: ["*.test:443", "b.a.test:80", "*.c.a.test:80"],
      decided: ["deny *.a.test:443"],
      expected: { open: ["*.test: tcp:443 udp:443"], closed: ["*.a.test"] },
      notes: [
        "the names below a.test stay closed: dnsmasq cannot tell apart what a.test opens and what the names below it open",
      ],
    },
  ])("$name", ({ expected, notes, name: _, ...given }) => {
    const composition = compose(given);
    expect(namesOf(composition)).toEqual(expected);
    expect(composition.notes).toEqual(notes);
  });

  test("more different ports than there are scopes: those for good go before those for a time", () => {
    const ports = (first: number, count: number) =>
      Array.from({ length: count }, (_, index) => first + index);
    const composition = compose({
      profile: ports(1000, 62).map((port) => `n${port}.test:${port}`),
      decided: ["allow a.test:1 --for 1m", "allow b.test:2 --for 1m", "allow z.test:3", "allow every.test"],
    });
    const { open } = namesOf(composition);
    expect(open).toHaveLength(64);
    expect(open).toContain("z.test: tcp:3 udp:3");
    expect(composition.conflicts.map(({ reason, domain }) => [reason, domain])).toEqual([
      ["crowded", "a.test"],
      ["crowded", "b.test"],
    ]);
    expect(composition.notes).toEqual([
      "a.test stays closed: names open too many different ports and times",
      "b.test stays closed: names open too many different ports and times",
    ]);
  });
});

describe("in bypass", () => {
  test.each<{ name: string } & Case & { closed: string[] }>([
    {
      name: "denied names stay closed",
      decided: ["deny a.test", "deny *.w.test --for 1m"],
      closed: ["a.test", "*.w.test"],
    },
    {
      name: "names denied on some ports are closed as well, since bypass opens every port",
      profile: ["a.test", "*.w.test"],
      decided: ["deny a.test:25", "deny *.w.test:25/tcp"],
      closed: ["a.test", "*.w.test"],
    },
    {
      name: "a deny that is lifted closes nothing",
      decided: ["deny a.test", "allow a.test --for 1m"],
      closed: [],
    },
    {
      name: "a deny that is lifted in part does",
      decided: ["deny a.test", "deny a.test:25", "allow a.test --for 1m"],
      closed: ["a.test"],
    },
  ])("$name", ({ closed, name: _, ...given }) => {
    const { closedExact, closedWildcards } = compose(given).closedInBypass;
    expect([...closedExact, ...closedWildcards.map((parent) => `*.${parent}`)]).toEqual(closed);
  });
});

describe("names in a static tier", () => {
  const resolved = {
    "a.test": ["198.18.0.7", "2001:2::7"],
    "b.test": ["198.18.0.7"],
    "c.test": ["198.18.0.9"],
  };
  const destinations = (given: Case, moment = MOMENT) => {
    const { policy } = compose({ tier: "dig", resolved, ...given }, moment);
    const { learned, timed } = policy;
    return {
      learned: learned.kind === "fixed" ? learned.destinations.map(renderDestination) : [],
      timed: timed?.allow.map(renderDestination) ?? [],
    };
  };

  test.each<{ name: string } & Case & { expected: ReturnType<typeof destinations> }>([
    {
      name: "open the addresses that they resolved to, on their ports",
      profile: ["a.test", "b.test:443", "c.test:53/udp"],
      expected: {
        learned: ["198.18.0.7", "2001:2::7", "198.18.0.7 tcp:443", "198.18.0.7 udp:443", "198.18.0.9 udp:53"],
        timed: [],
      },
    },
    {
      name: "denied open nothing, and leave alone what another name shares with them",
      profile: ["a.test", "b.test"],
      decided: ["deny a.test", "allow c.test", "deny c.test --for 1m"],
      expected: { learned: ["198.18.0.7"], timed: [] },
    },
    {
      name: "below a denied wildcard open nothing",
      profile: ["a.test"],
      decided: ["deny *.test"],
      expected: { learned: [], timed: [] },
    },
    {
      name: "denied on some ports keep the others of TCP and UDP",
      profile: ["b.test"],
      decided: ["deny b.test:443"],
      expected: {
        learned: [
          "198.18.0.7 tcp:0-442",
          "198.18.0.7 tcp:444-65535",
          "198.18.0.7 udp:0-442",
          "198.18.0.7 udp:444-65535",
        ],
        timed: [],
      },
    },
    {
      name: "allowed for a time end by themselves",
      profile: ["b.test:443/tcp"],
      decided: ["allow b.test --for 1m", "deny c.test", "allow c.test --for 1m"],
      expected: {
        learned: ["198.18.0.7 tcp:443"],
        timed: ["198.18.0.7 for 60 s", "198.18.0.9 for 60 s"],
      },
    },
    {
      name: "that no entry opens open nothing, though they were resolved",
      expected: { learned: [], timed: [] },
    },
  ])("$name", ({ expected, name: _, ...given }) => expect(destinations(given)).toEqual(expected));

  test("have no place in dnsmasq's files", () => {
    const { names, closedInBypass } = compose({
      tier: "getent",
      profile: ["a.test"],
      decided: ["deny b.test"],
    });
    expect(names).toEqual({ exact: [], wildcards: [], closedExact: [], closedWildcards: [] });
    expect(closedInBypass).toEqual(names);
  });

  test.each([
    "10.77.0.7",
    "100.64.7.7",
    "169.254.169.254",
    "127.0.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
  ])("never open the private address %s, even where an entry opens it", (address) => {
    for (const decided of [[], ["allow rebind.test --for 1m"]]) {
      const { policy, notes } = compose({
        tier: "dig",
        profile: decided.length === 0 ? ["rebind.test", "10.0.0.0/8"] : ["10.0.0.0/8"],
        decided,
        resolved: { "rebind.test": ["198.18.0.7", address, address] },
      });
      const { learned, timed } = policy;
      const opened = [...(learned.kind === "fixed" ? learned.destinations : []), ...(timed?.allow ?? [])];
      expect(opened.map(({ range }) => renderIpRange(range))).toEqual(["198.18.0.7"]);
      expect(notes).toEqual(["rebind.test answers a private address, which stays closed"]);
    }
  });
});

test("the names to look up are those that are open themselves", () => {
  const state = stateOf({
    tier: "dig",
    profile: ["a.test", "b.test:443", "c.test", "198.18.0.7"],
    decided: [
      "allow d.test",
      "allow e.test --for 1m",
      "deny a.test",
      "deny b.test:1-1000",
      "deny c.test:443",
    ],
  });
  expect(openExactNames(state)).toEqual(["c.test", "d.test", "e.test"]);
});

// What the rules say, written down a second time and naively: what is open is what an allow says that no deny says.

const DOMAINS = [
  "test",
  "a.test",
  "b.test",
  "a.a.test",
  "b.a.test",
  "a.a.a.test",
  "x.test",
  "x.a.test",
  "x.a.a.test",
];
const PORTS = ["", ":1", ":2/tcp", ":1-2", ":2-9/udp"];
const rule = fc
  .tuple(fc.constantFrom("", "*."), fc.constantFrom(...DOMAINS.slice(1, 6)), fc.constantFrom(...PORTS))
  .map((parts) => parts.join(""));
const decided = fc.uniqueArray(
  fc.tuple(fc.constantFrom("allow", "deny"), rule, fc.constantFrom("", " --for 1m", " --for 2m")),
  { maxLength: 6, selector: ([, target, time]) => `${target} ${time === ""}` },
);

const PROBES = [
  { protocol: "tcp", port: 1 },
  { protocol: "tcp", port: 2 },
  { protocol: "udp", port: 2 },
  { protocol: "udp", port: 9 },
  { protocol: "icmp", port: 0 },
] as const;
type Probe = (typeof PROBES)[number];

function includes(area: PortArea, { protocol, port }: Probe): boolean {
  if (protocol === "icmp") return area.other;
  return area[protocol].some(({ first, last }) => first <= port && port <= last);
}

function isAbout({ entry }: Pick<Decision, "entry">, name: string, probe: Probe): boolean {
  const isName =
    entry.kind === "name"
      ? entry.name === name
      : entry.kind === "wildcard" && name.endsWith(`.${entry.parent}`);
  return isName && includes(areaOf(entry.ports), probe);
}

function isOpenByTheBook(state: ContainerState, name: string, probe: Probe): boolean {
  const about = state.decisions.filter((decision) => isAbout(decision, name, probe));
  const denies = about.filter(({ verdict }) => verdict === "deny");
  const isLiftedBy = (allow: Decision, deny: Decision) =>
    allow.lease !== undefined &&
    deny.lease === undefined &&
    JSON.stringify(allow.entry) === JSON.stringify(deny.entry);
  return (
    (denies.length === 0 && state.entries.some((entry) => isAbout({ entry }, name, probe))) ||
    about.some((allow) => allow.verdict === "allow" && denies.every((deny) => isLiftedBy(allow, deny)))
  );
}

function isOpenInPolicy({ policy, names }: Composition, name: string, probe: Probe): boolean {
  const { learned } = policy;
  if (learned.kind !== "by-resolver") return expect.unreachable();
  const areas = new Map(learned.scopes.map(({ id, area }) => [id, area]));
  return scopesOfName(names, name).some((scope) =>
    includes(scope === 0 ? EVERY_PORT : (areas.get(scope) ?? expect.unreachable()), probe),
  );
}

describe("whatever is allowed and denied", () => {
  const states = fc
    .tuple(fc.uniqueArray(rule, { maxLength: 4 }), decided)
    .map(([profile, said]) =>
      stateOf({ profile, decided: said.map((words) => words.join(" ").replace("  ", " ")) }),
    );

  test("a name opens no port that the rules do not open, and every one unless dnsmasq cannot tell it", () => {
    let open = 0;
    fc.assert(
      fc.property(states, (state) => {
        const composition = composePolicy(state, MOMENT);
        for (const name of DOMAINS) {
          for (const probe of PROBES) {
            const expected = isOpenByTheBook(state, name, probe);
            const actual = isOpenInPolicy(composition, name, probe);
            if (composition.conflicts.length === 0)
              expect([name, probe, actual]).toEqual([name, probe, expected]);
            else if (actual) expect([name, probe, expected]).toEqual([name, probe, true]);
            if (actual) open++;
          }
        }
      }),
      { numRuns: 200 },
    );
    expect(open).toBeGreaterThan(200);
  });

  test("dnsmasq can carry it out", () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(findScopeConflict(composePolicy(state, MOMENT).names)).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  test("a name that is denied on a port is closed in bypass, unless the deny is lifted", () => {
    fc.assert(
      fc.property(states, (state) => {
        const { closedInBypass } = composePolicy(state, MOMENT);
        const everything = {
          exact: DOMAINS.map((name) => ({ name, scope: 0 })),
          wildcards: [],
          ...closedInBypass,
        };
        for (const name of DOMAINS) {
          const isDenied = PROBES.some(
            (probe) =>
              state.decisions.some((deny) => deny.verdict === "deny" && isAbout(deny, name, probe)) &&
              !isOpenByTheBook(state, name, probe),
          );
          if (isDenied) expect([name, isNameOpen(everything, name)]).toEqual([name, false]);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("whatever ranges are allowed and denied", () => {
  const target = fc
    .tuple(
      fc.constantFrom("198.18.0.0/30", "198.18.0.0/31", "198.18.0.1", "198.18.0.2"),
      fc.constantFrom(...PORTS),
    )
    .map((parts) => parts.join(""));
  const said = fc.uniqueArray(
    fc.tuple(fc.constantFrom("allow", "deny"), target, fc.constantFrom("", " --for 1m")),
    { maxLength: 6, selector: ([, text, time]) => `${text} ${time}` },
  );
  const addresses = ["198.18.0.0", "198.18.0.1", "198.18.0.2", "198.18.0.3"].map(parseIpRange);

  test("the kernel is told what the rules say", () => {
    fc.assert(
      fc.property(fc.uniqueArray(target, { maxLength: 2 }), said, (profile, decisions) => {
        const state = stateOf({
          profile,
          decided: decisions.map((words) => words.join(" ").replace("  ", " ")),
        });
        const { allow, deny, timed } = composePolicy(state, MOMENT).policy;
        for (const address of addresses) {
          for (const probe of PROBES) {
            const has = ({ range, ports }: Destination) =>
              coversRange([range], address) && includes(areaOf(ports), probe);
            const isSame = (left: Destination, right: Destination) =>
              renderDestination({ range: left.range, ...(left.ports && { ports: left.ports }) }) ===
              renderDestination({ range: right.range, ...(right.ports && { ports: right.ports }) });
            const lifted = timed?.lift ?? [];
            const isDenied =
              (timed?.deny ?? []).some(has) ||
              deny.some((entry) => has(entry) && !lifted.some((lift) => isSame(lift, entry)));
            const actual = !isDenied && [...allow, ...(timed?.allow ?? [])].some(has);
            const about = ({ entry }: Pick<Decision, "entry">) =>
              entry.kind === "range" &&
              coversRange([parseIpRange(entry.range)], address) &&
              includes(areaOf(entry.ports), probe);
            const denies = state.decisions.filter((one) => one.verdict === "deny" && about(one));
            const inForce = denies.filter(
              (one) =>
                one.lease !== undefined ||
                !state.decisions.some(
                  (other) =>
                    other.verdict === "allow" &&
                    other.lease !== undefined &&
                    JSON.stringify(other.entry) === JSON.stringify(one.entry),
                ),
            );
            const expected =
              inForce.length === 0 &&
              (state.entries.some((entry) => about({ entry })) ||
                state.decisions.some((one) => one.verdict === "allow" && about(one)));
            expect([renderIpRange(address), probe, actual]).toEqual([
              renderIpRange(address),
              probe,
              expected,
            ]);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

test("whatever was decided, about names and ranges, in every tier and mode: there are rules for it", () => {
  const target = fc.constantFrom(
    "a.test",
    "a.test:443",
    "b.a.test:1-9/udp",
    "*.a.test",
    "*.a.test:80",
    "0.0.0.0/0",
    "10.0.0.0/8:53",
    "198.18.0.7",
    "[2001:2::/48]:443/tcp",
  );
  const words = fc.uniqueArray(
    fc.tuple(fc.constantFrom("allow", "deny"), target, fc.constantFrom("", " --for 1m", " --for 2m")),
    { maxLength: 8, selector: ([, text, time]) => `${text} ${time === ""}` },
  );
  const mode = fc.constantFrom<ContainerState["mode"]>(
    { kind: "up" },
    { kind: "block" },
    { kind: "down", privateRanges: "open", run: RUN, lease: startLease(90, MOMENT, RUN) },
  );
  const resolved = { "a.test": ["198.18.0.7", "10.0.0.1"], "b.a.test": ["2001:2::7"] };
  fc.assert(
    fc.property(
      fc.constantFrom<ContainerState["tier"]>("dnsmasq", "dig"),
      fc.uniqueArray(target, { maxLength: 3 }),
      words,
      mode,
      fc.constantFrom(0, 70, 200),
      (tier, profile, said, inMode, seconds) => {
        const decided = said.map((parts) => parts.join(" ").replace("  ", " "));
        const state = stateOf({ tier, profile, decided, mode: inMode, resolved });
        const { policy, mode: composed } = composePolicy(state, later(seconds));
        expect(() => renderRuleset(policy, composed)).not.toThrow();
      },
    ),
  );
});
