import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type DnsmasqFacts, parseDnsmasqVersion } from "../src/dnsmasq-facts.ts";

/** The resolvers that are installed here. */
export const DNSMASQ = find("/usr/sbin/dnsmasq", "/usr/bin/dnsmasq", "/usr/local/sbin/dnsmasq");
export const DIG = find("/usr/bin/dig", "/usr/local/bin/dig");

/** 0.0 when there is none. */
export const DNSMASQ_VERSION: DnsmasqFacts["version"] =
  DNSMASQ === undefined
    ? [0, 0]
    : parseDnsmasqVersion(execFileSync(DNSMASQ, ["--version"], { encoding: "utf8" })).version;

function find(...places: readonly string[]): string | undefined {
  return places.find(existsSync);
}
