import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endHelpers, findHelpers } from "./helper-process.ts";

let directory: string;
let configuration: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "helper-process-"));
  configuration = join(directory, "dnsmasq.conf");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

test("a helper is dnsmasq or ulogd with the configuration as its option, and nothing else is", async () => {
  const helpers = await Promise.all([
    spawnAs("dnsmasq", [`--conf-file=${configuration}`]),
    spawnAs("/usr/sbin/dnsmasq", ["--port=53", `--conf-file=${configuration}`]),
    spawnAs("/usr/sbin/ulogd", ["--daemon", `--configfile=${configuration}`, "--pidfile=/x"]),
  ]);
  await Promise.all([
    spawnAs("dnsmasq", []),
    spawnAs("dnsmasq", [`--conf-file=${configuration}.old`]),
    spawnAs("dnsmasq", [`--conf-file=/other${configuration}`]),
    spawnAs("dnsmasq", [`--conf-file=${directory}/../web/dnsmasq.conf`]),
    spawnAs("dnsmasq", [configuration]),
    spawnAs("sh", [`--conf-file=${configuration}`]),
    spawnAs("vi", [configuration]),
    spawnAs("not-dnsmasq", [`--conf-file=${configuration}`]),
    spawnAs("/usr/sbin/dnsmasq/x", [`--conf-file=${configuration}`]),
    spawnAs(`dnsmasq --conf-file=${configuration}`, []),
  ]);
  expect(findHelpers(configuration)).toEqual(sorted(helpers.map(({ pid }) => pid)));
});

test.each(["", "/", "dnsmasq.conf", "/dnsmasq.conf"])("%j names the helper of no bundle", async (name) => {
  await spawnAs("dnsmasq", [`--conf-file=${configuration}`]);
  expect(findHelpers(name)).toEqual([]);
});

test("helpers are asked to end, those of other bundles are not", async () => {
  const [own, other] = await Promise.all([
    spawnAs("dnsmasq", [`--conf-file=${configuration}`]),
    spawnAs("dnsmasq", [`--conf-file=${configuration}.other`]),
  ]);
  endHelpers([configuration, join(directory, "ulogd.conf")]);
  expect(await endOf(own)).toBe("SIGTERM");
  expect(other.exitCode ?? other.signalCode).toBeNull();
});

test("a helper that ignores the request is made to end", async () => {
  const [dnsmasq, ulogd] = await Promise.all([
    spawnAs("dnsmasq", [`--conf-file=${configuration}`], 'trap "" TERM'),
    spawnAs("ulogd", [`--configfile=${configuration}`]),
  ]);
  endHelpers([configuration]);
  expect(findHelpers(configuration)).toEqual([]);
  expect([await endOf(dnsmasq), await endOf(ulogd)]).toEqual(["SIGKILL", "SIGTERM"]);
});

test("no helpers take no time", () => {
  const start = performance.now();
  endHelpers([configuration]);
  expect(performance.now() - start).toBeLessThan(400);
});

/** A shell with another program's name and arguments. */
async function spawnAs(program: string, args: readonly string[], prelude = ":"): Promise<ChildProcess> {
  const script = `${prelude}; echo ready; read _`;
  const child = spawn("/bin/sh", ["-c", script, "x", ...args], {
    argv0: program,
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

async function endOf(child: ChildProcess): Promise<NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode;
}

function sorted(pids: readonly (number | undefined)[]): (number | undefined)[] {
  return [...pids].sort((left = 0, right = 0) => left - right);
}
