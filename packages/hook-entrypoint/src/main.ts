import { readSync } from "node:fs";
import { join } from "node:path";
import { appendEvent } from "./audit-event.ts";
import { checkDirectory, openBundle, readOwnFile } from "./bundle.ts";
import { ASK_STAGE, BUNDLE_FILE, HOOK_DONE } from "./contract.ts";
import { createRuntime } from "./create-runtime.ts";
import { endRun } from "./end-run.ts";
import { escapeForTerminals } from "./escape-for-terminals.ts";
import { reviveLogs } from "./log-keeper.ts";
import { namespaceInode } from "./network-namespace.ts";
import { MAX_STATE_LENGTH, type OciState, parseOciState, readAnnotatedDirectory } from "./oci-state.ts";
import { refuseJoiner } from "./refuse-joiner.ts";
import { askResolver, changeResolver, parseResolverRequest } from "./resolver.ts";
import { runProgram } from "./run-program.ts";
import { ShieldRefusal } from "./shield-refusal.ts";
import { replaceFile } from "./write-own-file.ts";

/** crun runs hooks with umask 0. */
process.umask(0o077);

const [stage, givenDirectory] = process.argv.slice(2);
const input = readInput();
runStage().then(
  (said) => process.stdout.write(said),
  (cause: unknown) => {
    const reason = renderReason(cause);
    process.stderr.write(`terok-shield: ${reason}\n`);
    if (stage === "createRuntime") recordRefusal(reason);
    process.exitCode = 1;
  },
);

/** @returns what to print */
async function runStage(): Promise<string> {
  switch (stage) {
    case "createRuntime":
      return shield(parseOciState(input));
    case "poststop":
      endRun(parseOciState(input), givenDirectory);
      return "";
    case "refuseJoiner":
      refuseJoiner(parseOciState(input), requireDirectory());
      return "";
    case "reloadResolver":
    case "restartResolver":
      return `${JSON.stringify(await changeResolver(stage, requireDirectory(), parseResolverRequest(input)))}\n`;
    case ASK_STAGE:
      return `${JSON.stringify(await askResolver(requireDirectory(), parseResolverRequest(input)))}\n`;
    case "reviveLogs":
      await reviveLogs(requireDirectory());
      return "";
    default:
      throw new ShieldRefusal(`${JSON.stringify(stage)} is not a stage`);
  }
}

function requireDirectory(): string {
  if (givenDirectory === undefined) throw new ShieldRefusal("no state directory was given");
  return givenDirectory;
}

async function shield(state: OciState): Promise<string> {
  const directory = givenDirectory ?? readAnnotatedDirectory(state);
  if (isInContainerNetwork(state)) await createRuntime(state, directory);
  else await enterContainerNetwork(state, directory);
  return `${HOOK_DONE}${state.pid}`;
}

/** All of standard input, or enough of it to be too long for a state. */
function readInput(): string {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= MAX_STATE_LENGTH; ) {
    const chunk = Buffer.alloc(64 * 1024);
    const count = readSync(0, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A refusal is one line, and so is what the system refuses; all else is a fault of this program and shows where. */
function renderReason(cause: unknown): string {
  if (cause instanceof ShieldRefusal || isSystemError(cause)) return escapeForTerminals(cause.message);
  return String((cause as Error).stack ?? cause)
    .split("\n")
    .map(escapeForTerminals)
    .join("\n");
}

function isSystemError(cause: unknown): cause is Error {
  return cause instanceof Error && "syscall" in cause;
}

/** Podman does not show what a hook prints, so the reason waits in the bundle for whoever started the container. */
function recordRefusal(reason: string): void {
  try {
    const directory = givenDirectory ?? readAnnotatedDirectory(parseOciState(input));
    checkDirectory(directory);
    // An annotation may name any directory of ours.
    if (givenDirectory === undefined) readOwnFile(join(directory, BUNDLE_FILE.manifest));
    replaceFile(join(directory, BUNDLE_FILE.refusal), `${reason}\n`);
    appendEvent(directory, { action: "error", detail: reason });
  } catch {
    // The refusal itself stands: the exit code tells the runtime.
  }
}

function isInContainerNetwork({ pid }: OciState): boolean {
  return pid !== undefined && namespaceInode("self", "net") === namespaceInode(pid, "net");
}

/** Node cannot change its namespace, so it starts itself again in the container's. */
async function enterContainerNetwork(state: OciState, directory: string): Promise<void> {
  if (state.pid === undefined) throw new ShieldRefusal("the OCI state names no process");
  const { nsenter } = openBundle(directory).manifest.programs;
  const self = [process.execPath, ...process.argv.slice(1)];
  const said = await runProgram(nsenter, [`--target=${state.pid}`, "--net", "--", ...self], input);
  if (said !== `${HOOK_DONE}${state.pid}`)
    throw new ShieldRefusal("the hook did not run in the container's network namespace");
}
