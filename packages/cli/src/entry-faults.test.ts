import { describe, expect, test } from "vitest";
import { makeState, type TestState } from "../testing/test-state.ts";
import { describeEntries, findFaults } from "./entry-faults.ts";

function faultsOf(given: TestState): string[] {
  const state = makeState(given);
  return findFaults(state.entries, state);
}

describe("an entry that cannot be enforced is refused, never widened", () => {
  const ownNetwork =
    "is of the container's own network, where no entry opens anything. Leave it out; ports of the host are granted by loopback_ports in config.yml.";
  test.each<{ line: string; tier: "dnsmasq" | "dig" | "getent"; fault: string }>([
    {
      line: "*.example.org",
      tier: "dig",
      fault:
        "*.example.org needs dnsmasq, since the dig tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.",
    },
    {
      line: "*.example.org:443",
      tier: "getent",
      fault:
        "*.example.org needs dnsmasq, since the getent tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.",
    },
    { line: "10.0.2.2", tier: "dnsmasq", fault: `10.0.2.2 ${ownNetwork}` },
    { line: "10.0.2.0/25", tier: "dig", fault: `10.0.2.0/25 ${ownNetwork}` },
    { line: "[fd00::2]:443", tier: "dnsmasq", fault: `[fd00::2]:443 ${ownNetwork}` },
  ])("$line with $tier", ({ line, tier, fault }) => {
    expect(faultsOf({ tier, profile: ["# why", "example.net", line] })).toEqual([`mine.txt:3: ${fault}`]);
  });

  test("all of them are named in one go", () => {
    const faults = faultsOf({ tier: "dig", profile: ["*.a.test", "b.test", "*.c.test", "10.0.2.3"] });
    expect(faults.map((fault) => fault.split(" ")[0])).toEqual(["mine.txt:1:", "mine.txt:3:", "mine.txt:4:"]);
  });

  test.each<[string, TestState]>([
    ["names and ranges with ports", { profile: ["a.test:443", "*.a.test:1-9/udp", "[2001:2::7]:443/tcp"] }],
    ["names with ports in a static tier", { tier: "dig", profile: ["a.test:443", "198.18.0.0/15:53"] }],
    ["a range around the container's own network", { profile: ["10.0.0.0/8"] }],
  ])("%s can be", (_, given) => expect(faultsOf(given)).toEqual([]));
});

describe("the owner hears of entries that open more than the internet", () => {
  const opens = "opens private or special addresses";
  const butNotMetadata = `${opens}, but not the cloud metadata addresses in it`;
  test.each([
    ["10.0.0.7", `10.0.0.7 ${opens}`],
    ["10.0.0.7:443/tcp", `10.0.0.7:443/tcp ${opens}`],
    ["192.168.0.0/16", `192.168.0.0/16 ${opens}`],
    ["fd00:1::1", `fd00:1::1 ${opens}`],
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
    expect(describeEntries(makeState({ profile: ["", line] }).entries)).toEqual([`mine.txt:2: ${note}`]);
  });

  test.each(["203.0.113.0/24", "198.18.0.0/15", "2001:2::/48", "64:ff9b::808:808", "example.com"])(
    "%s is no reason for a note",
    (line) => expect(describeEntries(makeState({ profile: [line] }).entries)).toEqual([]),
  );
});
