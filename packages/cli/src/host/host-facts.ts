import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { type DnsmasqFacts, parseDnsmasqVersion } from "@terok-shield/dns-tier";
import { ShieldError } from "../shield-error.ts";
import { type ContainersConfPlaces, findContainersConfPlaces, readHooksSetting } from "./containers-conf.ts";
import { readTextFile, writeFileAtomically } from "./files.ts";
import { findHooksInstallation } from "./hooks-installation.ts";
import type { RunCommand } from "./run-command.ts";

/** What this machine has, with absolute paths: what hooks run must not depend on anybody's PATH. */
export interface HostFacts {
  readonly podmanMajor: number;
  /** `podman run` has --hosts-file, of 5.3. */
  readonly hasHostsFileOption: boolean;
  /**
   * Podman's hooks directories less our own: `--hooks-dir` would replace them. Read when asked for, so that a damaged
   * containers.conf stops what starts containers and nothing else.
   */
  readonly otherHooksDirectories: () => Promise<readonly string[]>;
  readonly programs: {
    readonly podman: string;
    readonly nft: string;
    readonly nsenter: string;
    readonly setpriv: string;
    readonly sed: string;
    readonly node: string;
    readonly dnsmasq?: { readonly path: string; readonly facts: DnsmasqFacts };
    readonly ulogd?: { readonly path: string; readonly plugins: string };
    readonly dig?: string;
    readonly getent?: string;
    readonly slirp4netns?: string;
    readonly pasta?: string;
  };
}

/** Where to look for things. */
export interface SearchedDirectories {
  readonly programs: readonly string[];
  readonly containersConf: ContainersConfPlaces;
  /** The directories `ulogd` in these, and in their subdirectories of an architecture, hold its plugins. */
  readonly ulogdPlugins: readonly string[];
}

export const SEARCHED: Omit<SearchedDirectories, "containersConf"> = {
  // Where distributions put programs; the user's own PATH may hold what a container wrote.
  programs: [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/run/current-system/sw/bin",
  ],
  ulogdPlugins: ["/usr/lib", "/usr/lib64", "/usr/local/lib"],
};

/**
 * Finds the programs and asks podman and dnsmasq for their versions; answers are kept in `cacheFile`
 * for as long as the programs stay the same files.
 * @throws ShieldError naming what is missing and what to install.
 */
export async function findHostFacts(
  cacheFile: string,
  runCommand: RunCommand,
  searched: SearchedDirectories = { ...SEARCHED, containersConf: findContainersConfPlaces() },
): Promise<HostFacts> {
  const versions = await openVersionCache(cacheFile, runCommand);
  const require = (name: string, debianPackage: string) =>
    requireProgram(name, searched.programs, debianPackage);
  const podman = require("podman", "podman");
  const nft = require("nft", "nftables");
  const nsenter = require("nsenter", "util-linux");
  const setpriv = require("setpriv", "util-linux");
  const sed = require("sed", "sed");
  const find = (name: string) => findProgram(name, searched.programs);
  const [dnsmasq, ulogd, dig, getent] = [find("dnsmasq"), find("ulogd"), find("dig"), find("getent")];
  const [slirp4netns, pasta] = [find("slirp4netns"), find("pasta")];
  const [podmanMajor, podmanMinor] = parsePodmanVersion(await versions.ask("podman", podman));
  const dnsmasqFacts =
    dnsmasq === undefined ? undefined : readDnsmasqFacts(await versions.ask("dnsmasq", dnsmasq));
  const plugins = ulogd === undefined ? undefined : findUlogdPlugins(searched.ulogdPlugins);
  await versions.save();
  return {
    podmanMajor,
    hasHostsFileOption: podmanMajor > 5 || (podmanMajor === 5 && podmanMinor >= 3),
    otherHooksDirectories: () => findHooksDirectories(searched.containersConf, podmanMajor),
    programs: {
      podman,
      nft,
      nsenter,
      setpriv,
      sed,
      node: process.execPath,
      ...(dnsmasq !== undefined && dnsmasqFacts !== undefined
        ? { dnsmasq: { path: dnsmasq, facts: dnsmasqFacts } }
        : {}),
      ...(ulogd !== undefined && plugins !== undefined ? { ulogd: { path: ulogd, plugins } } : {}),
      ...(dig === undefined ? {} : { dig }),
      ...(getent === undefined ? {} : { getent }),
      ...(slirp4netns === undefined ? {} : { slirp4netns }),
      ...(pasta === undefined ? {} : { pasta }),
    },
  };
}

/** The first of the directories that has the program. */
export function findProgram(name: string, directories: readonly string[]): string | undefined {
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    try {
      // A program is in one of the directories, and an error for each other takes longer than a look.
      if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

function requireProgram(name: string, directories: readonly string[], debianPackage: string): string {
  const path = findProgram(name, directories);
  if (path === undefined) {
    throw new ShieldError(`${name} is not installed. On Debian: sudo apt-get install ${debianPackage}`);
  }
  return path;
}

function parsePodmanVersion(output: string): readonly [major: number, minor: number] {
  const [, major, minor] = /^podman version (\d{1,3})\.(\d{1,3})/.exec(output) ?? [];
  if (major === undefined)
    throw new ShieldError(
      `podman --version printed ${JSON.stringify(output.slice(0, 80))}, which names no version.`,
    );
  return [Number(major), Number(minor)];
}

/** A dnsmasq whose version cannot be read does not count. */
function readDnsmasqFacts(output: string): DnsmasqFacts | undefined {
  try {
    return parseDnsmasqVersion(output);
  } catch {
    return undefined;
  }
}

/** The JSON plugin is a package of its own; without it ulogd is of no use here. */
export function findUlogdPlugins(parents: readonly string[]): string | undefined {
  for (const parent of parents) {
    const nested = list(parent)
      .filter((name) => name.endsWith("-linux-gnu"))
      .map((name) => `${parent}/${name}`);
    for (const directory of [parent, ...nested].map((path) => `${path}/ulogd`)) {
      if (list(directory).includes("ulogd_output_JSON.so")) return directory;
    }
  }
  return undefined;
}

/** @throws ShieldError for a directory that `--hooks-dir` cannot pass on in every version and shell. */
async function findHooksDirectories(places: ContainersConfPlaces, podmanMajor: number): Promise<string[]> {
  const { directories, file } = await readHooksSetting(places, podmanMajor);
  const own = (["user", "system"] as const).map((scope) => findHooksInstallation(scope).hooksDirectory);
  const others = directories.filter((directory) => !own.includes(directory));
  const used = others.filter((directory) => list(directory).length > 0);
  const strange = used.find((directory) => /[\s,"'\\$`*?[]/.test(directory));
  if (strange === undefined) return used;
  throw new ShieldError(
    `${file}: the hooks directory ${JSON.stringify(strange)} cannot be passed on to podman. Give it a name without white space, commas and quotes.`,
  );
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

interface VersionCache {
  ask(program: "podman" | "dnsmasq", path: string): Promise<string>;
  save(): Promise<void>;
}

/** Keyed by path, size and time of change: an upgraded program is asked again. */
async function openVersionCache(file: string, runCommand: RunCommand): Promise<VersionCache> {
  const known = parseCache(readTextFile(file));
  let isChanged = false;
  return {
    ask: async (program, path) => {
      const { size, mtimeMs } = statSync(path);
      const key = `${path}:${size}:${mtimeMs}`;
      const cached = known[key];
      if (cached !== undefined) return cached;
      const { stdout } = await runCommand({ program, file: path, args: ["--version"] });
      known[key] = stdout;
      isChanged = true;
      return stdout;
    },
    save: async () => {
      // What is not kept is asked again: a full disk must not stop a command that needs none.
      if (isChanged) await writeFileAtomically(file, `${JSON.stringify(known)}\n`, 0o600).catch(() => {});
    },
  };
}

/** Anything but text by key counts as nothing known. */
function parseCache(text: string | undefined): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(Object.entries(value).filter(([, entry]) => typeof entry === "string"));
  } catch {
    return {};
  }
}
