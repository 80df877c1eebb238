import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ShieldRefusal } from "./shield-refusal.ts";
import { appendOwnFile, replaceFile } from "./write-own-file.ts";

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "write-own-file-"));
  file = join(directory, "file");
});
afterEach(() => rmSync(directory, { recursive: true }));

const textOf = (path: string) => readFileSync(path, "utf8");
const makePipe = (path: string) => void spawnSync("mkfifo", [path]);

describe("replaceFile", () => {
  test("leaves the new content alone, in a file that is the owner's alone", () => {
    writeFileSync(file, "something longer");
    replaceFile(file, "new");
    expect(textOf(file)).toBe("new");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  test.each<[string, (path: string) => void]>([
    ["a file that was not finished", (path) => writeFileSync(path, "half of someth")],
    ["a pipe that nobody reads", makePipe],
    ["a link to another file", (path) => symlinkSync(join(directory, "other"), path)],
  ])("is not held up, and led nowhere, by %s", (_, make) => {
    writeFileSync(join(directory, "other"), "other");
    for (const path of [file, `${file}.new`]) make(path);
    replaceFile(file, "new");
    expect([textOf(file), textOf(join(directory, "other"))]).toEqual(["new", "other"]);
    expect(readdirSync(directory).sort()).toEqual(["file", "other"]);
  });

  test.each(["file", "file.new"])("refuses when %s is a directory", (name) => {
    mkdirSync(join(directory, name));
    expect(() => replaceFile(file, "new")).toThrow(ShieldRefusal);
    expect(() => replaceFile(file, "new")).toThrow(/^\S+\/file cannot be written: .*directory/);
  });
});

describe("appendOwnFile", () => {
  test("makes a file that is the owner's alone, and adds to its end", () => {
    appendOwnFile(file, "one\n");
    appendOwnFile(file, "two\n");
    expect(textOf(file)).toBe("one\ntwo\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test.each<[string, (path: string) => void]>([
    ["a pipe that nobody reads", makePipe],
    ["a link to another file", (path) => symlinkSync(join(directory, "other"), path)],
    ["a link to an endless device", (path) => symlinkSync("/dev/zero", path)],
    ["a directory", (path) => mkdirSync(path)],
  ])("refuses %s", (_, make) => {
    writeFileSync(join(directory, "other"), "other");
    make(file);
    expect(() => appendOwnFile(file, "one\n")).toThrow(ShieldRefusal);
    expect(() => appendOwnFile(file, "one\n")).toThrow(/^\S+\/file cannot be written: /);
    expect(textOf(join(directory, "other"))).toBe("other");
  });

  test("refuses a pipe that somebody reads", () => {
    makePipe(file);
    const reader = openSync(file, constants.O_RDWR);
    expect(() => appendOwnFile(file, "one\n")).toThrow("not a regular file");
    closeSync(reader);
  });
});
