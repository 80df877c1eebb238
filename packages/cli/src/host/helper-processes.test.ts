import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { endHelpers, isHelperAlive, listHelperProcesses } from "./helper-processes.ts";

let bundle: string;
beforeEach(() => {
  bundle = makeTemporaryDirectory();
});

/** A process with a command line of its own. */
async function start(program: string, argument: string): Promise<number> {
  const child = spawn("/bin/sh", ["-c", "echo; read x", argument], { argv0: program, stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child.pid ?? 0;
}

const own = () => listHelperProcesses().filter((helper) => helper.bundle === bundle);

test("helpers are known by the configuration that they were started with", async () => {
  const dnsmasq = await start("/usr/sbin/dnsmasq", `--conf-file=${bundle}/dnsmasq.conf`);
  const ulogd = await start("/usr/sbin/ulogd", `--configfile=${bundle}/ulogd.conf`);
  await start("/usr/sbin/dnsmasq", `--conf-file=${bundle}/other.conf`);
  await start("/usr/bin/cat", `--conf-file=${bundle}/dnsmasq.conf`);
  expect(own().sort((left, right) => left.kind.localeCompare(right.kind))).toEqual([
    { pid: dnsmasq, kind: "dnsmasq", bundle },
    { pid: ulogd, kind: "ulogd", bundle },
  ]);
  expect([isHelperAlive(bundle, "dnsmasq"), isHelperAlive(`${bundle}2`, "dnsmasq")]).toEqual([true, false]);
});

test("the keeper of logs is known by its name, with its pid file and without", async () => {
  const child = spawn("/bin/sh", ["-c", "echo; read x", "terok-shield-keeper", bundle], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect(own()).toEqual([{ pid: child.pid, kind: "keeper", bundle }]);
  expect(isHelperAlive(bundle, "keeper")).toBe(true);
  writeFiles(bundle, { "keeper.pid": `${child.pid}\n` });
  expect([isHelperAlive(bundle, "keeper"), isHelperAlive(bundle, "ulogd")]).toEqual([true, false]);
});

test("a process of a container, which may call itself what it likes, is none: it has another pid namespace", async () => {
  const pretend = `exec -a /usr/sbin/dnsmasq bash -c 'echo; read x' bash --conf-file=${bundle}/dnsmasq.conf`;
  const child = spawn("unshare", ["--user", "--pid", "--fork", "bash", "-c", pretend]);
  onTestFinished(() => void child.stdin.end());
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"));
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain(`--conf-file=${bundle}/dnsmasq.conf`);
  writeFiles(bundle, { "dnsmasq.pid": `${pid}\n` });
  expect([own(), isHelperAlive(bundle, "dnsmasq")]).toEqual([[], false]);
});

test("a pid file that names another process hides no helper", async () => {
  await start("/usr/sbin/dnsmasq", `--conf-file=${bundle}/dnsmasq.conf`);
  for (const text of ["", "0", "-1", "../self", String(process.pid), String(2 ** 22 + 1)]) {
    writeFiles(bundle, { "dnsmasq.pid": text });
    expect(isHelperAlive(bundle, "dnsmasq")).toBe(true);
  }
});

test("ending helpers ends those of one kind and one bundle, also when they do not listen", async () => {
  const child = spawn("/bin/sh", ["-c", "trap '' TERM; echo; read x", `--conf-file=${bundle}/dnsmasq.conf`], {
    argv0: "dnsmasq",
    stdio: "pipe",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const ulogd = await start("ulogd", `--configfile=${bundle}/ulogd.conf`);
  await endHelpers(bundle, "dnsmasq");
  expect(own()).toEqual([{ pid: ulogd, kind: "ulogd", bundle }]);
});

test("a helper that has ended holds nothing any more, however long its memory takes to go", async () => {
  const script = `exec 9> ${bundle}/held; flock 9; x=$(head -c 250000000 /dev/zero | tr "\\0" x); echo; read x`;
  const child = spawn("/bin/sh", ["-c", script, `--conf-file=${bundle}/dnsmasq.conf`], {
    argv0: "dnsmasq",
    stdio: "pipe",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await endHelpers(bundle, "dnsmasq");
  expect(spawnSync("flock", ["--nonblock", `${bundle}/held`, "true"]).status).toBe(0);
});
