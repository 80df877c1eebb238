import { lstatSync, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { PlannedFile } from "../bundle-plan.ts";
import { readTextFile, stageFile } from "./files.ts";

/**
 * Writes those of a bundle's files that are not on disk as planned. All of them are on disk before the first gets its name,
 * so a disk that is full or read-only leaves everything as it was; then they get their names in their order.
 * @returns their paths
 * @throws ShieldError when one cannot be written.
 */
export async function writeChangedFiles(files: readonly PlannedFile[]): Promise<string[]> {
  const changed = files.filter((file) => !isAsPlanned(file));
  const staged = await Promise.allSettled(
    changed.map(({ path, content, mode }) => stageFile(path, content, mode)),
  );
  const ready = staged.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  try {
    const failed = staged.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    for (const file of ready) await file.commit();
  } catch (cause) {
    await Promise.all(ready.map((file) => file.discard().catch(() => {})));
    throw cause;
  }
  for (const directory of new Set(changed.map(({ path }) => dirname(path)))) await syncDirectory(directory);
  return changed.map(({ path }) => path);
}

function isAsPlanned({ path, content, mode }: PlannedFile): boolean {
  const stat = lookAt(path);
  if (stat?.isFile() !== true || (stat.mode & 0o7777) !== mode || stat.uid !== process.getuid?.())
    return false;
  return readTextFile(path) === content;
}

/** Undefined where it cannot be looked at: then to write says why. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** A name that was given to a file outlives a crash of the machine only with its directory. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
