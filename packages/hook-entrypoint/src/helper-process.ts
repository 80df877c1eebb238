import { readdirSync, readFileSync } from "node:fs";
import { type HelperKind, identifyHelper } from "./identify-helper.ts";
import { readNamespace } from "./network-namespace.ts";

const EVERY_KIND: readonly HelperKind[] = ["dnsmasq", "ulogd", "timer", "keeper"];

/**
 * The processes that serve one bundle, by their command lines, whatever any pid file says. Another user's process, and
 * one in a container, is none of them: it may call itself what it likes.
 */
export function findHelpers(directory: string, kinds = EVERY_KIND): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && isHelper(pid, directory, kinds) && isOurs(pid));
}

const GRACE_MILLISECONDS = 500;
const POLL_MILLISECONDS = 1;

/** Ends helpers: asks first, so that the packet reader writes what it still holds, then insists. */
export function endHelpers(directory: string, kinds = EVERY_KIND): void {
  let left = findHelpers(directory, kinds);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    left = left.filter((pid) => sendSignal(pid, signal));
    left = awaitEnd(left, directory, kinds);
  }
}

/** True when there was a process of ours to send it to. A timer waits for a child, which is in its process group. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(isGroupLeader(pid) ? -pid : pid, signal);
  } catch {
    return false;
  }
}

/** Returns those that are still there. A helper that nobody has reaped yet counts as ended. */
function awaitEnd(pids: readonly number[], directory: string, kinds: readonly HelperKind[]): number[] {
  const deadline = Date.now() + GRACE_MILLISECONDS;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const left = pids.filter((pid) => isHelper(pid, directory, kinds) || isExiting(pid));
    if (left.length === 0 || Date.now() >= deadline) return left;
    Atomics.wait(pause, 0, 0, POLL_MILLISECONDS);
  }
}

function isHelper(pid: number, directory: string, kinds: readonly HelperKind[]): boolean {
  const helper = identifyHelper(read(pid, "cmdline").split("\0"));
  return helper !== undefined && helper.bundle === directory && kinds.includes(helper.kind);
}

/** A process that exits loses its memory, and with it its command line, some time before its sockets. */
function isExiting(pid: number): boolean {
  return read(pid, "cmdline") === "" && !["", "Z", "X"].includes(statFields(pid)[0] ?? "");
}

function isOurs(pid: number): boolean {
  const [, uid] = /^Uid:\t(\d+)/m.exec(read(pid, "status")) ?? [];
  if (Number(uid) !== process.getuid?.()) return false;
  // A timer runs outside podman's user namespace, where poststop may not look; into a container it may.
  return (readNamespace(pid, "pid") ?? readNamespace("self", "pid")) === readNamespace("self", "pid");
}

function isGroupLeader(pid: number): boolean {
  return Number(statFields(pid)[2]) === pid;
}

/** Of /proc/PID/stat, from the third: state, parent, process group (proc(5)). */
function statFields(pid: number): string[] {
  const stat = read(pid, "stat");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function read(pid: number, file: "cmdline" | "stat" | "status"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
