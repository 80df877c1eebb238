import { GATE_SYSCTL, HOOK_DONE, RELEASED_SYSCTL } from "@terok-shield/hook-entrypoint/contract";

export interface HookPaths {
  readonly node: string;
  readonly nsenter: string;
  readonly sed: string;
  readonly hookEntrypoint: string;
  readonly stateDirectory: string;
}

/**
 * Enters the container's network namespace, so that one Node process does the rest inside it, and lets the
 * start go on only if that process said so: an emptied file also exits with 0.
 *
 * It stands in the specification, where precreate looks for it; so it has no character that JSON escapes, and
 * with no field separator and no globbing its expansions need no quotes.
 */
const ENTER_AND_SHIELD = [
  "IFS=",
  "set -f",
  "state=$(cat)",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
  "pid=${state#*pid??}",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
  "pid=${pid%%[!0-9]*}",
  "said=$(printf %s $state | $1 --target $pid --net -- $2 $3 createRuntime $4)",
  `[ x$said = x${HOOK_DONE}$pid ]`,
].join("; ");

/**
 * The files of a container's hooks directory (oci-hooks(5)). A container that does not have exactly our
 * createRuntime hook in its specification keeps the gate's sysctl and cannot start.
 */
export function renderHookDescriptors(paths: HookPaths): Record<string, string> {
  const { node, nsenter, hookEntrypoint, stateDirectory } = paths;
  const createRuntime = {
    path: "/bin/sh",
    args: ["sh", "-c", ENTER_AND_SHIELD, "terok-shield", nsenter, node, hookEntrypoint, stateDirectory],
  };
  const hookInSpec = `"createRuntime":\\[.*${escapePattern(JSON.stringify(createRuntime).slice(0, -1))}`;
  const gate = `s/${escapePattern(`"${GATE_SYSCTL}":"0"`)}/"${RELEASED_SYSCTL}":"0"/g`;
  return {
    "terok-shield-precreate.json": descriptor("precreate", {
      path: paths.sed,
      args: ["sed", `/${hookInSpec}/${gate}`],
    }),
    "terok-shield-createRuntime.json": descriptor("createRuntime", createRuntime),
    "terok-shield-poststop.json": descriptor("poststop", {
      path: node,
      args: ["node", hookEntrypoint, "poststop", stateDirectory],
    }),
  };
}

function descriptor(
  stage: string,
  hook: { readonly path: string; readonly args: readonly string[] },
): string {
  const withEnvironment = { ...hook, env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], timeout: 60 };
  return `${JSON.stringify({ version: "1.0.0", hook: withEnvironment, when: { always: true }, stages: [stage] }, null, 2)}\n`;
}

/** For a basic regular expression between slashes. */
function escapePattern(text: string): string {
  return text.replace(/[\\.*[\]^$/]/g, "\\$&");
}
