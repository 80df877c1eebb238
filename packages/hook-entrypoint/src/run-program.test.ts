import { expect, test } from "vitest";
import { runProgram } from "./run-program.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

const shell = (script: string, input?: string) => runProgram("/bin/sh", ["-c", script], input);

test("gives a program its input and gives back what it printed", async () => {
  expect(await shell("cat; echo done", "one\ntwo\n")).toBe("one\ntwo\ndone\n");
});

test("hands over nothing of the environment, and the root as directory", async () => {
  process.env.LD_PRELOAD_OF_A_TEST = "1";
  expect(await shell("pwd; env -u PWD -u SHLVL -u _ env | sort")).toBe(
    "/\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nTZ=UTC0\n",
  );
});

test.each([
  ["fails", "echo first >&2; echo second >&2; exit 3", '/bin/sh failed (exit 3): "first"'],
  ["fails in silence", "exit 1", '/bin/sh failed (exit 1): ""'],
  ["fails in colours", "printf '\\033[31mred' >&2; exit 1", '/bin/sh failed (exit 1): "\\u001b[31mred"'],
  ["is killed", "kill -9 $$", '/bin/sh failed (signal SIGKILL): ""'],
])("a program that %s is a refusal", async (_, script, reason) => {
  await expect(shell(script)).rejects.toThrow(new ShieldRefusal(reason));
});

test("a program that fails before it has read its input still says why", async () => {
  const input = "x".repeat(4 * 1024 * 1024);
  await expect(shell("echo no >&2; exit 2", input)).rejects.toThrow(
    new ShieldRefusal('/bin/sh failed (exit 2): "no"'),
  );
});

test("a program that ends well without reading its input is a refusal all the same", async () => {
  const input = "x".repeat(4 * 1024 * 1024);
  await expect(shell("exit 0", input)).rejects.toThrow(
    new ShieldRefusal("/bin/sh ended without reading what it was given"),
  );
});

test("a program that is missing is a refusal", async () => {
  await expect(runProgram("/nowhere/nft", [])).rejects.toThrow(
    new ShieldRefusal("/nowhere/nft could not be run: spawn /nowhere/nft ENOENT"),
  );
});
