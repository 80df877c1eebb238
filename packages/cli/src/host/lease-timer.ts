import { spawn } from "node:child_process";
import { TIMER_NAME } from "@terok-shield/hook-entrypoint/contract";
import { listHelperProcesses, sendSignal } from "./helper-processes.ts";
import type { Host } from "./host.ts";

export interface LeaseTimer {
  readonly bundle: string;
  readonly container: string;
  readonly seconds: number;
}

/** $1 is the bundle, by which the poststop hook knows the timer and ends it. */
const SCRIPT = 'sleep "$2" && exec "$3" "$4" --state-dir "$5" expire "$6"';

/**
 * Leaves a process behind that finishes what is over after `seconds`: the kernel ends a lease by itself, but not the
 * resolver. Replaces the bundle's timer that waits so far. Sleeping is not moved by a clock that is set.
 */
export function armTimer(host: Host, { bundle, container, seconds }: LeaseTimer): void {
  endTimer(bundle);
  const { program, state } = host.places;
  const args = [bundle, String(Math.ceil(seconds)), process.execPath, program, state, container];
  // A session of its own, so that no terminal's end takes it along and its group is it and its `sleep` alone.
  const child = spawn("/bin/sh", ["-c", SCRIPT, TIMER_NAME, ...args], {
    cwd: "/",
    stdio: "ignore",
    detached: true,
  });
  // Without a timer the kernel still ends the lease, and status says what is left to do.
  child.on("error", () => {});
  child.unref();
}

/** Ends the bundle's timer, which waits; one whose time has come is no timer any more. */
export function endTimer(bundle: string): void {
  for (const helper of listHelperProcesses()) {
    // The group: its `sleep`, too.
    if (helper.kind === "timer" && helper.bundle === bundle) sendSignal(-helper.pid, "SIGTERM");
  }
}
