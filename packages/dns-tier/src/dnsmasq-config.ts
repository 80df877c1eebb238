import { type DnsmasqFacts, isAtLeast } from "./dnsmasq-facts.ts";
import { isCidrText } from "./ip-text.ts";

/** The parts of a container's dnsmasq configuration that differ from one container to the next. */
export interface DnsmasqConfig {
  readonly version: DnsmasqFacts["version"];
  readonly serversFile: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** The nftables sets that answers fill. */
  readonly sets: {
    readonly family: "inet";
    readonly table: string;
    readonly v4: string;
    readonly v6: string;
  };
  /** At most the timeout of those sets: a program that keeps an answer as long as it may must still find it open. */
  readonly maximumTtlSeconds: number;
  /** CIDR ranges: a reply that holds an address of one becomes NXDOMAIN. Adds to what `stop-dns-rebind` knows. */
  readonly refusedAnswers?: readonly string[];
}

/** dnsmasq cuts a longer line in two and reads the rest as an option of its own. */
const LONGEST_LINE_BYTES = 1000;

/**
 * Renders dnsmasq.conf: nothing is forwarded but what the servers file names, and each answer goes to the sets.
 * @throws Error when a value could end its line or be read as anything but itself.
 */
export function renderDnsmasqConfig(config: DnsmasqConfig): string {
  const { family, table, v4, v6 } = config.sets;
  for (const name of [family, table, v4, v6]) assertSetName(name);
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
    `servers-file=${path(config.serversFile)}`,
    `nftset=/#/4#${family}#${table}#${v4},6#${family}#${table}#${v6}`,
    "log-queries=extra",
    `log-facility=${path(config.logFile)}`,
    `pid-file=${path(config.pidFile)}`,
  ];
  return `${lines.join("\n")}\n`;
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

function assertSetName(name: string): void {
  if (!/^[a-z][a-z0-9_]{0,30}$/i.test(name))
    throw new Error(`${JSON.stringify(name)} is not a name of an nftables set`);
}

function positiveInteger(value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${value} is not a number of seconds`);
  return value;
}
