import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import { findRunningContainer, runNft } from "./running-container.ts";

function makeBundle(runtime: string): string {
  const directory = makeTemporaryDirectory();
  writeFiles(directory, { "runtime.json": runtime });
  return directory;
}

describe("findRunningContainer", () => {
  test.each([
    ["with a hosts file", { hostsFile: "/run/hosts" }],
    ["without", {}],
  ])("gives the record of a process that runs, %s", (_, more) => {
    const record = { ...recordSelf(), ...more };
    expect(findRunningContainer(makeBundle(JSON.stringify(record)))).toEqual(record);
  });

  test("reads start times also of a process whose name has parentheses and spaces", async () => {
    const child = spawn("/bin/sh", ["-c", "printf 'a) R (b' > /proc/$$/comm; echo; read x"]);
    onTestFinished(() => void child.kill());
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
    expect(stat).toContain("(a) R (b) ");
    const startTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const record = { ...recordSelf(), pid: child.pid, startTime };
    expect(findRunningContainer(makeBundle(JSON.stringify(record)))).toEqual(record);
  });

  test.each([
    ["started at another time: its pid came round again", { startTime: "1" }],
    ["is in another network namespace", { networkNamespace: 1 }],
    ["is gone", { pid: 2 ** 22 + 1 }],
  ])("gives nothing for a process that %s", (_, other) => {
    const record = { ...recordSelf(), ...other };
    expect(findRunningContainer(makeBundle(JSON.stringify(record)))).toBeUndefined();
  });

  test.each([
    ["is missing", undefined],
    ["is empty", ""],
    ["is torn", '{"containerId":"5fd1b8","pid":4'],
    ["is null", "null"],
    ["has no start time", JSON.stringify({ ...recordSelf(), startTime: undefined })],
    ["has a pid of 0", JSON.stringify({ ...recordSelf(), pid: 0 })],
    ["has a pid that is a path", JSON.stringify({ ...recordSelf(), pid: "../self" })],
    ["has an owner of 0", JSON.stringify({ ...recordSelf(), ownerPid: 0 })],
  ])("gives nothing when the record %s", (_, runtime) => {
    const bundle = runtime === undefined ? makeTemporaryDirectory() : makeBundle(runtime);
    expect(findRunningContainer(bundle)).toBeUndefined();
  });
});

test("nft runs in the container's network namespace as the owner of it", async () => {
  const record = { ...recordSelf(), pid: 42, ownerPid: 41 };
  const enter = "/usr/bin/nsenter --user=/proc/41/ns/user --net=/proc/42/ns/net --preserve-credentials --";
  const host = makeTestHost({
    facts: FULL_MACHINE,
    script: [
      { expect: `${enter} /usr/sbin/nft -j list ruleset`, stdout: "{}" },
      { expect: `${enter} /usr/sbin/nft -f - < flush ruleset` },
      { expect: `${enter} /usr/sbin/nft list ruleset`, fails: { exitCode: 1, stderr: "no such\u001b\nx" } },
    ],
  });
  expect(await runNft(host, record, ["-j", "list", "ruleset"])).toBe("{}");
  expect(await runNft(host, record, ["-f", "-"], "flush ruleset")).toBe("");
  await expect(runNft(host, record, ["list", "ruleset"])).rejects.toThrow(
    'nsenter failed (exit 1): "no such\\u001b"',
  );
});
