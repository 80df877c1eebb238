import { readdir } from "node:fs/promises";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { Places } from "./places.ts";

/** The containers that have a bundle, by name. */
export async function listBundles({ state }: Places): Promise<ContainerName[]> {
  let entries: string[];
  try {
    entries = await readdir(`${state}/containers`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw cause;
  }
  return entries.flatMap(parseEntry).sort();
}

/** Names that no container can have are somebody else's files. */
function parseEntry(entry: string): ContainerName[] {
  try {
    return [parseContainerName(entry)];
  } catch {
    return [];
  }
}
