import { spawnSync } from "node:child_process";
import { ShieldRefusal } from "./shield-refusal.ts";

/** Nothing of the caller's environment reaches a program that the hook runs. Logs are in UTC. */
export const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", TZ: "UTC0" };
const TIMEOUT_MILLISECONDS = 20_000;

/**
 * Runs a program to its end and returns what it printed.
 * @throws ShieldRefusal with the first line of its complaint when it is missing, fails or hangs.
 */
export function runProgram(file: string, args: readonly string[], input = ""): string {
  return run(file, file, args, input);
}

/** Of a file that such a program writes: whatever a container does, its bundle stays below 64 MiB. */
export const MOST_FILE_BYTES = 6 * 1024 * 1024;
/** POSIX: ulimit counts blocks of 512 bytes. A write beyond the limit fails as on a full disk, and ends nobody. */
export const LIMITED = `trap "" XFSZ; ulimit -f ${MOST_FILE_BYTES / 512}; exec "$@"`;

/** The same for a program that goes on in the background and writes files. */
export function runLimited(file: string, args: readonly string[]): void {
  run(file, "/bin/sh", ["-c", LIMITED, "sh", file, ...args], "");
}

function run(named: string, file: string, args: readonly string[], input: string): string {
  const result = spawnSync(file, args, {
    input,
    encoding: "utf8",
    env: ENVIRONMENT,
    cwd: "/",
    timeout: TIMEOUT_MILLISECONDS,
    killSignal: "SIGKILL",
    maxBuffer: 512 * 1024 * 1024,
  });
  // A program that fails without reading its input also gives EPIPE, which says less than its complaint.
  if (result.error !== undefined && !result.status)
    throw new ShieldRefusal(`${named} could not be run: ${result.error.message}`);
  if (result.status !== 0) {
    const complaint = result.stderr.trim().split("\n")[0] ?? "";
    const how = result.status === null ? `signal ${result.signal}` : `exit ${result.status}`;
    throw new ShieldRefusal(`${named} failed (${how}): ${JSON.stringify(complaint)}`);
  }
  return result.stdout;
}
