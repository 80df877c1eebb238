import { readFile } from "node:fs/promises";

/** Of the times in /proc/<pid>/stat, for every program (proc(5)): USER_HZ. */
const TICKS_PER_SECOND = 100;

/** @param startTime of a process, as `RuntimeRecord` has it: in ticks since the boot. */
export async function secondsSinceStart(startTime: string): Promise<number> {
  const uptime = Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]);
  return Math.max(uptime - Number(startTime) / TICKS_PER_SECOND, 0);
}
