import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { ShieldError } from "../shield-error.ts";
import { type Command, CommandFailedError, runCommand, runForeground } from "./run-command.ts";

const sh = (script: string, more: Partial<Command> = {}): Command => ({
  program: "podman",
  file: "/bin/sh",
  args: ["-c", script, "sh"],
  ...more,
});

describe("runCommand", () => {
  test("gives all of standard output as it is, and passes standard input and arguments untouched", async () => {
    const args = ["-c", "cat; printf '[%s]' \"$@\"", "sh", "a b", "$(id)", "*", ""];
    expect(await runCommand({ ...sh(""), args, stdin: "in\n\n" })).toEqual({
      stdout: "in\n\n[a b][$(id)][*][]",
    });
  });

  test("gives nothing to read when there is no standard input", async () => {
    expect(await runCommand(sh("cat; echo end"))).toEqual({ stdout: "end\n" });
  });

  test.each([
    ["exit 3", 'podman failed (exit 3): ""', 3],
    [
      "echo 'it is \u001b[31mred\nmore' >&2; exit 125",
      'podman failed (exit 125): "it is \\u001b[31mred"',
      125,
    ],
  ])("%j rejects with the first line of standard error", async (script, message, exitCode) => {
    const failure = await runCommand(sh(script)).catch((cause) => cause);
    expect(failure).toBeInstanceOf(CommandFailedError);
    expect([failure.message, failure.exitCode]).toEqual([message, exitCode]);
  });

  test("a program that a signal ended, or that is not there, rejects without an exit code", async () => {
    const failures = await Promise.all(
      [sh("kill -KILL $$"), sh("", { file: "/nonexistent/podman" })].map((command) =>
        runCommand(command).catch((cause) => cause),
      ),
    );
    expect(failures.map(({ exitCode }) => exitCode)).toEqual([undefined, undefined]);
    expect(failures.map(({ message }) => message)).toEqual([
      'podman failed (no exit): "SIGKILL"',
      'podman failed (no exit): "spawn /nonexistent/podman ENOENT"',
    ]);
  });

  describe("of what is brief", () => {
    const brief = (script: string, more: Partial<Command> = {}) => sh(script, { isBrief: true, ...more });

    test("gives all of a large output, whatever is not read of its input", async () => {
      const { stdout } = await runCommand(
        brief("head -c 3000000 /dev/zero | tr '\\0' x", { stdin: "y".repeat(200_000) }),
      );
      expect([stdout.length, stdout.replaceAll("x", "")]).toEqual([3_000_000, ""]);
    });

    test.each([
      [brief("cat >&2; exit 3", { stdin: "why\nmore" }), 'podman failed (exit 3): "why"', 3],
      [brief("kill -KILL $$"), 'podman failed (no exit): "SIGKILL"', undefined],
      [
        brief("", { file: "/nonexistent/podman" }),
        'podman failed (no exit): "spawnSync /nonexistent/podman ENOENT"',
        undefined,
      ],
    ])("%j rejects as any other", async (command, message, exitCode) => {
      const failure = await runCommand(command).catch((cause) => cause);
      expect(failure).toBeInstanceOf(CommandFailedError);
      expect([failure.message, failure.exitCode]).toEqual([message, exitCode]);
    });
  });

  test("a signal of its caller ends it, also when it does not listen", async () => {
    const began = Date.now();
    const command = sh("trap '' TERM; exec sleep 30", { signal: AbortSignal.timeout(100) });
    await expect(runCommand(command)).rejects.toThrow(CommandFailedError);
    expect(Date.now() - began).toBeLessThan(5_000);
  });
});

describe("runForeground", () => {
  test("forwards signals that are meant for the container, and leaves no listener behind", async () => {
    const directory = makeTemporaryDirectory();
    writeFiles(directory, {
      script: "trap 'exit 11' TERM\ntrap 'exit 12' USR2\nkill -$1 $PPID\nwhile :; do sleep 0.05; done\n",
    });
    const before = process.listenerCount("SIGTERM");
    expect(await runForeground("/bin/sh", [`${directory}/script`, "TERM"])).toBe(11);
    expect(await runForeground("/bin/sh", [`${directory}/script`, "USR2"])).toBe(12);
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });

  test("a podman that cannot be run is a fault with a sentence", async () => {
    await expect(runForeground("/nonexistent/podman", [])).rejects.toThrow(ShieldError);
    await expect(runForeground("/nonexistent/podman", [])).rejects.toThrow(
      "podman could not be run: spawn /nonexistent/podman ENOENT",
    );
  });
});
