import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import type { RuntimeRecord } from "./contract.ts";
import { namespaceInode, readStartTime } from "./network-namespace.ts";
import { checkIsInside, isRunning, readRuntimeRecord, writeRuntimeRecord } from "./runtime-record.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** As if this process were the container's. */
const RECORD: RuntimeRecord = {
  containerId: "4a5b",
  pid: process.pid,
  startTime: readStartTime(process.pid),
  networkNamespace: namespaceInode("self", "net") ?? 0,
  ownerPid: process.ppid,
};

let parent: string;
let directory: string;
beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), "runtime-record-")));
  directory = join(parent, "web");
  mkdirSync(directory, { mode: 0o700 });
});
afterEach(() => rmSync(parent, { recursive: true }));

function writeText(text: string): void {
  writeFileSync(join(directory, "runtime.json"), text, { mode: 0o600 });
}

test("a record is read as it was written", () => {
  writeRuntimeRecord(directory, RECORD);
  expect(readRuntimeRecord(directory)).toEqual(RECORD);
  writeRuntimeRecord(directory, { ...RECORD, hostsFile: "/run/hosts" });
  expect(readRuntimeRecord(directory)).toEqual({ ...RECORD, hostsFile: "/run/hosts" });
});

describe("there is no record", () => {
  test("where there is no file, or no directory", () => {
    expect(readRuntimeRecord(directory)).toBeUndefined();
    expect(readRuntimeRecord(join(parent, "gone"))).toBeUndefined();
  });

  test("that others may write, or in a directory of others", () => {
    writeRuntimeRecord(directory, RECORD);
    chmodSync(directory, 0o755);
    expect(readRuntimeRecord(directory)).toBeUndefined();
    chmodSync(directory, 0o700);
    chmodSync(join(directory, "runtime.json"), 0o666);
    expect(readRuntimeRecord(directory)).toBeUndefined();
  });

  test.each<[string, object]>([
    ["no container", { containerId: undefined }],
    ["a number as container", { containerId: 7 }],
    ["no start time", { startTime: undefined }],
    ["a number as start time", { startTime: 7 }],
    ["no process", { pid: undefined }],
    ["a text as process", { pid: "7" }],
    ["process 0", { pid: 0 }],
    ["a negative process", { pid: -1 }],
    ["half a process", { pid: 1.5 }],
    ["no network namespace", { networkNamespace: undefined }],
    ["network namespace 0", { networkNamespace: 0 }],
  ])("in a file that names %s", (_, change) => {
    writeText(JSON.stringify({ ...RECORD, ...change }));
    expect(readRuntimeRecord(directory)).toBeUndefined();
  });

  test("in a file of whatever text, and none makes it throw", () => {
    const value = fc.constantFrom<unknown>(...Object.values(RECORD), null, 0, "", []);
    const damaged = fc
      .dictionary(fc.constantFrom(...Object.keys(RECORD), "__proto__"), value)
      .map((change) => JSON.stringify(change));
    fc.assert(
      fc.property(fc.oneof(anyText(), fc.json(), damaged), (text) => {
        writeText(text);
        const { pid = 1, networkNamespace = 1 } = readRuntimeRecord(directory) ?? {};
        expect(pid > 0 && networkNamespace > 0).toBe(true);
      }),
    );
  });
});

describe("a container runs", () => {
  test("as long as its process does, in its network namespace", () => {
    expect(isRunning(RECORD)).toBe(true);
  });

  test.each<[string, Partial<RuntimeRecord>]>([
    ["its pid came round again", { startTime: "1" }],
    ["its process is gone", { pid: 2 ** 22 + 1 }],
    ["its process is in another network namespace", { networkNamespace: 1 }],
  ])("no more when %s", (_, change) => {
    expect(isRunning({ ...RECORD, ...change })).toBe(false);
  });
});

describe("checkIsInside", () => {
  test("is content in the network namespace of a running container", () => {
    writeRuntimeRecord(directory, RECORD);
    expect(() => checkIsInside({ directory })).not.toThrow();
  });

  test.each<[string, () => void]>([
    ["there is no record", () => {}],
    ["the container has ended", () => writeRuntimeRecord(directory, { ...RECORD, startTime: "1" })],
  ])("refuses when %s", (_, prepare) => {
    prepare();
    expect(() => checkIsInside({ directory })).toThrow(
      new ShieldRefusal(`no container runs with the bundle ${directory}`),
    );
  });
});
