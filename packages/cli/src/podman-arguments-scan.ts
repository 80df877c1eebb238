import { refuse } from "./podman-arguments-error.ts";
import { findLongFlag, findShortFlag, isPodmanOwnFlag, type PodmanFlag } from "./podman-arguments-flags.ts";

/** A flag with its value, as podman understands it; `typed` holds the arguments it was written as. */
export interface FlagUse {
  readonly name: string;
  readonly value: string;
  readonly typed: readonly string[];
}

/**
 * Reads the flags up to the first argument that is none, as podman does (spf13/pflag with interspersed
 * flags off), and returns the arguments from there on. Throws on a flag that podman run does not have.
 */
export function scanPodmanFlags(args: readonly string[], onFlag: (use: FlagUse) => void): readonly string[] {
  let rest = args;
  for (;;) {
    const [arg, next] = rest;
    if (arg === undefined || arg === "-" || !arg.startsWith("-")) return rest;
    if (arg === "--") return rest.slice(1);
    const uses = arg.startsWith("--") ? readLongFlag(arg, next) : readShortFlags(arg, next);
    for (const use of uses) onFlag(use);
    rest = rest.slice(uses.at(-1)?.typed.length ?? 1);
  }
}

/**
 * The parts of a value that some podman splits at commas, as one line of CSV. For judging alone: where
 * podman does not split, a part too many is judged.
 */
export function splitList(value: string): string[] {
  return value.split(/[,\r\n]/).map((part) => part.replace(/^[\s"]+|[\s"]+$/g, ""));
}

function readLongFlag(arg: string, next: string | undefined): FlagUse[] {
  const [, name = "", value] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
  const flag = findLongFlag(name);
  if (flag === undefined) return refuseUnknown(arg, name);
  return [makeUse(flag, { arg, value, next })];
}

function readShortFlags(arg: string, next: string | undefined): FlagUse[] {
  const uses: FlagUse[] = [];
  let letters = arg.slice(1);
  while (letters !== "") {
    // pflag leaves such a remainder to `go test` and drops it unread.
    if (letters.startsWith("test.")) return refuseUnknown(arg, arg);
    const letter = letters.charAt(0);
    const flag = findShortFlag(letter);
    if (flag === undefined) return refuseUnknown(arg, letter);
    const isAssigned = letters.length > 2 && letters.charAt(1) === "=";
    const isAlone = flag.takes === "nothing" && !isAssigned;
    const attached = letters.slice(isAssigned ? 2 : 1);
    uses.push(makeUse(flag, { arg, value: isAlone || attached === "" ? undefined : attached, next }));
    letters = isAlone ? attached : "";
  }
  return uses;
}

interface FlagText {
  readonly arg: string;
  readonly value: string | undefined;
  readonly next: string | undefined;
}

function makeUse({ name, takes }: PodmanFlag, { arg, value, next }: FlagText): FlagUse {
  if (takes === "nothing") return { name, value: readBoolean(arg, value), typed: [arg] };
  if (value !== undefined) return { name, value, typed: [arg] };
  if (next === undefined) return refuse([arg], "needs a value. Write it behind the flag.");
  return { name, value: next, typed: [arg, next] };
}

function readBoolean(arg: string, value = "true"): "true" | "false" {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return "true";
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return "false";
  return refuse([arg], "is neither on nor off. Write =true or =false behind the flag, or the flag alone.");
}

function refuseUnknown(arg: string, name: string): never {
  if (isPodmanOwnFlag(name)) {
    return refuse(
      [arg],
      "belongs to podman itself, not to podman run. Drop it: the shield is for this machine's own podman.",
    );
  }
  return refuse(
    [arg],
    "is not known as a flag of podman run, and might open the shield. Write flags of terok-shield before the --, and those of the command after the image.",
  );
}
