import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { type DigAnswers, parseDigAnswers } from "../src/dig.ts";
import { renderDnsmasqConfig } from "../src/dnsmasq-config.ts";
import type { NamePolicy } from "../src/name-policy.ts";
import { renderServersFile } from "../src/servers-file.ts";
import { startNamespaceShell } from "./namespace-shell.ts";
import { DIG, DNSMASQ, DNSMASQ_VERSION } from "./programs.ts";

/** A shielded container's dnsmasq in a network namespace of its own, with the nftables sets that it fills. */
export interface ResolverLab {
  /** Asks with dig, which asks again over TCP where an answer is cut. `name` is as dig reads it: `a\032b.test`. */
  ask(name: string, type?: "A" | "AAAA" | "TXT", ...options: string[]): Promise<DigAnswers>;
  /** Asks for the A records of many names, one after the other. */
  askAll(names: readonly string[]): Promise<void>;
  /** The addresses in each set that has any. */
  learned(): Promise<Record<string, readonly string[]>>;
  /** What dnsmasq wrote since it was last started anew without `keepLog`. */
  log(): string;
  /** Starts dnsmasq anew, as the policy has it and with empty sets and, unless told otherwise, an empty log. */
  restart(policy: NamePolicy, options?: { readonly keepLog?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

const SCOPES = [0, 1, 2, 3];
const UPSTREAM = "127.0.0.2";
const TABLE = { family: "inet", name: "terok_shield" } as const;

/** @param zone what its upstream knows, as lines of dnsmasq.conf */
export async function startResolverLab(zone: readonly string[]): Promise<ResolverLab> {
  const directory = await mkdtemp(join(tmpdir(), "resolver-lab-"));
  const path = (name: string) => join(directory, name);
  const shell = startNamespaceShell(directory);
  const log = (name: string) => (existsSync(path(name)) ? readFileSync(path(name), "latin1") : "");
  const start = async (name: string, configuration: string): Promise<() => Promise<void>> => {
    await writeFile(path(`${name}.conf`), configuration);
    const before = log(`${name}.log`).length;
    const ended = shell.run(DNSMASQ ?? "dnsmasq", [
      "--keep-in-foreground",
      `--conf-file=${path(`${name}.conf`)}`,
    ]);
    await vi.waitUntil(() => log(`${name}.log`).includes("started, version", before), {
      timeout: 20_000,
      interval: 2,
    });
    return async () => {
      process.kill(Number(readFileSync(path(`${name}.pid`), "utf8")), "SIGTERM");
      await ended;
    };
  };
  const stopUpstream = await start("upstream", renderUpstream(path, zone));
  let stopDnsmasq = async () => {};
  return {
    ask: async (name, type = "A", ...options) => {
      const args = ["-r", "@127.0.0.1", "+noall", "+comments", "+answer", ...options, "-q", name, "-t", type];
      return parseDigAnswers((await shell.run(DIG ?? "dig", args)).stdout, name.toLowerCase());
    },
    askAll: async (names) => {
      const questions = names.flatMap((name) => ["-q", name, "-t", "A"]);
      await shell.run(DIG ?? "dig", ["-r", "@127.0.0.1", ...questions]);
    },
    learned: async () => readSets((await shell.run("nft", ["-j", "list", "ruleset"])).stdout),
    log: () => log("dnsmasq.log"),
    restart: async (policy, { keepLog = false } = {}) => {
      await stopDnsmasq();
      if (!keepLog) await rm(path("dnsmasq.log"), { force: true });
      await writeFile(path("sets.nft"), renderEmptySets());
      await shell.run("nft", ["-f", path("sets.nft")]);
      await writeFile(path("servers"), renderServersFile(policy, UPSTREAM));
      stopDnsmasq = await start("dnsmasq", renderShielded(path, policy));
    },
    stop: async () => {
      await stopDnsmasq();
      await stopUpstream();
      shell.stop();
      await rm(directory, { recursive: true });
    },
  };
}

function renderUpstream(path: (name: string) => string, zone: readonly string[]): string {
  return [
    "port=53",
    `listen-address=${UPSTREAM}`,
    "bind-interfaces",
    "no-resolv",
    "no-hosts",
    "user=root",
    "group=root",
    `pid-file=${path("upstream.pid")}`,
    `log-facility=${path("upstream.log")}`,
    ...zone,
    "",
  ].join("\n");
}

function renderShielded(path: (name: string) => string, names: NamePolicy): string {
  return renderDnsmasqConfig({
    version: DNSMASQ_VERSION,
    serversFile: path("servers"),
    pidFile: path("dnsmasq.pid"),
    logFile: path("dnsmasq.log"),
    table: TABLE,
    learnedSets,
    names,
    maximumTtlSeconds: 900,
  });
}

function learnedSets(scope: number): { v4: string; v6: string } {
  return scope === 0 ? { v4: "dns_v4", v6: "dns_v6" } : { v4: `dns_${scope}_v4`, v6: `dns_${scope}_v6` };
}

function renderEmptySets(): string {
  const sets = SCOPES.map(learnedSets).flatMap(({ v4, v6 }) => [
    `set ${v4} { type ipv4_addr; flags dynamic,timeout; timeout 30m; }`,
    `set ${v6} { type ipv6_addr; flags dynamic,timeout; timeout 30m; }`,
  ]);
  const table = `${TABLE.family} ${TABLE.name}`;
  return `table ${table}\ndelete table ${table}\ntable ${table} {\n${sets.join("\n")}\n}\n`;
}

interface ListedSet {
  readonly name: string;
  readonly elem?: readonly { readonly elem: { readonly val: string } }[];
}

function readSets(listing: string): Record<string, readonly string[]> {
  const { nftables } = JSON.parse(listing) as { nftables: readonly { readonly set?: ListedSet }[] };
  const sets = nftables.flatMap(({ set }) => set ?? []);
  return Object.fromEntries(
    sets
      .filter(({ elem }) => elem !== undefined)
      .map(({ name, elem = [] }) => [name, elem.map(({ elem: { val } }) => val).sort()]),
  );
}
