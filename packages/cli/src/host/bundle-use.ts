import { randomBytes } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { lstat, rename, rm, writeFile } from "node:fs/promises";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { bundleDirectory } from "../bundle-directory.ts";
import type { ContainerName } from "../container-name.ts";
import type { BundleFacts, HelperFacts } from "../prune-plan.ts";
import { withBundleLock } from "./bundle-lock.ts";
import { listBundles } from "./bundles.ts";
import { findContainerRun } from "./container-run.ts";
import { readTextFile } from "./files.ts";
import { listHelperProcesses } from "./helper-processes.ts";
import type { Host } from "./host.ts";

/** Says that a bundle outlives its container. */
const KEEP_FILE = "keep";

/** What makes the container anew for each run, a Quadlet unit or a compose file, needs the bundle in between. */
export async function keepBundle({ places }: Host, container: ContainerName): Promise<void> {
  await writeFile(`${bundleDirectory(places, container)}/${KEEP_FILE}`, "", { mode: 0o600 });
}

export async function readBundleFacts(host: Host): Promise<BundleFacts[]> {
  const containers = await listBundles(host.places);
  return Promise.all(containers.map((container) => readBundle(host, container)));
}

async function readBundle(host: Host, container: ContainerName): Promise<BundleFacts> {
  const directory = bundleDirectory(host.places, container);
  const containerId = readContainerId(directory);
  return {
    container,
    directory,
    ...(containerId === undefined ? {} : { containerId }),
    isRunning: isRunning(directory, container),
    ageSeconds: (host.now().getTime() - (await readPreparedAt(directory))) / 1000,
    isKept: readTextFile(`${directory}/${KEEP_FILE}`) !== undefined,
  };
}

/** Every resolver, packet reader and timer of a bundle below our state directory, whether the bundle is there or not. */
export function readHelperFacts({ places }: Host): HelperFacts[] {
  const inhabited = findContainerNetworks();
  return listHelperProcesses()
    .filter(({ bundle }) => bundle.startsWith(`${places.state}/containers/`))
    .map((helper) => ({ ...helper, isAlone: !inhabited.has(readNamespace(helper.pid, "net") ?? "") }));
}

/**
 * Removes a bundle in one step, unless it was prepared again since `unlessPreparedSince` or its container runs.
 * @returns whether it was removed
 */
export async function removeBundle(
  host: Host,
  { container, directory }: Pick<BundleFacts, "container" | "directory">,
  unlessPreparedSince: number,
): Promise<boolean> {
  const removed = `${host.places.state}/pruned-${randomBytes(6).toString("hex")}`;
  const isRemoved = await withBundleLock(directory, async () => {
    if ((await readPreparedAt(directory)) > unlessPreparedSince) return false;
    if (isRunning(directory, container)) return false;
    await rename(directory, removed);
    return true;
  });
  if (isRemoved) await rm(removed, { recursive: true, force: true });
  return isRemoved;
}

/** What a prune that was killed did not get to. */
export async function removeRemains({ places }: Host): Promise<void> {
  for (const name of readNames(places.state).filter((entry) => /^pruned-[0-9a-f]{12}$/.test(entry)))
    await rm(`${places.state}/${name}`, { recursive: true, force: true });
}

/** Also a container of that name that was started without the bundle keeps it. */
function isRunning(directory: string, container: ContainerName): boolean {
  return findContainerRun(directory, container).kind !== "stopped";
}

/** Milliseconds since the epoch. The manifest is what `prepare` writes last, each time. */
async function readPreparedAt(directory: string): Promise<number> {
  const manifest = await lstat(`${directory}/${BUNDLE_FILE.manifest}`).catch(() => lstat(directory));
  return manifest.mtimeMs;
}

function readContainerId(directory: string): string | undefined {
  const text = readTextFile(`${directory}/${BUNDLE_FILE.runtime}`);
  return /"containerId":"([0-9a-f]{64})"/.exec(text ?? "")?.[1];
}

/** Network namespaces with a process of a container in it: what podman puts beside it runs in our pid namespace. */
function findContainerNetworks(): Set<string> {
  const ownPids = readNamespace("self", "pid");
  const networks = readNames("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => (readNamespace(pid, "pid") ?? ownPids) !== ownPids)
    .map((pid) => readNamespace(pid, "net"));
  return new Set(networks.filter((network) => network !== undefined));
}

/** Undefined for a process that has just ended, or is not ours to look at. */
function readNamespace(pid: number | string, type: "net" | "pid"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${type}`);
  } catch {
    return undefined;
  }
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
