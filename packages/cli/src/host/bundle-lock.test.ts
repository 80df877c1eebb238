import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { makeTemporaryDirectory } from "../../testing/temporary-directory.ts";
import { ShieldError } from "../shield-error.ts";
import { withBundleLock } from "./bundle-lock.ts";
import { runCommand } from "./run-command.ts";

let directory: string;
beforeEach(() => {
  directory = makeTemporaryDirectory();
});

/** A process that holds the lock of `directory` until it is killed. */
async function startHolder(): Promise<{ kill: () => Promise<void> }> {
  const module = JSON.stringify(fileURLToPath(new URL("./bundle-lock.ts", import.meta.url)));
  const program = `
    const { withBundleLock } = await import(${module});
    await withBundleLock(${JSON.stringify(directory)}, async () => {
      console.log("held");
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

test("two holders never overlap", async () => {
  const spans: string[] = [];
  const work = (name: string) => async () => {
    spans.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 30));
    spans.push(`${name} ends`);
    return name;
  };
  const names = ["a", "b", "c", "d"];
  expect(await Promise.all(names.map((name) => withBundleLock(directory, work(name))))).toEqual(names);
  const order = spans.filter((span) => span.endsWith("begins")).map((span) => span[0]);
  expect(spans).toEqual(order.flatMap((name) => [`${name} begins`, `${name} ends`]));
});

test("is free again after work that fails, and leaves nothing behind", async () => {
  const failing = async () => {
    throw new ShieldError("no");
  };
  await expect(withBundleLock(directory, failing)).rejects.toThrow("no");
  expect(await withBundleLock(directory, async () => "yes")).toBe("yes");
  expect(readdirSync(directory)).toEqual([]);
});

test("is held by another process until that is killed", async () => {
  const holder = await startHolder();
  let isIn = false;
  const waiting = withBundleLock(directory, async () => {
    isIn = true;
  });
  // flock(1) is there and waits, so ours is not in.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isIn).toBe(false);
  await holder.kill();
  await waiting;
  expect(isIn).toBe(true);
});

test("is held by a command that got it, until that ends, too", async () => {
  const order: string[] = [];
  let command: Promise<unknown> = Promise.resolve();
  await withBundleLock(directory, async (lock) => {
    command = runCommand({ program: "nft", file: "/bin/sleep", args: ["0.3"], lock }).then(() =>
      order.push("command"),
    );
  });
  await withBundleLock(directory, async () => order.push("next"));
  await command;
  expect(order).toEqual(["command", "next"]);
});

test("of one container does not concern another", async () => {
  const [first, second] = [`${directory}/web`, `${directory}/web2`];
  for (const bundle of [first, second]) mkdirSync(bundle);
  await withBundleLock(first, async () => {
    expect(await withBundleLock(second, async () => "free")).toBe("free");
  });
});

test("needs nothing to be written", async () => {
  chmodSync(directory, 0o500);
  expect(await withBundleLock(directory, async () => "held")).toBe("held");
});

describe("work is not done", () => {
  const work = async () => expect.unreachable();

  test("when the directory is not there", async () => {
    await expect(withBundleLock(`${directory}/missing`, work)).rejects.toThrow(
      new RegExp(`^"${directory}/missing" cannot be locked: ENOENT`),
    );
  });

  test("when it is a link to another", async () => {
    symlinkSync(directory, `${directory}/link`);
    await expect(withBundleLock(`${directory}/link`, work)).rejects.toThrow("cannot be locked: ");
  });

  test("when the directory was replaced while we waited", async () => {
    const bundle = `${directory}/web`;
    mkdirSync(bundle);
    let waiting: Promise<unknown> = Promise.resolve();
    await withBundleLock(bundle, async () => {
      waiting = withBundleLock(bundle, work).catch((cause) => cause);
      // It has opened the directory by the time that flock(1) runs.
      await new Promise((resolve) => setTimeout(resolve, 100));
      const elsewhere = mkdtempSync(`${tmpdir()}/terok-shield-`);
      onTestFinished(() => rmSync(elsewhere, { recursive: true }));
      renameSync(bundle, `${elsewhere}/web`);
      mkdirSync(bundle);
    });
    expect(String(await waiting)).toContain(
      `"${bundle}" was removed or replaced by another terok-shield command.`,
    );
  });
});
