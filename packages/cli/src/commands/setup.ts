import { bundleDirectory } from "../bundle-directory.ts";
import { renderHooksDropIn } from "../containers-conf.ts";
import { renderGlobalHookDescriptors } from "../hook-descriptors.ts";
import { listBundles } from "../host/bundles.ts";
import { findContainersConfPlaces, readHooksSetting } from "../host/containers-conf.ts";
import { readTextFile } from "../host/files.ts";
import {
  findHooksInstallation,
  type HooksInstallation,
  type InstalledFile,
  isRunnableByAll,
  removeInstallation,
  type SetupScope,
  writeInstallation,
} from "../host/hooks-installation.ts";
import type { Host } from "../host/host.ts";
import { readsHooksFrom } from "../host/podman-hooks.ts";
import { findRunningContainer } from "../host/running-container.ts";
import { ShieldError } from "../shield-error.ts";

export interface SetupResult {
  /** What was written or removed; nothing when everything was as it should be. */
  readonly changed: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Makes podman fire the shield's hooks by itself, so that `podman start`, restart policies and a reboot bring
 * shielded containers up. Others get one line of shell, which keeps them out of the networks of shielded ones.
 * @throws ShieldError when podman would not take them up: what was written stays.
 */
export async function setup(host: Host, scope: SetupScope): Promise<SetupResult> {
  const installation = findHooksInstallation(scope);
  requireRights(scope);
  const { programs } = await host.facts();
  if (scope === "system" && !(await isRunnableByAll(programs.node))) {
    throw new ShieldError(
      `${programs.node} cannot be run by every user. Install Node for all of them, for example from your distribution.`,
    );
  }
  const changed = await writeInstallation(installation, await planInstallation(host, installation));
  await requireUse(host, installation);
  return { changed, notes: [] };
}

/** Takes away all that `setup` brought. Shielded containers start by terok-shield alone again. */
export async function undoSetup(host: Host, scope: SetupScope): Promise<SetupResult> {
  requireRights(scope);
  const changed = await removeInstallation(findHooksInstallation(scope));
  const running = changed.length === 0 ? [] : await listRunning(host);
  return {
    changed,
    notes: running.map(
      (container) => `${container} runs: what helps it may stay behind when it ends. See terok-shield prune`,
    ),
  };
}

/** The files of an installation, in the order in which to write them: podman hears of the hooks last. */
export async function planInstallation(
  host: Host,
  installation: HooksInstallation,
): Promise<InstalledFile[]> {
  const { programs, podmanMajor } = await host.facts();
  const { hookEntrypoint, hooksDirectory, dropIn, scope } = installation;
  const descriptors = renderGlobalHookDescriptors({
    node: programs.node,
    nsenter: programs.nsenter,
    sed: programs.sed,
    hookEntrypoint,
    stateDirectories: scope === "user" ? [host.places.state] : [],
  });
  const { directories } = await readHooksSetting(confPlaces(scope), podmanMajor, { without: [dropIn] });
  return [
    { path: hookEntrypoint, content: await readShippedHook(host) },
    ...Object.entries(descriptors).map(([name, content]) => ({ path: `${hooksDirectory}/${name}`, content })),
    { path: dropIn, content: renderHooksDropIn(directories, hooksDirectory) },
  ];
}

/** The hook that this version brings. */
export async function readShippedHook({ places }: Host): Promise<string> {
  const hook = readTextFile(places.hookEntrypoint);
  if (hook === undefined) {
    throw new ShieldError(`${places.hookEntrypoint} is missing. Install terok-shield again.`);
  }
  return hook;
}

/** What one user wrote at home is no part of what holds for all. */
function confPlaces(scope: SetupScope) {
  const places = findContainersConfPlaces();
  return scope === "system" ? { ...places, user: undefined, only: undefined, last: undefined } : places;
}

function requireRights(scope: SetupScope): void {
  if (scope === "system" && process.getuid?.() !== 0) {
    throw new ShieldError("setup --system writes for every user. Run it as root, or use setup --user.", {
      code: "usage",
    });
  }
}

/** Judged by what podman says: files that it reads later may have the last word. */
async function requireUse(host: Host, { hooksDirectory, scope }: HooksInstallation): Promise<void> {
  const { programs, podmanMajor } = await host.facts();
  const places = confPlaces(scope);
  const { directories, file = places.only } = await readHooksSetting(places, podmanMajor);
  // Root's podman says nothing of the users', so for all of them the files have to do.
  const isRead =
    scope === "system"
      ? directories.includes(hooksDirectory)
      : await readsHooksFrom(host, programs.podman, hooksDirectory);
  if (isRead) return;
  throw new ShieldError(
    `The hooks are installed, but podman does not read them: ${file ?? "something else"} has the last word on hooks_dir. Add ${JSON.stringify(hooksDirectory)} to that list.`,
  );
}

async function listRunning(host: Host): Promise<string[]> {
  const running: string[] = [];
  for (const container of await listBundles(host.places)) {
    if (findRunningContainer(bundleDirectory(host.places, container)) !== undefined) running.push(container);
  }
  return running;
}
