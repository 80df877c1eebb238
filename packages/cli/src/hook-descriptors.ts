import { GATE_SYSCTL, RELEASED_SYSCTL } from "@terok-shield/hook-entrypoint/contract";

export interface HookPaths {
  readonly node: string;
  readonly nsenter: string;
  readonly sed: string;
  readonly hookEntrypoint: string;
  readonly stateDirectory: string;
  /** Where `create-runtime.sh` will be. */
  readonly createRuntimeScript: string;
}

/**
 * The files of a container's hooks directory (oci-hooks(5)). A container that has no createRuntime hook of ours in its
 * specification keeps the gate sysctl and cannot start.
 */
export function renderHookDescriptors(paths: HookPaths): Record<string, string> {
  const shell = ["sh", paths.createRuntimeScript];
  const hookInSpec = `"createRuntime":\\[.*${escapePattern(`{"path":"/bin/sh","args":${JSON.stringify(shell)}`)}`;
  const gate = `s/${escapePattern(`"${GATE_SYSCTL}":"0"`)}/"${RELEASED_SYSCTL}":"0"/g`;
  return {
    "terok-shield-precreate.json": descriptor("precreate", paths.sed, ["sed", `/${hookInSpec}/${gate}`]),
    "terok-shield-createRuntime.json": descriptor("createRuntime", "/bin/sh", shell),
    "terok-shield-poststop.json": descriptor("poststop", paths.node, [
      "node",
      paths.hookEntrypoint,
      "poststop",
      paths.stateDirectory,
    ]),
    "create-runtime.sh": renderCreateRuntimeScript(paths),
  };
}

function descriptor(stage: string, path: string, args: readonly string[]): string {
  const hook = { path, args, env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], timeout: 60 };
  return `${JSON.stringify({ version: "1.0.0", hook, when: { always: true }, stages: [stage] }, null, 2)}\n`;
}

/** A shell takes 1 ms to enter the namespace, so that one Node process does the rest inside it. */
function renderCreateRuntimeScript(paths: HookPaths): string {
  const command = [paths.node, paths.hookEntrypoint, "createRuntime", paths.stateDirectory]
    .map(quote)
    .join(" ");
  return `# Written by terok-shield prepare: starts the hook inside the container's network namespace.
state=$(cat)
pid=\${state#*'"pid":'}
pid=\${pid%%[!0-9]*}
exec ${quote(paths.nsenter)} --target "$pid" --net -- ${command} <<STATE
$state
STATE
`;
}

function escapePattern(text: string): string {
  return text.replace(/[\\.*[\]^$/]/g, "\\$&");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
