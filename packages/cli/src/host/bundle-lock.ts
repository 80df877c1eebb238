import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { ShieldError } from "../shield-error.ts";

/** A lock that is held. Commands that get it hold it too, until the last of them has ended. */
export interface BundleLock {
  readonly fd: number;
}

const PATIENCE_SECONDS = 60;
const EXIT_HELD_BY_OTHERS = 75;
/** As for everything that we run: nothing of the user's own PATH. */
const PROGRAM_PATH =
  "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/run/current-system/sw/bin";

/**
 * Runs `work` while no other process holds the lock of the same directory, for which it waits up to a minute.
 *
 * The lock is flock(2) on the directory itself: it needs no file, so a full or read-only disk is no obstacle, and the
 * kernel frees it whatever becomes of us.
 * @throws ShieldError when it is held for longer, or the directory is gone or another by the time.
 */
export async function withBundleLock<Result>(
  directory: string,
  work: (lock: BundleLock) => Promise<Result>,
): Promise<Result> {
  const handle = await openDirectory(directory);
  try {
    await takeLock(handle, directory);
    return await work({ fd: handle.fd });
  } finally {
    await handle.close();
  }
}

async function openDirectory(directory: string): Promise<FileHandle> {
  try {
    return await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw cannotLock(directory, (cause as Error).message, cause);
  }
}

const EXCLUSIVE = ["--exclusive", `--conflict-exit-code=${EXIT_HELD_BY_OTHERS}`];

/** flock(1) locks the file description that it inherits from us, so the lock stays ours when it has ended. */
async function takeLock(handle: FileHandle, directory: string): Promise<void> {
  const atOnce = tryLock(handle, directory);
  const exitCode = atOnce === EXIT_HELD_BY_OTHERS ? await awaitLock(handle, directory) : atOnce;
  if (exitCode === EXIT_HELD_BY_OTHERS) {
    throw new ShieldError(
      `Another terok-shield command is at work on ${JSON.stringify(directory)}. Wait until it ends.`,
    );
  }
  if (exitCode !== 0) throw cannotLock(directory, `flock failed (exit ${exitCode})`);
  await checkStillThere(handle, directory);
}

/** Takes it at once or not at all: the usual case, without the pipes of a process that somebody waits for. */
function tryLock({ fd }: FileHandle, directory: string): number | null {
  const { status, error } = spawnSync("flock", [...EXCLUSIVE, "--nonblock", "3"], lockOptions(fd));
  if (error !== undefined) throw cannotLock(directory, error.message, error);
  return status;
}

function awaitLock({ fd }: FileHandle, directory: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn("flock", [...EXCLUSIVE, `--timeout=${PATIENCE_SECONDS}`, "3"], lockOptions(fd));
    child.on("error", (cause) => reject(cannotLock(directory, cause.message, cause)));
    child.on("close", resolve);
  });
}

function lockOptions(fd: number): { stdio: ["ignore", "ignore", "ignore", number]; env: { PATH: string } } {
  return { stdio: ["ignore", "ignore", "ignore", fd], env: { PATH: PROGRAM_PATH } };
}

/** While we waited, the bundle may have been removed, and another one made. */
async function checkStillThere(handle: FileHandle, directory: string): Promise<void> {
  const locked = await handle.stat();
  const present = await stat(directory).catch(() => undefined);
  if (present?.dev === locked.dev && present.ino === locked.ino) return;
  throw new ShieldError(
    `${JSON.stringify(directory)} was removed or replaced by another terok-shield command. Try again.`,
  );
}

function cannotLock(directory: string, reason: string, cause?: unknown): ShieldError {
  return new ShieldError(`${JSON.stringify(directory)} cannot be locked: ${reason}.`, { cause });
}
