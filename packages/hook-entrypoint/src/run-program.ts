import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { ShieldRefusal } from "./shield-refusal.ts";

/** Nothing of the caller's environment reaches a program that the hook runs. Logs are in UTC. */
export const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", TZ: "UTC0" };
const TIMEOUT_MILLISECONDS = 20_000;

/**
 * Runs a program to its end and gives what it printed.
 * @throws ShieldRefusal with the first line of its complaint when it is missing, fails or hangs.
 */
export function runProgram(file: string, args: readonly string[], input = ""): Promise<string> {
  return run(file, file, args, input);
}

/** Of a file that such a program writes: whatever a container does, its bundle stays below 64 MiB. */
export const MOST_FILE_BYTES = 6 * 1024 * 1024;
/** POSIX: ulimit counts blocks of 512 bytes. A write beyond the limit fails as on a full disk, and ends nobody. */
export const LIMITED = `trap "" XFSZ; ulimit -f ${MOST_FILE_BYTES / 512}; exec "$@"`;

/** The same for a program that goes on in the background and writes files. */
export async function runLimited(file: string, args: readonly string[]): Promise<void> {
  await run(file, "/bin/sh", ["-c", LIMITED, "sh", file, ...args], "");
}

function run(named: string, file: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: TIMEOUT_MILLISECONDS, killSignal: "SIGKILL" } as const;
    const child = spawn(file, args, { env: ENVIRONMENT, cwd: "/", ...limits });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let fault: string | undefined;
    let isTaken = input === "";
    child.on("error", (cause) => {
      fault = cause.message;
    });
    // That it was not read is told by `isTaken`, and a complaint says more.
    child.stdin.on("error", () => {});
    child.stdin.on("finish", () => {
      isTaken = true;
    });
    child.stdin.end(input);
    child.on("close", (status, signal) => {
      const refuse = (reason: string) => reject(new ShieldRefusal(`${named} ${reason}`));
      if (fault !== undefined) return refuse(`could not be run: ${fault}`);
      if (status !== 0) {
        const complaint = stderr().trim().split("\n")[0] ?? "";
        const how = status === null ? `signal ${signal}` : `exit ${status}`;
        return refuse(`failed (${how}): ${JSON.stringify(complaint)}`);
      }
      if (!isTaken) return refuse("ended without reading what it was given");
      resolve(stdout());
    });
  });
}

/** Waits for all, also where one fails: what is only about to start could not be ended. @throws as the first that failed. */
export async function allEnded(work: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(work);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}
