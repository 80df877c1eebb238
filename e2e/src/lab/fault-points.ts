import { readFile, rm } from "node:fs/promises";
import type { Finished } from "./host-user.ts";
import type { Lab } from "./lab.ts";

/** Something that a command does to the world: to a file, a process, or its standard output. */
export interface FaultPoint {
  readonly program: "cli" | "hook";
  readonly kind: "file" | "write" | "command" | "daemon" | "signal" | "print";
  /** As "rename state.json.new" or "nft -f -". */
  readonly label: string;
  /** From 1, of those with the same label. What happens side by side has no other order. */
  readonly occurrence: number;
}

/**
 * "before": the program is killed before it; "half": when half of it is written; "alone": when the command that it starts
 * goes on without it. "child-first" and "child-last" kill the command that it starts, before or after that has done its work.
 */
export type FaultKind = "before" | "half" | "alone" | "child-first" | "child-last";

interface FaultyRun extends Finished {
  /** In the order in which they were reached. */
  readonly reached: readonly FaultPoint[];
  /** Where the fault was; undefined when nothing came to it. */
  readonly fault: (FaultPoint & { readonly how: FaultKind }) | undefined;
}

/** Runs the installed CLI so that it can be killed at each of its points. */
export interface FaultInjector {
  run(
    args: readonly string[],
    fault?: { readonly point: FaultPoint; readonly how: FaultKind },
  ): Promise<FaultyRun>;
}

export async function prepareFaults(lab: Lab): Promise<FaultInjector> {
  const preload = `${lab.user.home}/fault-points.mjs`;
  await lab.user.writeFile(preload, await readFile(new URL("fault-points.mjs", import.meta.url), "utf8"));
  let runs = 0;
  return {
    async run(args, fault) {
      const log = `${lab.user.home}/fault-points-${++runs}.jsonl`;
      const finished = await lab.shield(args, {
        env: {
          NODE_OPTIONS: `--import=${preload}`,
          FAULT_LOG: log,
          ...(fault === undefined ? {} : { FAULT_AT: JSON.stringify({ ...fault.point, how: fault.how }) }),
        },
      });
      const lines = (await readFile(lab.path(log), "utf8")).split("\n").filter((line) => line !== "");
      await rm(lab.path(log));
      const reached = lines.map((line) => JSON.parse(line) as FaultPoint & { how?: FaultKind });
      return {
        ...finished,
        reached,
        fault: reached.find((point): point is NonNullable<FaultyRun["fault"]> => "how" in point),
      };
    },
  };
}

/** Every way in which something can go wrong at a point. */
export function faultsAt({ program, kind }: FaultPoint): readonly FaultKind[] {
  if (kind === "write") return ["before", "half"];
  if (kind === "daemon") return ["before", "alone", "child-first"];
  if (kind !== "command") return ["before"];
  // The hook waits for what it starts.
  return program === "cli"
    ? ["before", "alone", "child-first", "child-last"]
    : ["before", "child-first", "child-last"];
}
