import { parseIpRange } from "@terok-shield/nft-ruleset";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ContainerState, parseContainerState, renderContainerState } from "./container-state.ts";
import { ShieldError } from "./shield-error.ts";

const ranges = (...texts: string[]) => texts.map(parseIpRange);

const STATE: ContainerState = {
  container: "web",
  request: {
    profiles: ["base", "mine"],
    published: [{ protocol: "tcp", port: 80 }],
    trustedMounts: ["/home/me/src"],
    network: "slirp4netns",
    loopbackPorts: [5432],
  },
  tier: "dnsmasq",
  policy: {
    allow: ranges("203.0.113.0/24", "2001:db8::1"),
    deny: ranges("203.0.113.9"),
    learned: { kind: "by-resolver", timeoutSeconds: 1800 },
    upstream: parseIpRange("10.0.2.3"),
    reserved: ranges("10.0.2.0/24", "fd00::/64"),
    hostLoopback: { addresses: ranges("10.0.2.2"), ports: [5432] },
    published: [{ protocol: "tcp", port: 80 }],
  },
  names: { exact: ["example.com"], wildcards: ["example.org"] },
};

test("state.json is one line of JSON that names the version", () => {
  expect(renderContainerState(STATE)).toBe(
    `${JSON.stringify({
      version: 1,
      container: "web",
      request: STATE.request,
      tier: "dnsmasq",
      policy: {
        allow: ["203.0.113.0/24", "2001:db8::1"],
        deny: ["203.0.113.9"],
        learned: { kind: "by-resolver", timeoutSeconds: 1800 },
        upstream: "10.0.2.3",
        reserved: ["10.0.2.0/24", "fd00::/64"],
        hostLoopback: { addresses: ["10.0.2.2"], ports: [5432] },
        published: [{ protocol: "tcp", port: 80 }],
      },
      names: { exact: ["example.com"], wildcards: ["example.org"] },
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
const state: fc.Arbitrary<ContainerState> = fc.record({
  container: fc.string(),
  request: fc.record({
    profiles: fc.array(fc.string()),
    published,
    trustedMounts: fc.array(fc.string({ unit: "binary" })),
    network: fc.constantFrom<("slirp4netns" | "pasta")[]>("slirp4netns", "pasta"),
    loopbackPorts: fc.array(port),
  }),
  tier: fc.constantFrom<ContainerState["tier"][]>("dnsmasq", "dig", "getent"),
  policy: fc.record(
    {
      allow: list,
      deny: list,
      learned: fc.oneof(
        fc.record({
          kind: fc.constant("by-resolver" as const),
          timeoutSeconds: fc.integer({ min: 1, max: 86_400 }),
        }),
        fc.record({ kind: fc.constant("fixed" as const), ranges: list }),
      ),
      upstream: range,
      reserved: list,
      hostLoopback: fc.record({ addresses: list, ports: fc.array(port) }),
      published,
    },
    { requiredKeys: ["allow", "deny", "learned", "reserved", "published"] },
  ),
  names: fc.record({ exact: fc.array(fc.string()), wildcards: fc.array(fc.string()) }),
});

test("what was written is read", () => {
  fc.assert(
    fc.property(state, (written) => {
      const read = parseContainerState(renderContainerState(written), "state.json");
      expect({ ...read, version: undefined }).toEqual({ ...written, version: undefined });
    }),
  );
});

const GOOD = JSON.parse(renderContainerState(STATE));

test.each([
  ["no text", ""],
  ["a torn file", renderContainerState(STATE).slice(0, 200)],
  ["null", "null"],
  ["an older version", JSON.stringify({ ...GOOD, version: 0 })],
  ["a newer version", JSON.stringify({ ...GOOD, version: 2 })],
  ["no version", JSON.stringify({ ...GOOD, version: undefined })],
  ["an unknown key", JSON.stringify({ ...GOOD, extra: 1 })],
  ["an unknown key in the policy", JSON.stringify({ ...GOOD, policy: { ...GOOD.policy, open: true } })],
  ["a missing list", JSON.stringify({ ...GOOD, policy: { ...GOOD.policy, deny: undefined } })],
  ["another tier", JSON.stringify({ ...GOOD, tier: "unbound" })],
  ["another network", JSON.stringify({ ...GOOD, request: { ...GOOD.request, network: "host" } })],
  ["text that is no range", JSON.stringify({ ...GOOD, policy: { ...GOOD.policy, allow: ["010.0.0.1"] } })],
  ["a port of 0", JSON.stringify({ ...GOOD, request: { ...GOOD.request, loopbackPorts: [0] } })],
])("%s is refused", (_, text) => {
  expect(() => parseContainerState(text, "/state/web/state.json")).toThrow(ShieldError);
  expect(() => parseContainerState(text, "/state/web/state.json")).toThrow(
    /^\/state\/web\/state.json is damaged or of another version. Run terok-shield prepare again.$/,
  );
});
