import type { NameEvent, PacketEvent, PacketVerdict, ShieldEvent } from "@terok-shield/audit";
import { coversRange, METADATA_ADDRESSES, PRIVATE_RANGES, parseIpRange } from "@terok-shield/nft-ruleset";
import { coversEntry, parseProfile, renderEntry } from "@terok-shield/profiles";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { entryOf } from "../testing/test-state.ts";
import { canonicaliseRange } from "./decision.ts";
import { MOST_PROPOSED, type PresentPolicy, proposeProfile } from "./learn.ts";
import { appendLearned, renderAdded, renderApart } from "./learn-profile.ts";

const ORIGIN = { v: 1, ts: "2026-11-24T06:00:00.000Z", container: "web" } as const;

/** `bypass tcp good.test 198.18.0.10 443`; a name of `-` is none. */
function packet(text: string): PacketEvent {
  const [verdict = "", protocol = "", name = "-", address = "", port] = text.split(" ");
  return {
    ...ORIGIN,
    action: "packet",
    verdict: verdict as PacketVerdict,
    protocol,
    address,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(name === "-" ? {} : { name }),
  };
}

function asked(name: string, queryType = "A"): NameEvent {
  return { ...ORIGIN, action: "name", verdict: "refused", name, queryType };
}

function present(more: Partial<PresentPolicy> = {}): PresentPolicy {
  return {
    inForce: [],
    denied: [],
    hasWildcards: true,
    answers: new Map(),
    findFault: () => undefined,
    findConflict: () => undefined,
    ...more,
  };
}

function propose(events: readonly ShieldEvent[], more: Partial<PresentPolicy> = {}) {
  const proposal = proposeProfile(events, present(more));
  return {
    added: proposal.added.map(({ entry }) => renderEntry(entry)),
    kept: proposal.kept.map(renderEntry),
    apart: proposal.apart.map(({ what, reason }) => `${what}: ${reason}`),
    proposal,
  };
}

const web = (name: string, port = 443) => packet(`bypass tcp ${name} 198.18.0.10 ${port}`);

describe("what is proposed", () => {
  test.each<[string, ShieldEvent[], string[]]>([
    ["the name before its address, with its port", [web("good.test")], ["good.test:443/tcp"]],
    ["an address without a name", [packet("blocked tcp - 198.18.0.10 22")], ["198.18.0.10:22/tcp"]],
    ["IPv6", [packet("blocked udp - 2001:2::10 443")], ["[2001:2::10]:443/udp"]],
    ["each once, however often it was used", [web("good.test"), web("good.test")], ["good.test:443/tcp"]],
    [
      "each protocol and port in a line, neighbours in a range",
      [80, 8001, 8000, 8003]
        .map((port) => web("good.test", port))
        .concat(packet("bypass udp good.test 198.18.0.10 80")),
      ["good.test:80/tcp", "good.test:8000-8001/tcp", "good.test:8003/tcp", "good.test:80/udp"],
    ],
    [
      "a name that was refused, without a port",
      [asked("good.test"), asked("good.test", "AAAA")],
      ["good.test"],
    ],
    [
      "ports, where they are known, before none",
      [asked("good.test"), web("good.test")],
      ["good.test:443/tcp"],
    ],
    [
      "a name by which an open address was reached",
      [packet("allowed tcp good.test 198.18.0.10 80")],
      ["good.test:80/tcp"],
    ],
    ["nothing for what is allowed by its address", [packet("allowed tcp - 198.18.0.10 80")], []],
    [
      "parents before what is below them, addresses last",
      [packet("blocked tcp - 198.18.0.1 80"), web("z.good.test"), web("good.test"), web("a.test")],
      ["a.test:443/tcp", "good.test:443/tcp", "z.good.test:443/tcp", "198.18.0.1:80/tcp"],
    ],
  ])("%s", (_, events, expected) => {
    const { added, apart } = propose(events);
    expect(added).toEqual(expected);
    expect(apart).toEqual([]);
  });

  test("what is in force stays, and is no addition; a part of its ports is none", () => {
    const events = [web("good.test"), web("api.good.test"), web("other.test", 80), asked("third.test")];
    const inForce = ["good.test:443", "*.good.test", "other.test:443", "third.test:22"].map(entryOf);
    const { added, kept } = propose(events, { inForce });
    expect(added).toEqual(["other.test:80/tcp"]);
    expect(kept).toEqual(["good.test:443/tcp", "api.good.test:443/tcp"]);
  });

  test("a name that was looked up and shares an address that was used, unless it has uses of its own", () => {
    const answers = new Map([
      ["good.test", new Set(["198.18.0.10"])],
      ["twin.test", new Set(["198.18.0.10"])],
      ["idle.test", new Set(["198.18.0.77"])],
      ["own.test", new Set(["198.18.0.10"])],
    ]);
    const { added, proposal } = propose([web("good.test"), web("own.test", 80)], { answers });
    expect(added).toEqual(["good.test:443/tcp", "own.test:80/tcp", "twin.test:80/tcp", "twin.test:443/tcp"]);
    expect(renderAdded(proposal.added)).toContain(
      "# looked up, and may have been used: its address is one of good.test",
    );
  });
});

describe("wildcards", () => {
  const family = ["a", "b", "c"].map((label) => web(`${label}.good.test`));
  test("for three names of one parent and the same ports, marked with what was seen", () => {
    const { added, proposal } = propose([...family, web("good.test")]);
    expect(added).toEqual(["good.test:443/tcp", "*.good.test:443/tcp"]);
    expect(renderAdded(proposal.added)).toEqual([
      "good.test:443/tcp",
      "# wider than what was seen: a.good.test b.good.test c.good.test",
      "*.good.test:443/tcp",
    ]);
  });

  const names = (parent: string) => ["a", "b", "c"].map((label) => web(`${label}.${parent}`));
  test.each<[string, ShieldEvent[], Partial<PresentPolicy>]>([
    ["two names", family.slice(1), {}],
    ["names of a public suffix", names("co.uk"), {}],
    ["names of everybody's", names("github.io"), {}],
    ["different ports", [...family.slice(1), web("a.good.test", 80)], {}],
    ["names without a port", ["a", "b", "c"].map((label) => asked(`${label}.good.test`)), {}],
    ["names before the start, without a resolver", family, { hasWildcards: false }],
    [
      "what a resolver cannot tell apart",
      family,
      {
        findConflict: (entries) => (entries.some(({ kind }) => kind === "wildcard") ? "conflict" : undefined),
      },
    ],
  ])("none for %s", (_, events, more) => {
    const { added, apart } = propose(events, more);
    expect(added.filter((text) => text.startsWith("*"))).toEqual([]);
    expect(added).not.toEqual([]);
    expect(apart).toEqual([]);
  });
});

describe("what is set apart", () => {
  const RANDOM = "mzxw6ytboi4tsmjsgq.evil.test";
  test.each<[string, ShieldEvent, RegExp, Partial<PresentPolicy>?]>([
    ["a private address", packet("private tcp - 10.77.0.7 80"), /^10\.77\.0\.7:80\/tcp: a private address/],
    [
      "a private address in bypass of all",
      packet("bypass tcp home.test 192.168.77.7 80"),
      /^192\.168\.77\.7:80\/tcp # home\.test: a private/,
    ],
    [
      "a metadata address",
      packet("private tcp - 169.254.169.254 80"),
      /^169\.254\.169\.254:80\/tcp: a cloud metadata/,
    ],
    ["what is denied", packet("denied tcp good.test 198.18.0.10 80"), /you denied it$/],
    ["what was denied since", web("good.test"), /you denied it$/, { denied: [entryOf("*.test")] }],
    ["ICMP", packet("blocked icmp - 198.18.0.10"), /^198\.18\.0\.10 icmp: no entry can name that alone/],
    ["a resolver", packet("bypass udp dns.test 198.18.0.53 53"), /resolver of its own choice/],
    ["DNS in TLS", packet("blocked tcp - 198.18.0.53 853"), /resolver of its own choice/],
    ["a random name", asked(RANDOM), /random label/],
    [
      "a random name that was reached",
      web(RANDOM),
      /^mzxw6ytboi4tsmjsgq\.evil\.test:443\/tcp: a random label/,
    ],
    ["a TXT query", asked("good.test", "TXT"), /asked for by a TXT query/],
    ["a name that would be a wildcard", asked("*.good.test"), /^"\*\.good\.test": no entry can name it$/],
    ["a name that would be a wildcard and was reached", web("*.good.test"), /no entry can name it$/],
    ["a name that would be an address", asked("198.18.0.1"), /no entry can name it$/],
    ["a name with a port", asked("good.test:443"), /no entry can name it$/],
    ["a comment", asked("good.test#x"), /no entry can name it$/],
    ["a line end", asked("good.test\nevil.test"), /^"good.test\\nevil.test": no entry/],
    ["an escape", asked("\u001b]0;x\u0007.test"), /^"\\u001b]0;x\\u0007.test": no entry/],
    ["letters that reorder a line", asked("\u202egood.test"), /^"\\u\{202e\}good.test": no entry/],
    [
      "what opens nothing here",
      packet("blocked tcp - 198.18.0.2 80"),
      /own network$/,
      { findFault: () => "own network" },
    ],
    ["what a resolver cannot tell apart", web("good.test"), /no way$/, { findConflict: () => "no way" }],
  ])("%s", (_, event, expected, more) => {
    const { added, apart, proposal } = propose([event], more);
    expect(added).toEqual([]);
    expect(apart).toEqual([expect.stringMatching(expected)]);
    const lines = renderApart(proposal.apart);
    expect(lines.filter((line) => !/^# [\x20-\x7e]+$/.test(line))).toEqual([]);
  });

  test("many names below one parent, as one", () => {
    const events = Array.from({ length: 40 }, (_, index) => asked(`d${index}.x.t.evil.test`));
    const { added, apart } = propose([...events, web("good.test")]);
    expect(added).toEqual(["good.test:443/tcp"]);
    expect(apart).toEqual(["*.evil.test: many names below one parent can carry data out"]);
  });

  test("scans of ports, of addresses, and of more than anybody reads", () => {
    const ports = Array.from({ length: 40 }, (_, port) => web("good.test", port * 2 + 100));
    expect(propose(ports)).toMatchObject({
      added: [],
      apart: ["good.test: 40 different ports: this looks like a scan"],
    });
    const hosts = Array.from({ length: 90 }, (_, host) => packet(`blocked tcp - 198.18.7.${host} 80`));
    expect(propose(hosts)).toMatchObject({
      added: [],
      apart: ["90 addresses without a name: so many look like a scan"],
    });
    const names = Array.from({ length: MOST_PROPOSED + 1 }, (_, host) => web(`a.host${host}.test`));
    expect(propose(names).added).toHaveLength(MOST_PROPOSED);
    expect(propose(names).apart).toHaveLength(1);
  });
});

test("what the log left out is counted", () => {
  const sampled = { ...ORIGIN, action: "sampled", detail: "", leftOut: { blocked: 3, bypass: 4 } } as const;
  expect(propose([sampled]).proposal.leftOut).toBe(7);
});

const label = fc.constantFrom(
  "a",
  "b",
  "c",
  "api",
  "xn--80ak6aa92e",
  "qzxkvwjhplmtrnbs",
  "*",
  "1",
  "a b",
  "#",
  "\n",
);
const name = fc.oneof(
  fc
    .tuple(label, fc.constantFrom("good.test", "other.test", "co.uk", "test"))
    .map((labels) => labels.join(".")),
  anyText({ maxLength: 60 }),
);
const address = fc.constantFrom(
  "198.18.0.10",
  "198.18.0.11",
  "2001:2::10",
  "10.0.0.1",
  "169.254.169.254",
  "fd00::1",
  "no address",
);
const sibling: fc.Arbitrary<ShieldEvent> = fc
  .constantFrom("a", "b", "c", "d")
  .map((first) => web(`${first}.family.test`));
const anyEvent: fc.Arbitrary<ShieldEvent> = fc.oneof(
  sibling,
  fc
    .record({
      verdict: fc.constantFrom("allowed", "bypass", "blocked", "denied", "private"),
      protocol: fc.constantFrom("tcp", "udp", "icmp", "protocol 7"),
      address,
      port: fc.option(fc.constantFrom(0, 53, 80, 81, 443, 65_535), { nil: undefined }),
      name: fc.option(name, { nil: undefined }),
    })
    .map(
      ({ port, name: led, ...event }) =>
        ({
          ...{ ...ORIGIN, action: "packet", ...event },
          ...(port === undefined ? {} : { port }),
          ...(led === undefined ? {} : { name: led }),
        }) as PacketEvent,
    ),
  fc.tuple(name, fc.constantFrom("A", "AAAA", "TXT")).map(([of, type]) => asked(of, type)),
);

test("whatever happened: the profile parses to the entries proposed, and opens nothing that was not seen but by a marked wildcard", () => {
  const parse = (text: string) => parseProfile(text, { file: "learned.txt", canonicaliseRange });
  let [proposed, widened] = [0, 0];
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      const { proposal } = propose(events);
      const block = { container: "web", at: new Date(0) };
      const text = appendLearned("# mine\nkept.test\n", proposal, block);
      expect(text).toMatch(/^[\x20-\x7e\n]*$/);
      const entries = parse(text);
      expect(entries.map(renderEntry)).toEqual([
        "kept.test",
        ...proposal.added.map(({ entry }) => renderEntry(entry)),
      ]);
      const seen = events.flatMap((event) => {
        if (event.action === "name") return [{ host: event.name }];
        if (event.action !== "packet" || event.verdict === "denied" || event.verdict === "private") return [];
        const { protocol, port } = event;
        return [{ host: event.name ?? event.address, port, protocol }];
      });
      for (const { entry, names } of proposal.added) {
        proposed += 1;
        if (entry.kind === "range") expect(isSpecial(entry.range)).toBe(false);
        const hosts = names ?? [
          entry.kind === "range" ? entry.range : entry.kind === "name" ? entry.name : "",
        ];
        if (entry.kind === "wildcard") {
          widened += 1;
          expect(hosts.length).toBeGreaterThanOrEqual(3);
          expect(text).toContain(`# wider than what was seen: ${hosts.join(" ")}\n${renderEntry(entry)}\n`);
        }
        const { ports } = entry;
        for (const host of hosts) {
          if (ports === undefined) expect(seen).toContainEqual({ host });
          for (let port = ports?.first ?? 1; port <= (ports?.last ?? 0); port++) {
            expect(seen).toContainEqual({ host, port, protocol: ports?.protocol });
          }
        }
      }
    }),
    { numRuns: 1000 },
  );
  expect(proposed).toBeGreaterThan(100);
  expect(widened).toBeGreaterThan(10);
});

function isSpecial(range: string): boolean {
  return coversRange([...PRIVATE_RANGES, ...METADATA_ADDRESSES], parseIpRange(range));
}

test("whatever was used by plain names and ports is covered by what is proposed", () => {
  const use = fc.record({
    protocol: fc.constantFrom("tcp", "udp"),
    name: fc
      .tuple(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("good.test", "other.test"))
      .map((labels) => labels.join(".")),
    port: fc.integer({ min: 80, max: 84 }),
  });
  fc.assert(
    fc.property(fc.array(use, { maxLength: 30 }), (uses) => {
      const events = uses.map(({ protocol, name: host, port }) =>
        packet(`bypass ${protocol} ${host} 198.18.0.10 ${port}`),
      );
      const { proposal } = propose(events);
      for (const { protocol, name: host, port } of uses) {
        const used = entryOf(`${host}:${port}/${protocol}`);
        expect(proposal.added.some(({ entry }) => coversEntry(entry, used, () => false))).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test("what was learned goes to the end of a profile, and what was set apart is not set apart again", () => {
  const { proposal } = propose([web("good.test"), packet("private tcp - 10.77.0.7 80")]);
  const block = { container: "web", at: new Date("2026-11-24T06:00:00Z") };
  const once = appendLearned("# mine\nkept.test # because\n\n", proposal, block);
  expect(once).toBe(`# mine
kept.test # because

# learned from web, 2026-11-24 06:00 UTC
good.test:443/tcp
# set apart, not open:
# 10.77.0.7:80/tcp  # once: a private address: of your own network, not of the internet
`);
  const more = propose([web("other.test"), ...Array(2).fill(packet("private tcp - 10.77.0.7 80"))]);
  expect(appendLearned(once, more.proposal, block)).toBe(`${once}
# learned from web, 2026-11-24 06:00 UTC
other.test:443/tcp
`);
});
