import { spawnSync } from "node:child_process";
import { ShieldRefusal } from "./shield-refusal.ts";

/** Nothing of the caller's environment reaches a program that the hook runs. */
const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const TIMEOUT_MILLISECONDS = 20_000;

/**
 * Runs a program to its end and returns what it printed.
 * @throws ShieldRefusal with the first line of its complaint when it is missing, fails or hangs.
 */
export function runProgram(file: string, args: readonly string[], input = ""): string {
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
    throw new ShieldRefusal(`${file} could not be run: ${result.error.message}`);
  if (result.status !== 0) {
    const complaint = result.stderr.trim().split("\n")[0] ?? "";
    const how = result.status === null ? `signal ${result.signal}` : `exit ${result.status}`;
    throw new ShieldRefusal(`${file} failed (${how}): ${JSON.stringify(complaint)}`);
  }
  return result.stdout;
}
