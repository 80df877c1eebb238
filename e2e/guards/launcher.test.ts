import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ROOT } from "./workspace.ts";

const DIST = join(ROOT, "packages/cli/dist");

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "terok-shield-launcher-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const state = () => join(home, ".local/state/terok/shield");
const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(DIST, "terok-shield.cjs"), ...args], {
    env: { PATH: process.env.PATH, HOME: home },
    encoding: "utf8",
  });

test("help is what the program prints", () => {
  const printed = execFileSync(process.execPath, [join(DIST, "main.cjs"), "--help"], { encoding: "utf8" });
  expect(run("--help")).toMatchObject({ status: 0, stdout: printed, stderr: "" });
  expect(run("-h").stdout).toBe(printed);
});

test("where there is no state, nothing is kept", () => {
  expect(run("profiles").status).toBe(0);
  expect(readdirSync(home)).toEqual([]);
});

describe("what V8 made of the program", () => {
  beforeEach(() => mkdirSync(state(), { recursive: true, mode: 0o700 }));

  const cache = () => join(state(), "code-cache");
  const kept = () => {
    const [generation = "none"] = readdirSync(cache());
    return join(cache(), generation, "profiles");
  };
  const identity = () => statSync(kept()).ino;
  const works = () =>
    expect(run("profiles")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("base") });

  test("is kept for its owner alone, and used from then on", () => {
    works();
    expect(statSync(kept()).mode & 0o777).toBe(0o600);
    expect(statSync(cache()).mode & 0o777).toBe(0o700);
    const first = identity();
    works();
    expect(identity()).toBe(first);
  });

  test.each([
    ["damaged", () => flipBit(kept())],
    ["cut off", () => writeFileSync(kept(), readFileSync(kept()).subarray(0, 1000))],
    ["empty", () => writeFileSync(kept(), "")],
    ["writable by others", () => chmodSync(kept(), 0o666)],
    [
      "a link",
      () => {
        renameSync(kept(), join(home, "elsewhere"));
        symlinkSync(join(home, "elsewhere"), kept());
      },
    ],
  ])("is made anew where it is %s", (_, damage) => {
    works();
    const first = statSync(kept()).ino;
    damage();
    works();
    expect(identity()).not.toBe(first);
    const second = identity();
    works();
    expect(identity()).toBe(second);
  });

  test("goes when the program or Node is another", () => {
    mkdirSync(join(cache(), "v18.0.0-x64-1-1"), { recursive: true });
    works();
    expect(readdirSync(cache())).toEqual([expect.stringContaining(process.version)]);
  });

  test("is not kept where others may write to the state, nor of a command that failed", () => {
    expect(run("profiles", "--nonsense").status).toBe(2);
    chmodSync(state(), 0o777);
    works();
    expect(readdirSync(state())).toEqual([]);
  });
});

function flipBit(file: string): void {
  const content = readFileSync(file);
  const middle = Math.trunc(content.length / 2);
  content[middle] = (content[middle] ?? 0) ^ 1;
  writeFileSync(file, content);
}
