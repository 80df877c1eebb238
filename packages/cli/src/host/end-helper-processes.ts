import { setTimeout } from "node:timers/promises";
import { type HelperProcess, listHelperProcesses } from "./helper-processes.ts";

const GRACE_MILLISECONDS = 500;
const POLL_MILLISECONDS = 10;

/** Ends helpers: asks first, so that the packet reader writes what it still holds, then insists. */
export async function endHelperProcesses(helpers: readonly HelperProcess[]): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const helper of stillThere(helpers)) send(helper, signal);
    const deadline = performance.now() + GRACE_MILLISECONDS;
    while (stillThere(helpers).length > 0 && performance.now() < deadline)
      await setTimeout(POLL_MILLISECONDS);
  }
}

/** A pid comes round again, but not with the same command line. */
function stillThere(helpers: readonly HelperProcess[]): HelperProcess[] {
  return listHelperProcesses().filter((present) =>
    helpers.some(
      ({ pid, kind, bundle }) => pid === present.pid && kind === present.kind && bundle === present.bundle,
    ),
  );
}

/** Timer and keeper wait in `sleep`, which is of their group. */
function send({ pid, kind }: HelperProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(kind === "timer" || kind === "keeper" ? -pid : pid, signal);
  } catch {
    // It has just ended.
  }
}
