import { readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { appendEvent } from "./audit-event.ts";
import { checkDirectory, openBundle } from "./bundle.ts";
import { ANNOTATION, BUNDLE_FILE, HOOK_DONE } from "./contract.ts";
import { createRuntime } from "./create-runtime.ts";
import { escapeForTerminals } from "./escape-for-terminals.ts";
import { endHelpers } from "./helper-process.ts";
import { namespaceInode } from "./network-namespace.ts";
import { MAX_STATE_LENGTH, type OciState, parseOciState } from "./oci-state.ts";
import { runProgram } from "./run-program.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** crun runs hooks with umask 0. */
process.umask(0o077);

try {
  await runStage(process.argv[2], process.argv[3]);
} catch (cause) {
  const reason = renderReason(cause);
  process.stderr.write(`terok-shield: ${reason}\n`);
  recordRefusal(process.argv[3], reason);
  process.exitCode = 1;
}

async function runStage(stage: string | undefined, stateDirectory: string | undefined): Promise<void> {
  const input = readInput();
  const state = parseOciState(input);
  const directory = stateDirectory ?? state.annotations[ANNOTATION.stateDirectory];
  if (directory === undefined)
    throw new ShieldRefusal(`the annotation ${ANNOTATION.stateDirectory} is missing`);
  switch (stage) {
    case "createRuntime":
      if (isInContainerNetwork(state)) await createRuntime(state, directory);
      else enterContainerNetwork(state, directory, input);
      process.stdout.write(`${HOOK_DONE}${state.pid}`);
      return;
    case "poststop":
      return endHelpers([join(directory, BUNDLE_FILE.dnsmasqConf), join(directory, BUNDLE_FILE.ulogdConf)]);
    default:
      throw new ShieldRefusal(`${JSON.stringify(stage)} is not a stage: createRuntime or poststop`);
  }
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

/** A refusal is one line; what else is thrown is a fault of this program and shows where. */
function renderReason(cause: unknown): string {
  if (cause instanceof ShieldRefusal) return escapeForTerminals(cause.message);
  return String((cause as Error).stack ?? cause)
    .split("\n")
    .map(escapeForTerminals)
    .join("\n");
}

/** Podman does not show what a hook prints, so the reason waits in the bundle for whoever started the container. */
function recordRefusal(directory: string | undefined, reason: string): void {
  try {
    if (directory === undefined) return;
    checkDirectory(directory);
    writeFileSync(join(directory, BUNDLE_FILE.refusal), `${reason}\n`, { mode: 0o600 });
    appendEvent(directory, { action: "error", detail: reason });
  } catch {
    // The refusal itself stands: the exit code tells the runtime.
  }
}

function isInContainerNetwork({ pid }: OciState): boolean {
  return pid !== undefined && namespaceInode("self", "net") === namespaceInode(pid, "net");
}

/** Node cannot change its namespace, so it starts itself again in the container's. */
function enterContainerNetwork(state: OciState, directory: string, input: string): void {
  if (state.pid === undefined) throw new ShieldRefusal("the OCI state names no process");
  const { nsenter } = openBundle(directory).manifest.programs;
  const self = [process.execPath, process.argv[1] ?? "", "createRuntime", directory];
  const said = runProgram(nsenter, [`--target=${state.pid}`, "--net", "--", ...self], input);
  if (said !== `${HOOK_DONE}${state.pid}`)
    throw new ShieldRefusal("the hook did not run in the container's network namespace");
}
