import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { appendEvent } from "./audit-event.ts";
import { checkDirectory, openBundle } from "./bundle.ts";
import { ANNOTATION, BUNDLE_FILE } from "./contract.ts";
import { createRuntime } from "./create-runtime.ts";
import { endHelpers } from "./helper-process.ts";
import { namespaceInode } from "./network-namespace.ts";
import { type OciState, parseOciState } from "./oci-state.ts";
import { runProgram } from "./run-program.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** crun runs hooks with umask 0. */
process.umask(0o077);

try {
  await runStage(process.argv[2], process.argv[3]);
} catch (cause) {
  const reason = cause instanceof ShieldRefusal ? cause.message : String((cause as Error).stack ?? cause);
  process.stderr.write(`terok-shield: ${reason}\n`);
  recordRefusal(process.argv[3], reason);
  process.exitCode = 1;
}

async function runStage(stage: string | undefined, stateDirectory: string | undefined): Promise<void> {
  const input = readFileSync(0, "utf8");
  const state = parseOciState(input);
  const directory = stateDirectory ?? state.annotations[ANNOTATION.stateDirectory];
  if (directory === undefined)
    throw new ShieldRefusal(`the annotation ${ANNOTATION.stateDirectory} is missing`);
  switch (stage) {
    case "createRuntime":
      return isInContainerNetwork(state)
        ? createRuntime(state, directory)
        : enterContainerNetwork(state, directory, input);
    case "poststop":
      return endHelpers([join(directory, BUNDLE_FILE.dnsmasqConf), join(directory, BUNDLE_FILE.ulogdConf)]);
    default:
      throw new ShieldRefusal(`${JSON.stringify(stage)} is not a stage: createRuntime or poststop`);
  }
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
  runProgram(nsenter, [`--target=${state.pid}`, "--net", "--", ...self], input);
}
