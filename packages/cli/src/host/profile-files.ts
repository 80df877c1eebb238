import { readdir } from "node:fs/promises";
import { parseProfileName } from "@terok-shield/profiles";
import { ShieldError } from "../shield-error.ts";
import { readTextFile } from "./files.ts";
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
  const text = profile === undefined ? undefined : await readTextFile(profile.file);
  if (profile === undefined || text === undefined) {
    const known = profiles.map((candidate) => candidate.name).join(", ");
    throw new ShieldError(`profile ${JSON.stringify(name)} does not exist. Known profiles: ${known}.`, {
      code: "usage",
    });
  }
  return { file: profile.file, text };
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
