import { mkdir, readdir, stat } from "node:fs/promises";
import { parseProfileName } from "@terok-shield/profiles";
import { ShieldError } from "../shield-error.ts";
import { withBundleLock } from "./bundle-lock.ts";
import { readTextFile, resolvePath, writeFileAtomically } from "./files.ts";
import type { Places } from "./places.ts";

export interface ProfileFile {
  readonly name: string;
  readonly file: string;
  readonly origin: "user" | "bundled";
}

/** All profiles, by name; a user's own replaces the bundled one of the same name. */
export async function listProfiles({ config, bundledProfiles }: Places): Promise<ProfileFile[]> {
  const found = new Map<string, ProfileFile>();
  for (const [directory, origin] of [
    [bundledProfiles, "bundled"],
    [`${config}/profiles`, "user"],
  ] as const) {
    for (const entry of await listDirectory(directory)) {
      const name = profileName(entry);
      if (name !== undefined) found.set(name, { name, file: `${directory}/${entry}`, origin });
    }
  }
  return [...found.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** @throws ShieldError (usage) that lists the known profiles when there is none of that name. */
export async function readProfile(places: Places, name: string): Promise<{ file: string; text: string }> {
  const profiles = await listProfiles(places);
  const profile = profiles.find((candidate) => candidate.name === name);
  const text = profile === undefined ? undefined : readTextFile(profile.file);
  if (profile === undefined || text === undefined) {
    const known = profiles.map((candidate) => candidate.name).join(", ");
    throw new ShieldError(`profile ${JSON.stringify(name)} does not exist. Known profiles: ${known}.`, {
      code: "usage",
    });
  }
  return { file: profile.file, text };
}

/** The profile that a name stands for; undefined when there is none. */
export async function findProfile(places: Places, name: string): Promise<ProfileFile | undefined> {
  return (await listProfiles(places)).find((candidate) => candidate.name === name);
}

/**
 * Changes a profile of the user's own, or makes it, while no other command of ours does. Throwing in `update` leaves
 * everything as it is.
 * @param update gets the text, undefined when there is none, and the file's path
 * @returns the file's path
 */
export async function updateUserProfile(
  { config }: Places,
  name: string,
  update: (text: string | undefined, file: string) => string,
): Promise<string> {
  const directory = `${config}/profiles`;
  const file = `${directory}/${parseProfileName(name)}.txt`;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await withBundleLock(resolvePath(directory) ?? directory, async () => {
    const text = readTextFile(file);
    const updated = update(text, file);
    if (updated === text) return;
    // Who keeps it elsewhere, and links to it, goes on to do so.
    const target = resolvePath(file) ?? file;
    await writeFileAtomically(
      target,
      updated,
      text === undefined ? 0o600 : (await stat(target)).mode & 0o777,
    );
  });
  return file;
}

function profileName(entry: string): string | undefined {
  if (!entry.endsWith(".txt")) return undefined;
  try {
    return parseProfileName(entry.slice(0, -".txt".length));
  } catch {
    return undefined;
  }
}

async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new ShieldError(`${JSON.stringify(directory)} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
