import type { Readable } from "node:stream";
import { ShieldError } from "../shield-error.ts";

/** The programs that terok-shield runs, and no others. */
type ProgramName = "nft" | "nsenter" | "podman" | "dnsmasq" | "dig" | "getent";

export interface Command {
  readonly program: ProgramName;
  /** Absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly signal?: AbortSignal;
}

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

export const runCommand: RunCommand = async (command) => {
  // execa takes 30 ms to load: only commands that run a program pay for it.
  const { execa } = await import("execa");
  const result = await execa(command.file, command.args, {
    reject: false,
    stdin: command.stdin === undefined ? "ignore" : "pipe",
    ...(command.stdin === undefined ? {} : { input: command.stdin }),
    ...(command.signal === undefined ? {} : { cancelSignal: command.signal, forceKillAfterDelay: 500 }),
    maxBuffer: 512 * 1024 * 1024,
    stripFinalNewline: false,
  });
  if (result.exitCode !== 0) {
    const reason = result.stderr || result.originalMessage || (result.signal ?? "");
    throw new CommandFailedError(command, reason, result.exitCode);
  }
  return { stdout: result.stdout };
};

/** Signals that a user sends to terok-shield and means for the container. */
const FORWARDED_SIGNALS = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"] as const;
/** A terminal sends these to the whole foreground group, podman included. */
const TERMINAL_SIGNALS = new Set<string>(["SIGINT", "SIGQUIT"]);

/**
 * Runs podman in the foreground with our terminal, standard streams and signals, to its end.
 * @returns podman's exit code, which for `run` is the container's; 128 + n when signal n ended it.
 */
export async function runForeground(file: string, args: readonly string[]): Promise<number> {
  const [{ spawn }, { constants }] = await Promise.all([import("node:child_process"), import("node:os")]);
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
