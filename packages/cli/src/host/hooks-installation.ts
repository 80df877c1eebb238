import { chmod, mkdir, readdir, rmdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { readTextFile, removeFile, writeFileAtomically } from "./files.ts";
import { checkPath } from "./places.ts";

export type SetupScope = "user" | "system";

/** Where `setup` puts what podman needs to start shielded containers by itself. */
export interface HooksInstallation {
  readonly scope: SetupScope;
  readonly directory: string;
  /** A copy: the program's own directory may move with the next upgrade. */
  readonly hookEntrypoint: string;
  readonly hooksDirectory: string;
  /** Tells podman of the hooks directory. */
  readonly dropIn: string;
}

export function findHooksInstallation(
  scope: SetupScope,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): HooksInstallation {
  const home = environment.HOME ?? homedir();
  const data = environment.XDG_DATA_HOME || join(home, ".local/share");
  const config = environment.XDG_CONFIG_HOME || join(home, ".config");
  const directory = checkPath(
    scope === "system" ? "/usr/local/lib/terok-shield" : join(data, "terok/shield"),
    "data directory",
  );
  return {
    scope,
    directory,
    hookEntrypoint: `${directory}/terok-shield-hook.cjs`,
    hooksDirectory: `${directory}/hooks.d`,
    // Late in the order of names, since the last list of directories wins.
    dropIn: `${scope === "system" ? "/etc" : config}/containers/containers.conf.d/99-terok-shield.conf`,
  };
}

export interface InstalledFile {
  readonly path: string;
  readonly content: string;
}

/** The files of an installation as they are on the disk, with those that an interrupted setup left. */
export async function readInstalledFiles({
  hookEntrypoint,
  hooksDirectory,
  dropIn,
}: HooksInstallation): Promise<InstalledFile[]> {
  const paths = (
    await Promise.all([
      listFiles(dirname(hookEntrypoint), basename(hookEntrypoint)),
      listFiles(hooksDirectory, "terok-shield-"),
      listFiles(dirname(dropIn), basename(dropIn)),
    ])
  ).flat();
  const files = paths.map((path) => ({ path, content: readTextFile(path) }));
  return files.flatMap(({ path, content }) => (content === undefined ? [] : [{ path, content }]));
}

/**
 * Brings the planned files onto the disk, in this order, and takes away what a former version left.
 * @returns what was written or removed
 */
export async function writeInstallation(
  installation: HooksInstallation,
  planned: readonly InstalledFile[],
): Promise<string[]> {
  const installed = await readInstalledFiles(installation);
  const missing = planned.filter(
    ({ path, content }) => !installed.some((file) => file.path === path && file.content === content),
  );
  for (const { path, content } of missing) {
    await makeDirectories(dirname(path), installation.scope === "system" ? 0o755 : 0o700);
    await writeFileAtomically(path, content, 0o644);
  }
  const surplus = installed.filter(({ path }) => !planned.some((file) => file.path === path));
  for (const { path } of surplus) await removeFile(path);
  return [...missing, ...surplus].map(({ path }) => path);
}

/**
 * Removes an installation, and the directories that are empty without it.
 * @returns what was removed
 */
export async function removeInstallation(installation: HooksInstallation): Promise<string[]> {
  const { scope, directory, hooksDirectory, dropIn } = installation;
  // The drop-in first: podman must not read hooks of which half is gone.
  const paths = (await readInstalledFiles(installation)).map(({ path }) => path).reverse();
  for (const path of paths) await removeFile(path);
  const isUser = scope === "user";
  await removeEmptyDirectories([hooksDirectory, directory, ...(isUser ? [dirname(directory)] : [])]);
  await removeEmptyDirectories([dirname(dropIn), ...(isUser ? [dirname(dirname(dropIn))] : [])]);
  return paths;
}

/** Whether every user may run a program, by its real path: the modes of the file and of each directory on the way. */
export async function isRunnableByAll(program: string): Promise<boolean> {
  for (let path = program; ; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

async function listFiles(directory: string, prefix: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => name.startsWith(prefix))
      .sort()
      .map((name) => `${directory}/${name}`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}

/** As others have to read it too, whatever our umask: podman runs as each of them. */
async function makeDirectories(directory: string, mode: number): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = dirname(made)) await chmod(made, mode);
}

/** Those below first; one that still holds something stays, with all above it. */
async function removeEmptyDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    try {
      await rmdir(directory);
    } catch {
      return;
    }
  }
}
