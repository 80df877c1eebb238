import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { ShieldError } from "../shield-error.ts";
import type { BundleLock } from "./bundle-lock.ts";

/** The programs that terok-shield runs, and no others. */
type ProgramName =
  | "nft"
  | "nsenter"
  | "podman"
  | "dnsmasq"
  | "dig"
  | "getent"
  // Doctor asks these for their versions, and tries the rules in a namespace of its own.
  | "crun"
  | "runc"
  | "setpriv"
  | "flock"
  | "ulogd"
  | "slirp4netns"
  | "pasta"
  | "unshare"
  // Shows the operator's prompt on his desktop, too.
  | "notify-send";

export interface Command {
  readonly program: ProgramName;
  /** Absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  /** Ends within milliseconds, whatever anybody does: this process waits, and does nothing else. */
  readonly isBrief?: boolean;
  /** Held by the program, too: should we be killed, nobody else begins before it has ended. */
  readonly lock?: BundleLock;
}

/** Between asking a program to end and insisting. */
const GRACE_MILLISECONDS = 500;

/** Rejects with CommandFailedError on anything but exit 0. */
export type RunCommand = (command: Command) => Promise<{ stdout: string }>;

export class CommandFailedError extends ShieldError {
  readonly exitCode: number | undefined;

  constructor(command: Command, stderr: string, exitCode: number | undefined) {
    const first = stderr.trim().split("\n")[0] ?? "";
    super(
      `${command.program} failed (${exitCode === undefined ? "no exit" : `exit ${exitCode}`}): ${JSON.stringify(first)}`,
    );
    this.exitCode = exitCode;
  }
}

export const runCommand: RunCommand = async (command) =>
  command.isBrief === true ? runBriefly(command) : run(command);

/** Waits without Node's own pipes, which take longer to set up than nft takes to run. */
function runBriefly(command: Command): { stdout: string } {
  const { lock, stdin = "" } = command;
  const result = spawnSync(command.file, command.args, {
    input: stdin,
    stdio: ["pipe", "pipe", "pipe", ...(lock === undefined ? [] : [lock.fd])],
    encoding: "utf8",
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  if (result.status === 0) return { stdout: result.stdout };
  const { error, stderr, signal, status } = result;
  // A program that fails without reading its input also gives EPIPE, which says less than its complaint.
  throw new CommandFailedError(command, stderr || (error?.message ?? signal ?? ""), status ?? undefined);
}

function run(command: Command): Promise<{ stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command.file, command.args, {
      stdio: ["pipe", "pipe", "pipe", ...(command.lock === undefined ? [] : [command.lock.fd])],
    }) as ChildProcessWithoutNullStreams;
    const stop = () => endProcess(child);
    command.signal?.addEventListener("abort", stop);
    if (command.signal?.aborted === true) stop();
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let fault: string | undefined;
    child.on("error", (cause) => {
      fault = cause.message;
    });
    // A program that ends without reading says why by its exit code.
    child.stdin.on("error", () => {});
    child.stdin.end(command.stdin ?? "");
    child.on("close", (exitCode, signal) => {
      command.signal?.removeEventListener("abort", stop);
      if (exitCode === 0 && fault === undefined) return resolve({ stdout: stdout() });
      reject(
        new CommandFailedError(
          command,
          stderr() || fault || (signal ?? ""),
          fault === undefined ? (exitCode ?? undefined) : undefined,
        ),
      );
    });
  });
}

/** Asks a program to end, and insists when it does not. */
function endProcess(child: ChildProcess): void {
  child.kill("SIGTERM");
  const insist = setTimeout(() => child.kill("SIGKILL"), GRACE_MILLISECONDS);
  child.once("exit", () => clearTimeout(insist));
}

function collect(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Signals that a user sends to terok-shield and means for the container. */
const FORWARDED_SIGNALS = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"] as const;
/** A terminal sends these to the whole foreground group, podman included. */
const TERMINAL_SIGNALS = new Set<string>(["SIGINT", "SIGQUIT"]);

/**
 * Runs podman in the foreground with our terminal, standard streams and signals, to its end.
 * @returns podman's exit code, which for `run` is the container's; 128 + n when signal n ended it.
 */
export async function runForeground(file: string, args: readonly string[]): Promise<number> {
  // Listening comes first: a signal in between would end us and leave podman alone.
  const forward = (signal: NodeJS.Signals): void => {
    if (!(TERMINAL_SIGNALS.has(signal) && isTerminal(process.stdin))) child.kill(signal);
  };
  for (const signal of FORWARDED_SIGNALS) process.on(signal, forward);
  const child = spawn(file, args, { stdio: "inherit" });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on("error", (cause) =>
        reject(new ShieldError(`podman could not be run: ${cause.message}`, { cause })),
      );
      child.on("close", (code, signal) =>
        resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
      );
    });
  } finally {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, forward);
  }
}

function isTerminal(stream: Readable & { isTTY?: boolean }): boolean {
  return stream.isTTY === true;
}
