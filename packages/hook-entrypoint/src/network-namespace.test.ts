import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { namespaceInode, readStartTime } from "./network-namespace.ts";

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

test.each(["sleep", "a) R 1 (b", ") ) )", "((((", " ", "1 (x) S 2 3 4", "a\nb", "ü)"])(
  "the start time of a process that calls itself %j",
  async (comm) => {
    const pid = await spawnNamed(comm);
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(`${pid} (${comm}) `.length).split(" ");
    expect(fields.length).toBe(50);
    expect(readStartTime(pid)).toBe(fields[19]);
    expect(Number(readStartTime(pid))).toBeGreaterThanOrEqual(Number(readStartTime(process.pid)));
  },
);

test("a process that is gone has no start time", async () => {
  const pid = await spawnNamed("gone");
  await end(pid);
  expect(() => readStartTime(pid)).toThrow("ENOENT");
});

test.each(["net", "pid"] as const)("the inode of a %s namespace is the number in its link", (type) => {
  const [, number] = /\[(\d+)\]/.exec(readlinkSync(`/proc/self/ns/${type}`)) ?? [];
  expect(namespaceInode("self", type)).toBe(Number(number));
  expect(namespaceInode(process.pid, type)).toBe(Number(number));
});

test("a process that is gone has no namespace", async () => {
  const pid = await spawnNamed("gone");
  await end(pid);
  expect(namespaceInode(pid, "net")).toBeUndefined();
});

/** A process may name itself as it likes, in 15 bytes. */
async function spawnNamed(comm: string): Promise<number> {
  const script = 'printf %s "$1" > /proc/$$/comm; echo ready; read _';
  const child = spawn("/bin/sh", ["-c", script, "sh", comm], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  return child.pid ?? 0;
}

async function end(pid: number): Promise<void> {
  const child = children.find((candidate) => candidate.pid === pid);
  child?.kill("SIGKILL");
  if (child !== undefined) await once(child, "exit");
}
