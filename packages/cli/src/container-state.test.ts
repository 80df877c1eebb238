import { parseIpRange } from "@terok-shield/nft-ruleset";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { entryOf } from "../testing/test-state.ts";
import {
  type ContainerState,
  isBeforeDecisions,
  newContainerState,
  parseContainerState,
  renderContainerState,
} from "./container-state.ts";
import type { Decision } from "./decision.ts";
import type { Lease } from "./lease.ts";
import { ShieldError } from "./shield-error.ts";

const ranges = (...texts: string[]) => texts.map(parseIpRange);

const STATE: ContainerState = {
  container: "web",
  revision: 7,
  request: {
    profiles: ["base", "mine"],
    published: [{ protocol: "tcp", port: 80 }],
    trustedMounts: ["/home/me/src"],
    network: "slirp4netns",
    loopbackPorts: [5432],
  },
  tier: "dnsmasq",
  auditEnabled: true,
  dnsTimeoutSeconds: 1800,
  entries: [
    { ...entryOf("good.example:443"), source: { file: "/profiles/mine.txt", line: 3 } },
    { ...entryOf("203.0.113.0/24"), source: { file: "/profiles/mine.txt", line: 4 } },
  ],
  resolved: new Map([["good.example", ["198.18.0.7", "2001:2::7"]]]),
  network: {
    upstream: parseIpRange("10.0.2.3"),
    reserved: ranges("10.0.2.0/24", "fd00::/64"),
    hostLoopback: { addresses: ranges("10.0.2.2"), ports: [5432] },
  },
  decisions: [
    { verdict: "deny", entry: entryOf("*.bad.example"), decidedAt: "2026-12-01T10:15:00.000Z" },
    {
      verdict: "allow",
      entry: entryOf("[2001:2::9]:8000-8010/udp"),
      decidedAt: "2026-12-01T10:16:00.000Z",
      lease: {
        until: "2026-12-01T10:46:00.000Z",
        seconds: 1800,
        bootId: "6f1c",
        deadline: 5432.25,
        run: "5fd1b8:7:100",
      },
    },
  ],
  mode: { kind: "down", privateRanges: "closed", run: "5fd1b8:7:100" },
  scopes: { nextId: 3, byKey: new Map([["tcp:443 udp:443", 1]]) },
  queryGeneration: 2,
  flowGeneration: 1,
};

test("state.json is one line of JSON that a person can read, entries as they are written in profiles", () => {
  expect(renderContainerState(STATE)).toBe(
    `${JSON.stringify({
      version: 2,
      container: "web",
      revision: 7,
      request: STATE.request,
      tier: "dnsmasq",
      auditEnabled: true,
      dnsTimeoutSeconds: 1800,
      entries: [
        { entry: "good.example:443", file: "/profiles/mine.txt", line: 3 },
        { entry: "203.0.113.0/24", file: "/profiles/mine.txt", line: 4 },
      ],
      resolved: { "good.example": ["198.18.0.7", "2001:2::7"] },
      network: {
        upstream: "10.0.2.3",
        reserved: ["10.0.2.0/24", "fd00::/64"],
        hostLoopback: { addresses: ["10.0.2.2"], ports: [5432] },
      },
      decisions: [
        { verdict: "deny", entry: "*.bad.example", decidedAt: "2026-12-01T10:15:00.000Z" },
        { ...STATE.decisions[1], entry: "[2001:2::9]:8000-8010/udp" },
      ],
      mode: { kind: "down", privateRanges: "closed", run: "5fd1b8:7:100" },
      scopes: { nextId: 3, byKey: { "tcp:443 udp:443": 1 } },
      queryGeneration: 2,
      flowGeneration: 1,
    })}\n`,
  );
});

const range = fc
  .oneof(
    fc.tuple(fc.ipV4(), fc.nat({ max: 32 })).map(([address, length]) => `${address}/${length}`),
    fc.tuple(fc.ipV6(), fc.nat({ max: 128 })).map(([address, length]) => `${address}/${length}`),
  )
  .map(parseIpRange);
const list = fc.array(range, { maxLength: 5 });
const port = fc.integer({ min: 1, max: 65_535 });
const published = fc.array(fc.record({ protocol: fc.constantFrom<("tcp" | "udp")[]>("tcp", "udp"), port }), {
  maxLength: 3,
});
const entry = fc
  .constantFrom("a.test", "b.a.test:443", "*.a.test", "*.com:1-9/tcp", "198.18.0.0/15", "[2001:2::7]:53/udp")
  .map(entryOf);
const time = fc
  .date({ noInvalidDate: true, min: new Date("2000-01-01"), max: new Date("2999-01-01") })
  .map((date) => date.toISOString());
const lease: fc.Arbitrary<Lease> = fc.record(
  {
    until: time,
    seconds: fc.integer({ min: 1, max: 2_592_000 }),
    bootId: fc.string(),
    deadline: fc.integer({ min: 0 }),
    run: fc.string(),
  },
  { requiredKeys: ["until", "seconds", "bootId", "deadline"] },
);
const decision: fc.Arbitrary<Decision> = fc.record(
  { verdict: fc.constantFrom("allow" as const, "deny" as const), entry, decidedAt: time, lease },
  { requiredKeys: ["verdict", "entry", "decidedAt"] },
);
const generation = fc.integer({ min: 0, max: 0xffff });
const state: fc.Arbitrary<ContainerState> = fc.record({
  container: fc.string(),
  revision: fc.integer({ min: 1 }),
  request: fc.record({
    profiles: fc.array(fc.string()),
    published,
    trustedMounts: fc.array(anyText()),
    network: fc.constantFrom("slirp4netns" as const, "pasta" as const),
    loopbackPorts: fc.array(port),
  }),
  tier: fc.constantFrom<ContainerState["tier"][]>("dnsmasq", "dig", "getent"),
  auditEnabled: fc.boolean(),
  dnsTimeoutSeconds: fc.integer({ min: 1 }),
  entries: fc.array(
    fc
      .tuple(entry, fc.string(), fc.integer({ min: 1 }))
      .map(([target, file, line]) => ({ ...target, source: { file, line } })),
  ),
  resolved: fc
    .dictionary(fc.constantFrom("a.test", "_b.a.test"), fc.array(fc.oneof(fc.ipV4(), fc.ipV6())))
    .map((record) => new Map(Object.entries(record))),
  network: fc.record(
    {
      upstream: range,
      reserved: list,
      hostLoopback: fc.record({ addresses: list, ports: fc.array(port) }),
    },
    { requiredKeys: ["reserved"] },
  ),
  decisions: fc.uniqueArray(decision, {
    selector: ({ entry: target, lease: end }) => `${JSON.stringify(target)} ${end !== undefined}`,
  }),
  mode: fc.oneof(
    fc.constant({ kind: "up" as const }),
    fc.constant({ kind: "block" as const }),
    fc.record(
      {
        kind: fc.constant("down" as const),
        privateRanges: fc.constantFrom("open" as const, "closed" as const),
        run: fc.string(),
        lease,
      },
      { requiredKeys: ["kind", "privateRanges", "run"] },
    ),
  ),
  scopes: fc.record({
    nextId: fc.integer({ min: 1, max: 65_535 }),
    byKey: fc
      .uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 5 })
      .map((ids) => new Map(ids.map((id) => [`tcp:${id}`, id]))),
  }),
  queryGeneration: generation,
  flowGeneration: generation,
});

test("what was written is read", () => {
  fc.assert(
    fc.property(state, (written) => {
      expect(parseContainerState(renderContainerState(written), "state.json")).toEqual(written);
    }),
  );
});

const GOOD = JSON.parse(renderContainerState(STATE));
const DECISION = GOOD.decisions[1];
const damage = (change: object) => JSON.stringify({ ...GOOD, ...change });

describe("a file that is not a state of ours is refused, and never replaced", () => {
  test.each([
    ["no text", ""],
    ["a torn file", renderContainerState(STATE).slice(0, 200)],
    ["null", "null"],
    ["a list", "[]"],
    ["no version", damage({ version: undefined })],
    ["a version that was never", damage({ version: 0 })],
    ["a newer version", damage({ version: 3 })],
    ["a version as text", damage({ version: "2" })],
    ["an unknown key", damage({ extra: 1 })],
    ["an unknown key in a decision", damage({ decisions: [{ ...DECISION, open: true }] })],
    ["a missing list", damage({ decisions: undefined })],
    ["another tier", damage({ tier: "unbound" })],
    ["another network", damage({ request: { ...GOOD.request, network: "host" } })],
    ["a revision of 0", damage({ revision: 0 })],
    [
      "a revision beyond what a number can hold",
      JSON.stringify(GOOD).replace('"revision":7', '"revision":1e999'),
    ],
    ["text that is no range", damage({ network: { ...GOOD.network, reserved: ["010.0.0.1"] } })],
    ["a port of 0", damage({ request: { ...GOOD.request, loopbackPorts: [0] } })],
    ["text that is no entry", damage({ entries: [{ ...GOOD.entries[0], entry: "a; drop" }] })],
    ["an entry in another spelling", damage({ decisions: [{ ...DECISION, entry: "BAD.example" }] })],
    ["an entry with host bits", damage({ decisions: [{ ...DECISION, entry: "198.18.0.1/15" }] })],
    ["another verdict", damage({ decisions: [{ ...DECISION, verdict: "log" }] })],
    [
      "two permanent decisions about one entry",
      damage({ decisions: [GOOD.decisions[0], { ...GOOD.decisions[0], verdict: "allow" }] }),
    ],
    [
      "two temporary decisions about one entry",
      damage({ decisions: [DECISION, { ...DECISION, verdict: "deny" }] }),
    ],
    [
      "a lease without an end",
      damage({ decisions: [{ ...DECISION, lease: { ...DECISION.lease, until: "never" } }] }),
    ],
    [
      "a lease of no length",
      damage({ decisions: [{ ...DECISION, lease: { ...DECISION.lease, seconds: 0 } }] }),
    ],
    [
      "a lease of a year",
      damage({ decisions: [{ ...DECISION, lease: { ...DECISION.lease, seconds: 31_536_000 } }] }),
    ],
    ["bypass without a run", damage({ mode: { kind: "down", privateRanges: "closed" } })],
    ["another mode", damage({ mode: { kind: "off" } })],
    ["an answer for no name", damage({ resolved: { "198.18.0.7": ["198.18.0.7"] } })],
    ["an answer that is a range", damage({ resolved: { "a.test": ["198.18.0.0/15"] } })],
    ["a scope of 0", damage({ scopes: { nextId: 1, byKey: { "tcp:1": 0 } } })],
    ["two keys of one scope", damage({ scopes: { nextId: 9, byKey: { "tcp:1": 1, "tcp:2": 1 } } })],
    ["a generation of 17 bits", damage({ flowGeneration: 65_536 })],
  ])("%s", (_, text) => {
    expect(() => parseContainerState(text, "/state/web/state.json")).toThrow(
      new ShieldError(
        "/state/web/state.json is damaged or of another version, so nobody knows what was allowed and denied. Remove the file, run terok-shield prepare again, and decide anew.",
      ),
    );
    expect(isBeforeDecisions(text)).toBe(false);
  });

  test("one of the first version, which knew no decisions, only has to be prepared again", () => {
    const text = JSON.stringify({ version: 1, container: "web", policy: {} });
    expect(() => parseContainerState(text, "/state/web/state.json")).toThrow(
      new ShieldError(
        "/state/web/state.json is of an earlier version of terok-shield. Run terok-shield prepare again for this container.",
      ),
    );
    expect(isBeforeDecisions(text)).toBe(true);
  });

  test("keys of JavaScript's own objects are names like others, or refused", () => {
    const text = JSON.stringify(GOOD).replace('"byKey":{', '"byKey":{"__proto__":5,"constructor":6,');
    const { byKey } = parseContainerState(text, "state.json").scopes;
    expect(byKey.get("constructor")).toBe(6);
    expect(byKey.get("tcp:443 udp:443")).toBe(1);
  });
});

test("whatever stands somewhere in the file, it is refused, or a state that reads the same when it was written again", () => {
  const hostile = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(
      "a.test",
      "198.18.0.1/15",
      "__proto__",
      0,
      -1,
      65_536,
      2 ** 53,
      "2026-02-30T00:00:00.000Z",
    ),
  );
  const text = fc.oneof(
    anyText(),
    fc
      .tuple(fc.constantFrom(...placesIn(GOOD)), hostile)
      .map(([place, value]) => JSON.stringify(withValue(GOOD, place, value))),
  );
  let states = 0;
  fc.assert(
    fc.property(text, (file) => {
      try {
        const read = parseContainerState(file, "state.json");
        states += 1;
        expect(parseContainerState(renderContainerState(read), "state.json")).toEqual(read);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldError);
      }
    }),
    { numRuns: 500 },
  );
  expect(states).toBeGreaterThan(0);
});

/** The ways to every value in a document. */
function placesIn(value: unknown, way: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [way];
  return [way, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...way, key]))];
}

function withValue(document: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const inner = withValue((document as Record<string, unknown>)[key], rest, value);
  return Array.isArray(document)
    ? document.with(Number(key), inner)
    : { ...(document as object), [key]: inner };
}

test("a new container is at revision 0, up, with nothing decided", () => {
  const { revision, decisions, mode, scopes, queryGeneration, flowGeneration, ...asked } = STATE;
  expect(newContainerState(asked)).toEqual({
    ...asked,
    revision: 0,
    decisions: [],
    mode: { kind: "up" },
    scopes: { nextId: 1, byKey: new Map() },
    queryGeneration: 0,
    flowGeneration: 0,
  });
});
