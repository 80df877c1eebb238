import { expect, test } from "vitest";
import { chooseTier } from "./choose-tier.ts";
import type { DnsmasqFacts } from "./dnsmasq-facts.ts";

const dnsmasq = (version: DnsmasqFacts["version"], ...options: string[]): DnsmasqFacts => ({
  version,
  options: new Set(options),
});
const NONE = { dig: false, getent: false };
const BOTH = { dig: true, getent: true };

test.each([
  [
    "dnsmasq when it can do all that is needed",
    { ...BOTH, dnsmasq: dnsmasq([2, 87], "nftset", "conntrack") },
    { tier: "dnsmasq" },
  ],
  ["dnsmasq even alone", { ...NONE, dnsmasq: dnsmasq([3, 0], "nftset", "conntrack") }, { tier: "dnsmasq" }],
  ["dig before getent", BOTH, { tier: "dig", reason: "dnsmasq is not installed." }],
  [
    "getent when nothing else is there",
    { ...NONE, getent: true },
    { tier: "getent", reason: "dnsmasq is not installed." },
  ],
  [
    "dig instead of an old dnsmasq",
    { ...BOTH, dnsmasq: dnsmasq([2, 86], "nftset", "conntrack") },
    { tier: "dig", reason: "dnsmasq 2.86 is older than 2.87." },
  ],
  [
    "dig instead of a dnsmasq that cannot fill sets",
    { ...BOTH, dnsmasq: dnsmasq([2, 90], "conntrack") },
    { tier: "dig", reason: "dnsmasq 2.90 was built without nftset." },
  ],
  [
    "getent instead of a dnsmasq that has neither",
    { ...NONE, getent: true, dnsmasq: dnsmasq([2, 91]) },
    { tier: "getent", reason: "dnsmasq 2.91 was built without nftset and conntrack." },
  ],
] as const)("chooses %s", (_, available, expected) => {
  expect(chooseTier(available)).toEqual(expected);
});

test("throws with the reason when no resolver is left", () => {
  expect(() => chooseTier({ ...NONE, dnsmasq: dnsmasq([2, 90], "nftset") })).toThrow(
    "No resolver is left: dnsmasq 2.90 was built without conntrack. Neither dig nor getent is installed. Install dnsmasq 2.87 or later.",
  );
});
