import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConfigFile, HooksSetting } from "../containers-conf.ts";
import { readTextFile } from "./files.ts";

/** Where podman looks for containers.conf(5). */
export interface ContainersConfPlaces {
  readonly vendor: string;
  readonly administrator: string;
  /** Absent where only what holds for every user counts. */
  readonly user?: string | undefined;
  /** Of the user that podman runs as. */
  readonly uid: number;
  /** `$CONTAINERS_CONF`: read instead of all others. */
  readonly only?: string | undefined;
  /** `$CONTAINERS_CONF_OVERRIDE`: read after all others. */
  readonly last?: string | undefined;
}

export function findContainersConfPlaces(environment = process.env): ContainersConfPlaces {
  const home = environment.HOME ?? homedir();
  return {
    vendor: "/usr/share/containers",
    administrator: "/etc/containers",
    user: join(environment.XDG_CONFIG_HOME || join(home, ".config"), "containers"),
    uid: process.getuid?.() ?? 0,
    only: environment.CONTAINERS_CONF || undefined,
    last: environment.CONTAINERS_CONF_OVERRIDE || undefined,
  };
}

/**
 * The hooks directories that podman would use, were it not for the files `without`.
 * @throws ShieldError for a file that podman cannot read either.
 */
export async function readHooksSetting(
  places: ContainersConfPlaces,
  podmanMajor: number,
  { without }: { readonly without?: readonly string[] } = {},
): Promise<HooksSetting> {
  const builtIn = [`${places.vendor}/oci/hooks.d`];
  const files = (await readContainersConf(places, podmanMajor))
    .filter(({ path }) => without?.includes(path) !== true)
    // The vendor's file is long and sets nothing, and the parser takes a while to load.
    .filter(({ text }) => /^[^#\n]*hooks_dir/im.test(text));
  if (files.length === 0) return { directories: builtIn };
  const { mergeHooksDirectories } = await import("../containers-conf.ts");
  return mergeHooksDirectories(builtIn, files);
}

/** The files that podman reads, in its order (containers.conf(5)). */
async function readContainersConf(places: ContainersConfPlaces, podmanMajor: number): Promise<ConfigFile[]> {
  const { vendor, administrator, user, uid, only, last } = places;
  if (only !== undefined) return readFiles([only]);
  // A podman that does not know the files for rootless users is not given any.
  const rootless = uid === 0 ? [] : [`${administrator}/containers.rootless.conf`];
  return readFiles([
    `${vendor}/containers.conf`,
    `${administrator}/containers.conf`,
    ...(await listDropIns(`${administrator}/containers.conf.d`)),
    ...rootless,
    ...(
      await Promise.all(rootless.flatMap((file) => [`${file}.d`, `${file}.d/${uid}`].map(listDropIns)))
    ).flat(),
    // Podman 4 does not look into root's home.
    ...(user === undefined || (uid === 0 && podmanMajor < 5)
      ? []
      : [`${user}/containers.conf`, ...(await listDropIns(`${user}/containers.conf.d`))]),
    ...(last !== undefined && podmanMajor >= 5 ? [last] : []),
  ]);
}

function readFiles(paths: readonly string[]): ConfigFile[] {
  const files = paths.map((path) => ({ path, text: readTextFile(path) }));
  return files.flatMap(({ path, text }) => (text === undefined ? [] : [{ path, text }]));
}

/** In the order of their bytes, as Go sorts them. */
async function listDropIns(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith(".conf"))
      .map(({ name }) => `${directory}/${name}`)
      .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
}
