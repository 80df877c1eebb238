import { spawn } from "node:child_process";
import { readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { findContainerRun } from "./container-run.ts";

let directory: string;
let bundle: string;
beforeEach(() => {
  directory = makeTemporaryDirectory();
  bundle = `${directory}/web`;
  writeFiles(directory, {
    "web/audit.jsonl": "",
    "oci/config.json": JSON.stringify({ annotations: { "terok.shield.state_dir": bundle } }),
  });
});

/** A shell that calls itself conmon, as podman starts it, and has one child: the container. */
async function startMonitor(
  name: string,
  more: readonly string[] = [],
): Promise<{ monitor: number; pid: number }> {
  const options = ["--api-version", "1", "-c", "5fd1b8", "-u", "5fd1b8", "-r", "/usr/bin/crun"];
  writeFiles(directory, { script: `sleep 60 & echo $! > ${directory}/pidfile; echo; wait` });
  const child = spawn(
    "/bin/sh",
    [
      `${directory}/script`,
      ...options,
      "-b",
      `${directory}/oci`,
      "-p",
      `${directory}/pidfile`,
      "-n",
      name,
      ...more,
    ],
    { argv0: "/usr/bin/conmon" },
  );
  onTestFinished(() => {
    process.kill(Number(readFileSync(`${directory}/pidfile`, "utf8")));
    child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { monitor: child.pid ?? 0, pid: Number(readFileSync(`${directory}/pidfile`, "utf8")) };
}

test("a container with a record that fits runs", () => {
  const record = recordSelf();
  writeFiles(bundle, { "runtime.json": JSON.stringify(record) });
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "running", record, isRecorded: true });
});

test("a container of which there is neither a record nor a monitor is stopped", async () => {
  await startMonitor("other");
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "stopped" });
});

test.each(["", "{", JSON.stringify({ ...recordSelf(), startTime: "1" })])(
  "with the record %j it is found by podman's monitor",
  async (runtime) => {
    writeFiles(bundle, { "runtime.json": runtime });
    const { monitor, pid } = await startMonitor("web");
    const found = findContainerRun(bundle, "web");
    expect(found).toEqual({
      kind: "running",
      isRecorded: false,
      record: {
        containerId: "5fd1b8",
        pid,
        startTime: readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19],
        networkNamespace: statSync(`/proc/${pid}/ns/net`).ino,
        ownerPid: monitor,
        hostsFile: `${directory}/oci/hosts`,
      },
    });
  },
);

test("a container of that name which was not started with the bundle is foreign", async () => {
  writeFiles(directory, { "oci/config.json": JSON.stringify({ annotations: {} }) });
  await startMonitor("web");
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "foreign" });
});

test("where its specification cannot be read, a container is known by its resolv.conf", async () => {
  rmSync(`${directory}/oci/config.json`);
  await startMonitor("web");
  writeFiles(bundle, { "resolv.conf": "nameserver 127.0.0.1\n" });
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "foreign" });
  rmSync(`${bundle}/resolv.conf`);
  // The stand-in's root is ours, so its resolv.conf is the machine's.
  symlinkSync("/etc/resolv.conf", `${bundle}/resolv.conf`);
  expect(findContainerRun(bundle, "web")).toMatchObject({ kind: "running", isRecorded: false });
});

test.each([
  ["a monitor of podman exec", ["-e", "--exec-process-spec", "x"]],
  ["a monitor of podman exec, by the long option", ["--exec"]],
])("%s monitors no container", async (_, more) => {
  await startMonitor("web", more);
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "stopped" });
});

test("a pid file of an earlier run names no process of this monitor", async () => {
  await startMonitor("web");
  const sleeping = readFileSync(`${directory}/pidfile`, "utf8");
  writeFiles(directory, { pidfile: String(process.pid) });
  expect(findContainerRun(bundle, "web")).toEqual({ kind: "stopped" });
  writeFiles(directory, { pidfile: sleeping });
});
