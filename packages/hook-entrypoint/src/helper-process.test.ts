import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { endHelpers, findHelpers } from "./helper-process.ts";

let directory: string;
let dnsmasqOption: string;
let ulogdOption: string;
type Helper = ChildProcessByStdio<Writable, Readable, null>;
const children: Helper[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "helper-process-"));
  dnsmasqOption = `--conf-file=${directory}/dnsmasq.conf`;
  ulogdOption = `--configfile=${directory}/ulogd.conf`;
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

test("the helpers of a bundle are found by their command lines, of the kinds that are asked for", async () => {
  const [dnsmasq, ulogd, timer] = await Promise.all([
    spawnAs("/usr/sbin/dnsmasq", [dnsmasqOption]),
    spawnAs("ulogd", ["--daemon", ulogdOption]),
    spawnTimer(directory),
    spawnAs("dnsmasq", [`--conf-file=${directory}.old/dnsmasq.conf`]),
    spawnAs("dnsmasq", [`--conf-file=${directory}/../web/dnsmasq.conf`]),
    spawnTimer(`${directory}/`),
    spawnTimer(`${directory}.old`),
    spawnAs("not-dnsmasq", [dnsmasqOption]),
  ]);
  expect(findHelpers(directory)).toEqual(sorted([dnsmasq, ulogd, timer]));
  expect(findHelpers(directory, ["dnsmasq"])).toEqual(sorted([dnsmasq]));
  expect(findHelpers(directory, ["ulogd", "timer"])).toEqual(sorted([ulogd, timer]));
});

test.each(["", "/", ".", "/nowhere"])("%j has no helpers", async (name) => {
  await spawnAs("dnsmasq", [dnsmasqOption]);
  expect(findHelpers(name)).toEqual([]);
});

describe.skipIf(process.getuid?.() !== 0)("a process with a helper's command line is a stranger's", () => {
  test.each([
    ["when another user runs it", ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]],
    ["when it runs in a container", ["unshare", "--pid", "--fork", "--kill-child"]],
  ])("%s", async (_, entry) => {
    const stranger = await spawnAs("dnsmasq", [dnsmasqOption], { entry });
    endHelpers(directory);
    stranger.stdin.end("still here\n");
    expect(await readAll(stranger.stdout)).toBe("still here\n");
  });
});

test("helpers are asked to end, those of other bundles are not", async () => {
  const [dnsmasq, timer, other] = await Promise.all([
    spawnAs("dnsmasq", [dnsmasqOption]),
    spawnTimer(directory),
    spawnAs("dnsmasq", [`--conf-file=${directory}.other/dnsmasq.conf`]),
  ]);
  endHelpers(directory);
  expect([await endOf(dnsmasq), await endOf(timer)]).toEqual(["SIGTERM", "SIGTERM"]);
  expect(other.exitCode ?? other.signalCode).toBeNull();
});

test("only those of the kinds that are asked for end", async () => {
  const [dnsmasq, ulogd] = await Promise.all([
    spawnAs("dnsmasq", [dnsmasqOption]),
    spawnAs("ulogd", [ulogdOption]),
  ]);
  endHelpers(directory, ["dnsmasq"]);
  expect(await endOf(dnsmasq)).toBe("SIGTERM");
  expect(ulogd.exitCode ?? ulogd.signalCode).toBeNull();
});

test("a timer takes with it what it waits for", async () => {
  const timer = await spawnTimer(directory, { script: "sleep 1000 & echo $!; wait", ownGroup: true });
  endHelpers(directory);
  // Its end closes the pipe that it shares with the shell.
  expect(await readAll(timer.stdout)).toBe("");
  expect(await endOf(timer)).toBe("SIGTERM");
});

test("a helper that is in the process group of others ends alone", async () => {
  const script = `echo ready; sh -c 'read line' terok-shield-timer ${directory}; echo and we go on`;
  const group = await spawnAs("sh", [], { script, ownGroup: true });
  await expect.poll(() => findHelpers(directory)).toHaveLength(1);
  endHelpers(directory);
  expect(await readAll(group.stdout)).toBe("and we go on\n");
});

test("a helper that ignores the request is made to end", async () => {
  const [dnsmasq, ulogd] = await Promise.all([
    spawnAs("dnsmasq", [dnsmasqOption], { script: 'trap "" TERM; echo ready; read line' }),
    spawnAs("ulogd", [ulogdOption]),
  ]);
  endHelpers(directory);
  expect(findHelpers(directory)).toEqual([]);
  expect([await endOf(dnsmasq), await endOf(ulogd)]).toEqual(["SIGKILL", "SIGTERM"]);
});

test("a helper that has ended holds nothing any more, however long its memory takes to go", async () => {
  const held = join(directory, "held");
  const script = `exec 9> ${held}; flock 9; x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo ready; read line`;
  await spawnAs("dnsmasq", [dnsmasqOption], { script });
  endHelpers(directory);
  expect(spawnSync("flock", ["--nonblock", held, "true"]).status).toBe(0);
});

test("no helpers take no time", () => {
  const start = performance.now();
  endHelpers(directory);
  expect(performance.now() - start).toBeLessThan(400);
});

interface Disguise {
  readonly script?: string;
  /** What runs the shell, as somebody else or somewhere else. */
  readonly entry?: readonly string[];
  readonly ownGroup?: boolean;
}

/** A shell with another program's name and options, once it says that it is ready. */
async function spawnAs(
  program: string,
  options: readonly string[],
  disguise: Disguise = {},
): Promise<Helper> {
  const { script = "echo ready; read line; echo $line", entry = [], ownGroup = false } = disguise;
  const shell = ["bash", "-c", 'exec -a "$0" /bin/sh "$@"', program, "-c", script, ...options];
  const [file = "", ...args] = [...entry, ...shell];
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"], detached: ownGroup });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

function spawnTimer(bundle: string, disguise: Disguise = {}): Promise<Helper> {
  return spawnAs("/bin/sh", ["terok-shield-timer", bundle], disguise);
}

async function readAll(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

async function endOf(child: Helper): Promise<NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode;
}

function sorted(helpers: readonly Helper[]): number[] {
  return helpers.map(({ pid = 0 }) => pid).sort((left, right) => left - right);
}
