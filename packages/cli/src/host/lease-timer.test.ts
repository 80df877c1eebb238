import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { listHelperProcesses } from "./helper-processes.ts";
import type { Host } from "./host.ts";
import { armTimer, endTimer } from "./lease-timer.ts";

let directory: string;
let bundle: string;
let host: Host;
beforeEach(() => {
  directory = makeTemporaryDirectory();
  bundle = `${directory}/web`;
  // Stands in for the command line: writes down with what it was started.
  writeFiles(directory, {
    "main.mjs": `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(`${directory}/ran`)}, process.argv.slice(2).join(" "));`,
  });
  const base = makeTestHost();
  host = { ...base, places: { ...base.places, program: `${directory}/main.mjs` } };
  onTestFinished(() => endTimer(bundle));
});

const timers = () => listHelperProcesses().filter((helper) => helper.bundle === bundle);
const ran = () => {
  try {
    return readFileSync(`${directory}/ran`, "utf8");
  } catch {
    return undefined;
  }
};
const poll = { timeout: 5_000, interval: 20 };

test("a timer runs expire for its container when its time is over", async () => {
  armTimer(host, { bundle, container: "web", seconds: 0.2 });
  await expect.poll(ran, poll).toBe(`--state-dir ${host.places.state} expire web`);
  await expect.poll(timers, poll).toEqual([]);
});

test("it outlives a terminal: its session is its own, and it holds on to nothing of ours", async () => {
  armTimer(host, { bundle, container: "web", seconds: 30 });
  await expect.poll(timers, poll).toHaveLength(1);
  const [{ pid } = { pid: 0 }] = timers();
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  expect([fields[2], fields[3]]).toEqual([String(pid), String(pid)]);
  expect([0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual(Array(3).fill("/dev/null"));
});

test("a new timer takes the place of the old, and ending it ends its sleep, too", async () => {
  armTimer(host, { bundle, container: "web", seconds: 41_234 });
  await expect.poll(timers, poll).toHaveLength(1);
  const [first] = timers();
  armTimer(host, { bundle, container: "web", seconds: 41_235 });
  await expect.poll(() => timers().map(({ pid }) => pid === first?.pid), poll).toEqual([false]);
  endTimer(bundle);
  await expect.poll(timers, poll).toEqual([]);
  const sleeps = () => countProcesses(/^sleep\0(41234|41235)\0$/);
  await expect.poll(sleeps, poll).toBe(0);
});

function countProcesses(commandLine: RegExp): number {
  return readdirSync("/proc").filter((entry) => {
    try {
      return /^\d+$/.test(entry) && commandLine.test(readFileSync(`/proc/${entry}/cmdline`, "utf8"));
    } catch {
      return false;
    }
  }).length;
}
