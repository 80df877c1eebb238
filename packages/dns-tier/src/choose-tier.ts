import { type DnsmasqFacts, isAtLeast } from "./dnsmasq-facts.ts";

/** How a container's names are resolved: live and filtered by dnsmasq, or once before the start. */
export type DnsTier = "dnsmasq" | "dig" | "getent";

/** What the machine has. */
export interface AvailableResolvers {
  readonly dnsmasq?: DnsmasqFacts;
  readonly dig: boolean;
  readonly getent: boolean;
}

/** The tier, and one sentence that says why it is not dnsmasq. */
export interface TierChoice {
  readonly tier: DnsTier;
  readonly reason?: string;
}

const MINIMUM_VERSION = [2, 87] as const;
const NEEDED_OPTIONS = ["nftset", "conntrack"];

/**
 * Picks the best tier that the machine can carry.
 * @throws Error when no resolver is left.
 */
export function chooseTier(available: AvailableResolvers): TierChoice {
  const reason = whyNotDnsmasq(available.dnsmasq);
  if (reason === undefined) return { tier: "dnsmasq" };
  if (available.dig) return { tier: "dig", reason };
  if (available.getent) return { tier: "getent", reason };
  throw new Error(
    `No resolver is left: ${reason} Neither dig nor getent is installed. Install dnsmasq ${MINIMUM_VERSION.join(".")} or later.`,
  );
}

function whyNotDnsmasq(facts: DnsmasqFacts | undefined): string | undefined {
  if (facts === undefined) return "dnsmasq is not installed.";
  if (!isAtLeast(facts.version, MINIMUM_VERSION)) {
    return `dnsmasq ${facts.version.join(".")} is older than ${MINIMUM_VERSION.join(".")}.`;
  }
  const missing = NEEDED_OPTIONS.filter((option) => !facts.options.has(option));
  return missing.length === 0
    ? undefined
    : `dnsmasq ${facts.version.join(".")} was built without ${missing.join(" and ")}.`;
}
