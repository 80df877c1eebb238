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
  const pids = configurations.flatMap(findHelpers);
  signalAll(pids, "SIGTERM");
  const deadline = Date.now() + GRACE_MILLISECONDS;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (pids.some(isAlive) && Date.now() < deadline) Atomics.wait(pause, 0, 0, POLL_MILLISECONDS);
  signalAll(pids.filter(isAlive), "SIGKILL");
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function hasArgument(pid: number, configuration: string): boolean {
  try {
    const [program = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return /(^|\/)(dnsmasq|ulogd)$/.test(program) && args.some((arg) => arg.endsWith(configuration));
  } catch {
    return false;
  }
}
