import { ANNOTATION, GATE_SYSCTL, HOOK_DONE, RELEASED_SYSCTL } from "@terok-shield/hook-entrypoint/contract";

interface HookPrograms {
  readonly node: string;
  readonly nsenter: string;
  readonly sed: string;
  readonly hookEntrypoint: string;
}

export interface HookPaths extends HookPrograms {
  readonly stateDirectory: string;
}

export interface GlobalHookPaths extends HookPrograms {
  /** Where users keep their shields: no other container may join the network of one that runs there. */
  readonly stateDirectories: readonly string[];
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
 * Looks whether a container has the network namespace of a shielded one, from where it might undo the shield, and
 * leaves the judgement to Node if it seems so. It runs for every container of the user, so it starts no program on
 * the way to finding nothing, and finds nothing where anything is not as it expects.
 *
 * A container with our annotation is left to the hook that annotation calls for.
 */
const FIND_JOINER = [
  "IFS=",
  "read -r state",
  // What comes before tells a key from text in which somebody wrote a quote.
  `case $state in *'{"${ANNOTATION.stateDirectory}":'* | *',"${ANNOTATION.stateDirectory}":'*) exit 0; esac`,
  `pid=\${state#*'"pid":'}`,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
  "pid=${pid%%[!0-9]*}",
  "node=$1 hook=$2",
  "shift 2",
  "for root; do for record in $root/containers/*/runtime.json",
  "do [ -f $record ] && read -r run < $record || continue",
  `other=\${run#*'"pid":'}`,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
  "other=${other%%[!0-9]*}",
  "[ /proc/$pid/ns/net -ef /proc/$other/ns/net ] || continue",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
  "printf %s $state | $node $hook refuseJoiner ${record%/runtime.json} || exit 1",
  "done; done",
  "exit 0",
].join("\n");

/**
 * The files of a container's hooks directory (oci-hooks(5)). A container that does not have exactly our
 * createRuntime hook in its specification keeps the gate's sysctl and cannot start.
 */
export function renderHookDescriptors(paths: HookPaths): Record<string, string> {
  return renderDescriptors(paths, [paths.stateDirectory], { always: true });
}

/**
 * The files of a hooks directory that podman reads by itself, for all containers with our annotation, which names
 * the bundle. They are called as those of a container's own, since podman takes of several the one in the last
 * directory: so never two of them fire, and never a mix that precreate would let pass.
 */
export function renderGlobalHookDescriptors(paths: GlobalHookPaths): Record<string, string> {
  const annotations = { [`^${escapePattern(ANNOTATION.stateDirectory)}$`]: ".*" };
  const descriptors = renderDescriptors(paths, [], { annotations });
  if (paths.stateDirectories.length === 0) return descriptors;
  const { node, hookEntrypoint, stateDirectories } = paths;
  const findJoiner = {
    path: "/bin/sh",
    args: ["sh", "-c", FIND_JOINER, "terok-shield-joiner", node, hookEntrypoint, ...stateDirectories],
  };
  return {
    ...descriptors,
    "terok-shield-joiner.json": descriptor("createRuntime", findJoiner, { always: true }),
  };
}

type Condition = { readonly always: true } | { readonly annotations: Readonly<Record<string, string>> };

function renderDescriptors(
  { node, nsenter, sed, hookEntrypoint }: HookPrograms,
  directory: readonly string[],
  when: Condition,
): Record<string, string> {
  const createRuntime = {
    path: "/bin/sh",
    args: ["sh", "-c", ENTER_AND_SHIELD, "terok-shield", nsenter, node, hookEntrypoint, ...directory],
  };
  const hookInSpec = `"createRuntime":\\[.*${escapePattern(JSON.stringify(createRuntime).slice(0, -1))}`;
  const gate = `s/${escapePattern(`"${GATE_SYSCTL}":"0"`)}/"${RELEASED_SYSCTL}":"0"/g`;
  const poststop = { path: node, args: ["node", hookEntrypoint, "poststop", ...directory] };
  return {
    "terok-shield-precreate.json": descriptor(
      "precreate",
      { path: sed, args: ["sed", `/${hookInSpec}/${gate}`] },
      when,
    ),
    "terok-shield-createRuntime.json": descriptor("createRuntime", createRuntime, when),
    "terok-shield-poststop.json": descriptor("poststop", poststop, when),
  };
}

function descriptor(
  stage: string,
  hook: { readonly path: string; readonly args: readonly string[] },
  when: Condition,
): string {
  const withEnvironment = { ...hook, env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], timeout: 60 };
  return `${JSON.stringify({ version: "1.0.0", hook: withEnvironment, when, stages: [stage] }, null, 2)}\n`;
}

/** For a basic regular expression between slashes. */
function escapePattern(text: string): string {
  return text.replace(/[\\.*[\]^$/]/g, "\\$&");
}
