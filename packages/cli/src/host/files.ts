import { randomBytes } from "node:crypto";
import { chmodSync, constants, lstatSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { appendFile, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ShieldError } from "../shield-error.ts";

/** The text of a file; undefined when there is none. */
export function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new ShieldError(`${JSON.stringify(path)} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Readers see the old content or the new, also after a crash of the machine. */
export async function writeFileAtomically(path: string, content: string, mode: number): Promise<void> {
  await (await stageFile(path, content, mode)).commit();
}

/** A file's new content, on disk under another name. */
export interface StagedFile {
  /** Gives it its name. */
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/** Writes a file's new content, for `commit` to put in place of the old: that needs no space any more. */
export async function stageFile(path: string, content: string, mode: number): Promise<StagedFile> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
  const discard = () => rm(temporary, { force: true });
  const orDiscard = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (cause) {
      await discard().catch(() => {});
      throw new ShieldError(`${JSON.stringify(path)} cannot be written: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  await orDiscard(async () => {
    const file = await open(temporary, "wx", mode);
    try {
      // The umask may take bits away that another user in the container needs.
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  return { commit: () => orDiscard(() => rename(temporary, path)), discard };
}

/** Removes what writers that were killed left in a directory. Nobody else may be writing there. */
export async function removeStagedFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (/\.[0-9a-f]{12}\.new$/.test(name)) await rm(`${directory}/${name}`, { force: true });
  }
}

/** One write in append mode: lines of several processes never mix. */
export async function appendLine(path: string, line: string): Promise<void> {
  await appendFile(path, line, {
    mode: 0o600,
    flag: constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY,
  });
}

/**
 * Makes a directory of ours where it is missing, and checks that it is ours alone.
 * @returns its path without symbolic links
 * @throws ShieldError when anybody else could change what is in it.
 */
export function ensurePrivateDirectory(path: string): string {
  try {
    makeDirectories(path);
    const real = realpathSync.native(path);
    checkPrivateDirectory(real);
    return real;
  } catch (cause) {
    if (cause instanceof ShieldError) throw cause;
    throw new ShieldError(
      `The directory ${JSON.stringify(path)} cannot be made or looked at: ${(cause as Error).message}.`,
      { cause },
    );
  }
}

/** WORKAROUND(node-mkdir-recursive): under /proc, node 20's own `recursive` never ends. Goes with node 20. */
function makeDirectories(path: string, hasParent = false): void {
  try {
    mkdirSync(path, 0o700);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return;
    if (!isMissing(cause) || hasParent) throw cause;
    // Somebody else may have made it in between.
    if (resolvePath(dirname(path)) === undefined) makeDirectories(dirname(path));
    makeDirectories(path, true);
    return;
  }
  // The umask may have taken our own bits away.
  chmodSync(path, 0o700);
}

function checkPrivateDirectory(directory: string): void {
  const own = lstatSync(directory);
  if (!own.isDirectory()) throw notOurs(directory, "it is no directory", "Choose another with --state-dir.");
  if (own.uid !== process.getuid?.())
    throw notOurs(directory, "it belongs to another user", "Choose another with --state-dir.");
  if ((own.mode & 0o077) !== 0) {
    throw notOurs(directory, "others may enter it", `Run chmod 700 ${directory}`);
  }
  for (let parent = dirname(directory); ; parent = dirname(parent)) {
    const { mode, uid } = lstatSync(parent);
    const isSticky = (mode & constants.S_IFMT) === constants.S_IFDIR && (mode & 0o1000) !== 0;
    if ((mode & 0o002) !== 0 && !isSticky)
      throw notOurs(directory, `anybody may write to ${parent}`, "Choose another with --state-dir.");
    if (uid !== 0 && uid !== process.getuid?.()) {
      throw notOurs(directory, `${parent} belongs to another user`, "Choose another with --state-dir.");
    }
    if (parent === dirname(parent)) return;
  }
}

function notOurs(directory: string, reason: string, remedy: string): ShieldError {
  return new ShieldError(
    `The state directory ${JSON.stringify(directory)} is not safe: ${reason}. ${remedy}`,
  );
}

function isMissing(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException).code === "ENOENT";
}

/** Removes a file; none there is fine. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** The path without symbolic links; undefined when nothing is there. */
export function resolvePath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw cause;
  }
}

export function isSocketFile(path: string): boolean {
  return lstatSync(path).isSocket();
}

/** Adds the lines that a mounted hosts file lacks. Written in place: the mount holds on to the file, not its name. */
export async function appendHosts(path: string, lines: string): Promise<void> {
  const text = await readFile(path, "utf8");
  const present = new Set(text.split("\n"));
  const missing = lines.split("\n").filter((line) => line !== "" && !present.has(line));
  const start = text === "" || text.endsWith("\n") ? "" : "\n";
  if (missing.length > 0) await appendFile(path, `${start}${missing.join("\n")}\n`);
}
