import { readdirSync, readFileSync } from "node:fs";

/**
 * The processes whose command line names `configuration`: the resolver or packet reader of one bundle,
 * whatever its pid file says.
 */
export function findHelpers(configuration: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && hasArgument(pid, configuration));
}

const GRACE_MILLISECONDS = 500;
const POLL_MILLISECONDS = 5;

/** Ends helpers: asks first, so that the packet reader writes what it still holds, then insists. */
export function endHelpers(configurations: readonly string[]): void {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pids = configurations.flatMap(findHelpers).filter((pid) => sendSignal(pid, signal));
    awaitEnd(pids, configurations);
  }
}

/** True when there was a process of ours to send it to. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** A helper that nobody has reaped yet has no command line any more, and counts as ended. */
function awaitEnd(pids: readonly number[], configurations: readonly string[]): void {
  const isThere = (pid: number) => configurations.some((configuration) => hasArgument(pid, configuration));
  const deadline = Date.now() + GRACE_MILLISECONDS;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (pids.some(isThere) && Date.now() < deadline) Atomics.wait(pause, 0, 0, POLL_MILLISECONDS);
}

function hasArgument(pid: number, configuration: string): boolean {
  try {
    const [program = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const options = [`--conf-file=${configuration}`, `--configfile=${configuration}`];
    return /(^|\/)(dnsmasq|ulogd)$/.test(program) && args.some((arg) => options.includes(arg));
  } catch {
    return false;
  }
}
