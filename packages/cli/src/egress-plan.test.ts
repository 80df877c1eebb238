import { parseIpRange, renderIpRange } from "@terok-shield/nft-ruleset";
import { type ProfileEntry, parseProfile } from "@terok-shield/profiles";
import { describe, expect, test } from "vitest";
import { type EgressRequest, planEgress, withResolved } from "./egress-plan.ts";
import { planNetwork } from "./rootless-network.ts";
import { ShieldError } from "./shield-error.ts";

const ranges = (...texts: string[]) => texts.map(parseIpRange);

function entries(...lines: string[]): ProfileEntry[] {
  return parseProfile(lines.join("\n"), {
    file: "mine.txt",
    canonicaliseRange: (text) => renderIpRange(parseIpRange(text)),
  });
}

const REQUEST: EgressRequest = {
  entries: entries("example.com", "*.example.org", "203.0.113.0/24", "2001:db8::1"),
  tier: "dnsmasq",
  network: planNetwork("slirp4netns", []),
  published: [{ protocol: "tcp", port: 80 }],
  loopbackPorts: [],
  dnsTimeoutSeconds: 1800,
};

describe("the policy", () => {
  test("with dnsmasq: ranges are allowed, names are learned, the resolver's upstream is the network's", () => {
    expect(planEgress(REQUEST)).toEqual({
      policy: {
        allow: ranges("203.0.113.0/24", "2001:db8::1"),
        deny: [],
        learned: { kind: "by-resolver", timeoutSeconds: 1800 },
        upstream: parseIpRange("10.0.2.3"),
        reserved: ranges("10.0.2.0/24", "fd00::/64"),
        hostLoopback: { addresses: ranges("10.0.2.2"), ports: [] },
        published: [{ protocol: "tcp", port: 80 }],
      },
      names: { exact: ["example.com"], wildcards: ["example.org"] },
      notes: [],
    });
  });

  test("in a static tier: no upstream at all, and nothing learned until names are resolved", () => {
    expect(
      planEgress({
        ...REQUEST,
        entries: entries("example.com"),
        tier: "dig",
        network: planNetwork("pasta", [5432]),
        loopbackPorts: [5432],
      }),
    ).toEqual({
      policy: {
        allow: [],
        deny: [],
        learned: { kind: "fixed", ranges: [] },
        reserved: ranges("169.254.1.1", "169.254.1.2"),
        hostLoopback: { addresses: ranges("169.254.1.2"), ports: [5432] },
        published: [{ protocol: "tcp", port: 80 }],
      },
      names: { exact: ["example.com"], wildcards: [] },
      notes: [],
    });
  });
});

describe("an entry that cannot be enforced is refused, never widened", () => {
  test.each([
    {
      line: "example.com:443",
      tier: "dnsmasq",
      fault: "example.com:443 names a port, which is not enforced yet. Write it without, or leave it out.",
    },
    {
      line: "[2001:db8::1]:443/tcp",
      tier: "dig",
      fault:
        "[2001:db8::1]:443/tcp names a port, which is not enforced yet. Write it without, or leave it out.",
    },
    {
      line: "*.example.org:443",
      tier: "getent",
      fault: "*.example.org:443 names a port, which is not enforced yet. Write it without, or leave it out.",
    },
    {
      line: "*.example.org",
      tier: "dig",
      fault:
        "*.example.org needs dnsmasq, since the dig tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.",
    },
    {
      line: "*.example.org",
      tier: "getent",
      fault:
        "*.example.org needs dnsmasq, since the getent tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.",
    },
  ] as const)("$line with $tier", ({ line, tier, fault }) => {
    expect(() => planEgress({ ...REQUEST, entries: entries("# why", "example.net", line), tier })).toThrow(
      new ShieldError(`mine.txt:3: ${fault}`, { code: "usage" }),
    );
  });

  test("all of them are named in one go", () => {
    const request = { ...REQUEST, entries: entries("a.example:1", "*.example.org", "b.example:2") };
    expect(() => planEgress({ ...request, tier: "dig" })).toThrow(
      /^mine.txt:1: .*\nmine.txt:2: .*\nmine.txt:3: .*$/,
    );
  });
});

describe("the owner hears of entries that open more than the internet", () => {
  const opens = "opens private or special addresses";
  const butNotMetadata = `${opens}, but not the cloud metadata addresses in it`;
  test.each([
    ["10.0.0.7", `10.0.0.7 ${opens}`],
    ["192.168.0.0/16", `192.168.0.0/16 ${opens}`],
    ["fd00::1", `fd00::1 ${opens}`],
    ["127.0.0.1", `127.0.0.1 ${opens}`],
    // The address itself opens it; a range around it does not.
    ["169.254.169.254", `169.254.169.254 ${opens}`],
    ["fd00:ec2::254", `fd00:ec2::254 ${opens}`],
    ["169.254.0.0/16", `169.254.0.0/16 ${butNotMetadata}`],
    ["169.254.169.254/31", `169.254.169.254/31 ${butNotMetadata}`],
    ["100.64.0.0/10", `100.64.0.0/10 ${butNotMetadata}`],
    ["fd00::/8", `fd00::/8 ${butNotMetadata}`],
    // Partly public.
    ["0.0.0.0/0", `0.0.0.0/0 ${butNotMetadata}`],
    ["::/0", `::/0 ${butNotMetadata}`],
    ["10.0.0.0/7", `10.0.0.0/7 ${opens}`],
  ])("%s", (line, note) => {
    const { notes } = planEgress({ ...REQUEST, entries: entries("", line) });
    expect(notes).toEqual([`mine.txt:2: ${note}`]);
  });

  test.each(["203.0.113.0/24", "198.18.0.0/15", "2001:2::/48", "64:ff9b::808:808", "example.com"])(
    "%s is no reason for a note",
    (line) => expect(planEgress({ ...REQUEST, entries: entries(line) }).notes).toEqual([]),
  );
});

describe("the answers of a static tier", () => {
  const plan = planEgress({ ...REQUEST, entries: entries("example.com", "10.0.0.0/8"), tier: "dig" });

  test("open the addresses, and keep the rest of the plan", () => {
    const resolved = new Map([
      ["example.com", ["198.18.0.7", "2001:2::7"]],
      ["example.net", ["198.18.0.7"]],
    ]);
    expect(withResolved(plan, resolved)).toEqual({
      ...plan,
      policy: {
        ...plan.policy,
        learned: { kind: "fixed", ranges: ranges("198.18.0.7", "2001:2::7", "198.18.0.7") },
      },
    });
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
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
  ])("never open the private address %s, even where an entry opens it", (address) => {
    const resolved = new Map([["rebind.example", ["198.18.0.7", address, address]]]);
    const { policy, notes } = withResolved(plan, resolved);
    expect(policy.learned).toEqual({ kind: "fixed", ranges: ranges("198.18.0.7") });
    expect(notes).toEqual([...plan.notes, "rebind.example answers a private address, which stays closed"]);
  });
});
