import { type DnsmasqFacts, isAtLeast } from "./dnsmasq-facts.ts";
import { isCidrText } from "./ip-text.ts";
import { MARKER_ZONE, type NamePolicy } from "./name-policy.ts";
import { type ScopedDomain, scopedDomains } from "./scope-conflict.ts";

/** The parts of a container's dnsmasq configuration that differ from one container to the next. */
export interface DnsmasqConfig {
  readonly version: DnsmasqFacts["version"];
  readonly serversFile: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** The nftables table of the sets that answers fill. */
  readonly table: { readonly family: "inet"; readonly name: string };
  /** The sets of a scope. */
  readonly learnedSets: (scope: number) => LearnedSets;
  /** Only its scopes count: the names are in the servers file, which dnsmasq reads again without a restart. */
  readonly names: NamePolicy;
  /** At most the timeout of those sets: a program that keeps an answer as long as it may must still find it open. */
  readonly maximumTtlSeconds: number;
  /** CIDR ranges: a reply that holds an address of one becomes NXDOMAIN. Adds to what `stop-dns-rebind` knows. */
  readonly refusedAnswers?: readonly string[];
}

/** The nftables sets that the answers of one scope fill. */
export interface LearnedSets {
  readonly v4: string;
  readonly v6: string;
}

/** dnsmasq cuts a longer line in two and reads the rest as an option of its own. */
const LONGEST_LINE_BYTES = 1000;

/**
 * Renders dnsmasq.conf: nothing is forwarded but what the servers file names, and each answer goes to the sets.
 * @throws Error when a value could end its line or be read as anything but itself.
 */
export function renderDnsmasqConfig(config: DnsmasqConfig): string {
  const lines = [
    "port=53",
    "listen-address=127.0.0.1",
    "bind-interfaces",
    "no-resolv",
    "no-hosts",
    ...since(config.version, [2, 89], "no-ident"),
    "conntrack",
    "stop-dns-rebind",
    ...(config.refusedAnswers ?? []).map(refusedAnswer),
    // An answer out of a cache would not refill the sets.
    "cache-size=0",
    `max-ttl=${positiveInteger(config.maximumTtlSeconds)}`,
    "edns-packet-max=1232",
    // These carry addresses that no set learns, so a client that follows their hints is refused.
    ...since(config.version, [2, 90], "filter-rr=HTTPS,SVCB"),
    // Root of podman's user namespace is the owner, whose bundle nobody else may read. The group as well:
    // the default, dip, may not be mapped there.
    "user=root",
    "group=root",
    // The marker of the servers file is the longer name, and so the only one that is not there.
    `address=/${MARKER_ZONE}/#`,
    `local=/${MARKER_ZONE}/`,
    `servers-file=${path(config.serversFile)}`,
    learnLine(config, { domain: "#", scopes: [0] }),
    ...scopedDomains(config.names).map((scoped) => learnLine(config, scoped)),
    "log-queries=extra",
    `log-facility=${path(config.logFile)}`,
    `pid-file=${path(config.pidFile)}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** All sets stand in one line: of two lines for a domain dnsmasq goes by the last. */
function learnLine({ table, learnedSets }: DnsmasqConfig, { domain, scopes }: ScopedDomain): string {
  const sets = scopes
    .map(learnedSets)
    .flatMap(({ v4, v6 }) => [
      `4#${nftName(table.family)}#${nftName(table.name)}#${nftName(v4)}`,
      `6#${nftName(table.family)}#${nftName(table.name)}#${nftName(v6)}`,
    ]);
  const line = `nftset=/${domain}/${sets.join(",")}`;
  if (line.length > LONGEST_LINE_BYTES) throw new Error(`the sets of ${domain} do not fit into a line`);
  return line;
}

function since(version: DnsmasqFacts["version"], minimum: DnsmasqFacts["version"], option: string): string[] {
  return isAtLeast(version, minimum) ? [option] : [];
}

function refusedAnswer(range: string): string {
  if (!isCidrText(range)) throw new Error(`${JSON.stringify(range)} is not a CIDR range`);
  return `bogus-nxdomain=${range}`;
}

function path(value: string): string {
  if (!value.startsWith("/") || /[\s\p{C}"'\\#]/u.test(value)) {
    throw new Error(
      `${JSON.stringify(value)} cannot stand in dnsmasq.conf: a path there is absolute, without spaces, quotes, backslashes, # and control characters.`,
    );
  }
  if (new TextEncoder().encode(value).length > LONGEST_LINE_BYTES - "servers-file=".length) {
    throw new Error(
      `${JSON.stringify(value)} cannot stand in dnsmasq.conf: it is longer than a line may be.`,
    );
  }
  return value;
}

function nftName(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,30}$/i.test(name))
    throw new Error(`${JSON.stringify(name)} is not a name of an nftables set`);
  return name;
}

function positiveInteger(value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${value} is not a number of seconds`);
  return value;
}
