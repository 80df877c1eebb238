import { access, constants, lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { parseDnsmasqVersion } from "@terok-shield/dns-tier";
import { BUNDLE_FILE, BUNDLE_VERSION } from "@terok-shield/hook-entrypoint/contract";
import * as z from "zod";
import { bundleDirectory } from "../bundle-directory.ts";
import type { Distribution, FoundProgram, MachineFacts } from "../diagnosis.ts";
import { listBundles } from "./bundles.ts";
import { ensurePrivateDirectory, readTextFile } from "./files.ts";
import type { InstalledFile } from "./hooks-installation.ts";
import type { Host } from "./host.ts";
import { findProgram, findUlogdPlugins, SEARCHED } from "./host-facts.ts";
import type { Command } from "./run-command.ts";

/** What a machine is asked for without knowing whether anything of it is there. */
export type Machine = Omit<MachineFacts, "hooks" | "leftOver" | "kernel">;

const PATIENCE_MILLISECONDS = 20_000;

const VERSIONED = [
  "podman",
  "crun",
  "runc",
  "nft",
  "nsenter",
  "setpriv",
  "flock",
  "dnsmasq",
  "ulogd",
  "slirp4netns",
  "pasta",
] as const;
const VERSION = /\d+\.\d+(?:\.\d+)?/;
const UNVERSIONED = ["newuidmap", "sed", "dig", "getent"] as const;

/** Looks at the machine. Whatever is missing or fails is part of the answer, not an error. */
export async function readMachine(host: Host): Promise<Machine> {
  const [versioned, unversioned, distribution, tun, confinement, isLingering, outdated] = await Promise.all([
    Promise.all(VERSIONED.map(async (name) => [name, await askVersion(host, name)] as const)),
    Promise.all(UNVERSIONED.map(async (name) => [name, findUnversioned(name)] as const)),
    readDistribution(),
    readTun(),
    readConfinement(),
    readLingering(),
    listOutdated(host),
  ]);
  const said = Object.fromEntries(versioned);
  const found = versioned.map(([name, answer]) => [name, answer && readVersion(answer)] as const);
  const programs: MachineFacts["programs"] = Object.fromEntries(
    [...found, ...unversioned].flatMap(([name, program]) => (program === undefined ? [] : [[name, program]])),
  );
  const podman = await readPodman(host, programs.podman);
  const dnsmasq = readDnsmasq(said.dnsmasq?.stdout);
  const ulogdPlugins = findUlogdPlugins(SEARCHED.ulogdPlugins);
  return {
    distribution,
    isRoot: process.getuid?.() === 0,
    userName: readUserName(),
    node: { path: process.execPath, version: process.versions.node },
    programs,
    podman: podman.state,
    subordinateIds: podman.subordinateIds ?? readSubordinateIds(),
    tun,
    ...(dnsmasq === undefined ? {} : { dnsmasq }),
    confinement,
    ...(ulogdPlugins === undefined ? {} : { ulogdPlugins }),
    stateDirectory: host.places.state,
    ...(await tryStateDirectory(host, programs.dnsmasq)),
    ...(isLingering === undefined ? {} : { isLingering }),
    outdated,
  };
}

async function askVersion(
  host: Host,
  name: (typeof VERSIONED)[number],
): Promise<{ readonly path: string; readonly stdout: string } | undefined> {
  const path = findProgram(name, SEARCHED.programs);
  if (path === undefined) return undefined;
  const { stdout = "" } = await ask(host, { program: name, file: path, args: ["--version"] });
  return { path, stdout };
}

function readVersion({ path, stdout }: { readonly path: string; readonly stdout: string }): FoundProgram {
  const version = VERSION.exec(stdout.split("\n")[0] ?? "")?.[0];
  return { path, ...(version === undefined ? {} : { version }) };
}

function findUnversioned(name: (typeof UNVERSIONED)[number]): FoundProgram | undefined {
  const path = findProgram(name, SEARCHED.programs);
  return path === undefined ? undefined : { path };
}

const podmanInfo = z.object({
  host: z.object({
    cgroupVersion: z.string().optional(),
    ociRuntime: z.object({ path: z.string(), version: z.string().optional() }).optional(),
    idMappings: z
      .object({
        uidmap: z.array(z.object({ size: z.number() })).nullish(),
        gidmap: z.array(z.object({ size: z.number() })).nullish(),
      })
      .nullish(),
  }),
});

/** Podman's own word, which covers its configuration and what else it needs. */
async function readPodman(
  host: Host,
  program: FoundProgram | undefined,
): Promise<{ state: MachineFacts["podman"]; subordinateIds?: MachineFacts["subordinateIds"] }> {
  if (program === undefined) return { state: { kind: "absent" } };
  const args = ["info", "--format", "json"];
  const { stdout, fault } = await ask(host, { program: "podman", file: program.path, args });
  if (stdout === undefined) return { state: { kind: "broken", reason: fault } };
  const info = podmanInfo.safeParse(parseJson(stdout));
  if (!info.success) return { state: { kind: "broken", reason: "podman info says nothing of use" } };
  const { cgroupVersion, ociRuntime, idMappings } = info.data.host;
  // The first mapping is the user's own id.
  const others = (map: readonly { size: number }[] | null | undefined) =>
    Math.max(0, (map ?? []).reduce((sum, { size }) => sum + size, 0) - 1);
  return {
    state: {
      kind: "works",
      ...(ociRuntime === undefined
        ? {}
        : { runtime: readVersion({ path: ociRuntime.path, stdout: ociRuntime.version ?? "" }) }),
      ...(cgroupVersion === undefined ? {} : { cgroupVersion }),
    },
    ...(idMappings == null
      ? {}
      : { subordinateIds: { users: others(idMappings.uidmap), groups: others(idMappings.gidmap) } }),
  };
}

/** subuid(5): one range a line, of a name or a number. */
function readSubordinateIds(): MachineFacts["subordinateIds"] {
  const owners = [readUserName(), String(process.getuid?.())];
  const count = (file: string) =>
    (readIfPossible(file) ?? "")
      .split("\n")
      .map((line) => line.split(":"))
      .filter(([owner = ""]) => owners.includes(owner))
      .reduce((sum, [, , size]) => sum + (Number(size) || 0), 0);
  return { users: count("/etc/subuid"), groups: count("/etc/subgid") };
}

function readDnsmasq(version: string | undefined) {
  try {
    return parseDnsmasqVersion(version ?? "");
  } catch {
    return undefined;
  }
}

/**
 * Writes a configuration where bundles lie and lets dnsmasq read it: AppArmor and SELinux may forbid it what is below
 * a home directory, and trying it tells.
 */
async function tryStateDirectory(
  host: Host,
  dnsmasq: FoundProgram | undefined,
): Promise<Pick<MachineFacts, "stateDirectoryFault" | "dnsmasqFault">> {
  let directory: string | undefined;
  try {
    ensurePrivateDirectory(host.places.state);
    directory = await mkdtemp(`${host.places.state}/doctor-`);
    const file = `${directory}/${BUNDLE_FILE.dnsmasqConf}`;
    await writeFile(file, "port=0\n", { mode: 0o600 });
    if (dnsmasq === undefined) return {};
    const args = ["--test", `--conf-file=${file}`];
    const { fault } = await ask(host, { program: "dnsmasq", file: dnsmasq.path, args });
    return fault === undefined ? {} : { dnsmasqFault: fault };
  } catch (cause) {
    return { stateDirectoryFault: (cause as Error).message };
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function readTun(): Promise<MachineFacts["tun"]> {
  try {
    await access("/dev/net/tun", constants.R_OK | constants.W_OK);
    return "usable";
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "ENOENT" ? "missing" : "forbidden";
  }
}

function readConfinement(): MachineFacts["confinement"] {
  if (readIfPossible("/sys/module/apparmor/parameters/enabled")?.startsWith("Y")) return "apparmor";
  return readIfPossible("/sys/fs/selinux/enforce") === "1" ? "selinux" : "none";
}

function readDistribution(): Distribution {
  const text = readIfPossible("/etc/os-release") ?? "";
  const ids = [...text.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, names = ""]) =>
    names.split(" "),
  );
  if (ids.includes("debian")) return "debian";
  return ids.includes("fedora") ? "fedora" : "other";
}

async function readLingering(): Promise<boolean | undefined> {
  if (!(await exists("/run/systemd/system"))) return undefined;
  return exists(`/var/lib/systemd/linger/${readUserName()}`);
}

async function listOutdated({ places }: Host): Promise<string[]> {
  const outdated: string[] = [];
  for (const container of await listBundles(places).catch(() => [])) {
    const file = `${bundleDirectory(places, container)}/${BUNDLE_FILE.manifest}`;
    const sealed = parseJson(readIfPossible(file) ?? "");
    const { manifest } = (sealed ?? {}) as { manifest?: { version?: unknown } };
    // One that is damaged shows in status.
    if (manifest?.version !== undefined && manifest.version !== BUNDLE_VERSION) outdated.push(container);
  }
  return outdated;
}

/** A program that installed hooks name and that is not there. */
export async function findMissingProgram(files: readonly InstalledFile[]): Promise<string | undefined> {
  const hooks = files.filter(({ path }) => path.endsWith(".json")).map(({ content }) => parseJson(content));
  for (const hook of hooks) {
    const { path, args } = ((hook ?? {}) as { hook?: { path?: unknown; args?: unknown } }).hook ?? {};
    const words = [path, ...(Array.isArray(args) ? (args as unknown[]) : [])];
    for (const word of words) {
      // What else begins with a slash, a sed script, holds other characters.
      if (typeof word !== "string" || !/^\/[\w./@+=~-]*$/.test(word)) continue;
      if (!(await exists(word))) return word;
    }
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** A user may have no entry in the list of users. */
function readUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

type Answer =
  | { readonly stdout: string; readonly fault?: never }
  | { readonly stdout?: never; readonly fault: string };

async function ask({ runCommand }: Host, command: Command): Promise<Answer> {
  try {
    return {
      stdout: (await runCommand({ ...command, signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) })).stdout,
    };
  } catch (cause) {
    return { fault: (cause as Error).message };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readIfPossible(file: string): string | undefined {
  try {
    return readTextFile(file);
  } catch {
    return undefined;
  }
}
