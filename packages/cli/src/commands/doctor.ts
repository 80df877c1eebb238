import { type EgressPolicy, parseIpRange, readShieldState, renderRuleset } from "@terok-shield/nft-ruleset";
import { type Check, diagnose, type InstalledHooks, type MachineFacts } from "../diagnosis.ts";
import { findContainersConfPlaces, readHooksSetting } from "../host/containers-conf.ts";
import {
  findHooksInstallation,
  type HooksInstallation,
  type InstalledFile,
  readInstalledFiles,
} from "../host/hooks-installation.ts";
import type { Host } from "../host/host.ts";
import { findProgram, SEARCHED } from "../host/host-facts.ts";
import { findMissingProgram, type Machine, readMachine } from "../host/machine.ts";
import { readsHooksFrom } from "../host/podman-hooks.ts";
import { prune } from "./prune.ts";
import { planInstallation, readShippedHook } from "./setup.ts";

/** Looks at everything that the shield needs, also where nearly all of it is missing. */
export async function doctor(host: Host): Promise<Check[]> {
  const machine = await readMachine(host);
  const [kernel, hooks, leftOver] = await Promise.all([
    tryRules(host, machine),
    readHooks(host, machine),
    findLeftOver(host),
  ]);
  return diagnose({ ...machine, kernel, hooks, ...(leftOver === undefined ? {} : { leftOver }) });
}

/** True when nothing is missing that a shielded container needs. */
export function isFit(checks: readonly Check[]): boolean {
  return checks.every(({ verdict }) => verdict !== "error");
}

/** Something of every kind that a ruleset may hold. */
const TRIED: EgressPolicy = {
  revision: 1,
  allow: [{ range: parseIpRange("198.18.0.0/24") }, { range: parseIpRange("2001:2::/64"), ports: span(443) }],
  deny: [{ range: parseIpRange("198.18.0.1") }, { range: parseIpRange("198.18.0.2"), ports: span(80) }],
  timed: {
    allow: [{ range: parseIpRange("198.18.1.0/24"), remainingSeconds: 600 }],
    deny: [{ range: parseIpRange("2001:2::1"), ports: span(80), remainingSeconds: 600 }],
    lift: [{ range: parseIpRange("198.18.0.1"), remainingSeconds: 600 }],
  },
  learned: {
    kind: "by-resolver",
    timeoutSeconds: 60,
    scopes: [{ id: 1, area: { tcp: [span(443)], udp: [], other: false } }],
    queryGeneration: 0,
    flowGeneration: 0,
  },
  upstream: parseIpRange("10.0.2.3"),
  reserved: [parseIpRange("10.0.2.0/24")],
  published: [{ protocol: "tcp", port: 8080 }],
};

function span(port: number) {
  return { first: port, last: port };
}

/** Loads rules into a network namespace that ends with the attempt, with the rights that a hook has. */
async function tryRules(host: Host, { programs, podman, isRoot }: Machine): Promise<MachineFacts["kernel"]> {
  const [unshare, sh] = await Promise.all(
    ["unshare", "sh"].map((name) => findProgram(name, SEARCHED.programs)),
  );
  const { nft, podman: podmanProgram } = programs;
  if (nft === undefined || unshare === undefined || sh === undefined) {
    return { kind: "unknown", reason: "nft, unshare or sh is missing" };
  }
  const script = '"$1" -f - && "$1" -j list ruleset';
  const inNamespace = ["--net", "--", sh, "-c", script, "sh", nft.path];
  const stdin = renderRuleset(TRIED, { kind: "up" });
  // Distributions let podman make user namespaces that they forbid to unshare.
  if (!isRoot && (podman.kind !== "works" || podmanProgram === undefined)) {
    return { kind: "unknown", reason: "podman does not work" };
  }
  try {
    const { stdout } =
      isRoot || podmanProgram === undefined
        ? await host.runCommand({ program: "unshare", file: unshare, args: inNamespace, stdin })
        : await host.runCommand({
            program: "podman",
            file: podmanProgram.path,
            args: ["unshare", unshare, ...inNamespace],
            stdin,
          });
    const state = readShieldState(stdout, TRIED);
    if (state.kind === "up") return { kind: "passed" };
    return {
      kind: "failed",
      reason: state.kind === "error" ? state.reason : "the rules are not there once loaded",
    };
  } catch (cause) {
    return { kind: "failed", reason: (cause as Error).message };
  }
}

/** What `setup` installed, for this user or for all. */
async function readHooks(host: Host, machine: Machine): Promise<InstalledHooks[]> {
  const installed = await Promise.all(
    (["user", "system"] as const).map(async (scope) => {
      const installation = findHooksInstallation(scope);
      const files = await readInstalledFiles(installation);
      return files.length === 0 ? undefined : judgeHooks(host, machine, { installation, files });
    }),
  );
  return installed.filter((hooks) => hooks !== undefined);
}

async function judgeHooks(
  host: Host,
  { programs }: Machine,
  {
    installation,
    files,
  }: { readonly installation: HooksInstallation; readonly files: readonly InstalledFile[] },
): Promise<InstalledHooks> {
  const { scope, hooksDirectory } = installation;
  const missing = await findMissingProgram(files);
  const isRead =
    programs.podman === undefined ||
    (await readsHooksFrom(host, programs.podman.path, hooksDirectory).catch(() => true));
  const podmanMajor = Number(programs.podman?.version?.split(".")[0] ?? 4);
  const places = findContainersConfPlaces();
  const { file = places.only ?? "podman's own configuration" } = isRead
    ? {}
    : await readHooksSetting(places, podmanMajor).catch(() => ({ file: undefined }));
  return {
    scope,
    directory: hooksDirectory,
    ...(missing === undefined ? {} : { missing }),
    isStale: await isStale(host, installation, files),
    ...(isRead ? {} : { unreadBy: file }),
  };
}

async function isStale(
  host: Host,
  installation: HooksInstallation,
  files: readonly InstalledFile[],
): Promise<boolean> {
  const contentOf = (path: string) => files.find((file) => file.path === path)?.content;
  if (contentOf(installation.hookEntrypoint) !== (await readShippedHook(host).catch(() => undefined)))
    return true;
  // What root's Node and root's podman would get is not known to a user.
  if (installation.scope === "system" && process.getuid?.() !== 0) return false;
  // Without the programs there is nothing to compare with, and their checks say so.
  const planned = await planInstallation(host, installation).catch(() => undefined);
  if (planned === undefined) return false;
  return planned.length !== files.length || planned.some(({ path, content }) => contentOf(path) !== content);
}

async function findLeftOver(host: Host): Promise<MachineFacts["leftOver"]> {
  try {
    const { bundles, helpers } = await prune(host, { dryRun: true });
    return { containers: bundles.map(({ container }) => container), helpers: helpers.length };
  } catch {
    return undefined;
  }
}
