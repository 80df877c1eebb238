import { closeSync, constants, fstatSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { ShieldRefusal } from "./shield-refusal.ts";

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/**
 * Whoever reads it meanwhile sees the old or the new, and never a part.
 * @throws ShieldRefusal when it cannot be written.
 */
export function replaceFile(path: string, content: string): void {
  orRefuse(path, () => {
    // Whatever an earlier run, or somebody else, left there.
    rmSync(`${path}.new`, { force: true });
    write(`${path}.new`, O_EXCL, content);
    renameSync(`${path}.new`, path);
  });
}

/**
 * Adds to the end of a file, and to nothing else in its place: a link would lead elsewhere, a pipe would hold up the start.
 * @throws ShieldRefusal when it cannot be written.
 */
export function appendOwnFile(path: string, content: string): void {
  orRefuse(path, () => write(path, O_APPEND, content));
}

function write(path: string, flag: number, content: string): void {
  const file = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | flag, 0o600);
  try {
    if (!fstatSync(file).isFile()) throw new Error("not a regular file");
    writeFileSync(file, content);
  } finally {
    closeSync(file);
  }
}

function orRefuse(path: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    throw new ShieldRefusal(`${path} cannot be written: ${(cause as Error).message}`);
  }
}
