import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { enterNetwork, holdNetwork, which } from "../testing/hook-lab.ts";
import { endHelpers, findHelpers } from "./helper-process.ts";
import { KEEPER_NAME } from "./identify-helper.ts";
import { KEEPER_SCRIPT } from "./log-keeper.ts";
import { LIMITED, MOST_FILE_BYTES } from "./run-program.ts";

const TABLE = `table inet terok_shield {
  counter allowed { packets 1 bytes 60; }
  counter refused_blocked { }
  set big {
    type ipv4_addr
    elements = { 198.18.0.1 }
  }
  chain output {
    type filter hook output priority filter; policy accept;
    counter name "allowed"
  }
}
table ip other {
  counter theirs { packets 9 bytes 9; }
}
`;
const soon = { timeout: 20_000, interval: 20 };

describe.skipIf(process.getuid?.() !== 0)("the keeper of the logs", () => {
  let container: ChildProcess;
  let directory: string;
  const path = (name: string) => join(directory, name);

  beforeEach(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), "log-keeper-")));
    container = await holdNetwork();
    inNetwork(["nft", "-f", "-"], TABLE);
  });
  afterEach(() => {
    endHelpers(directory);
    container.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });

  function inNetwork(command: readonly string[], input = ""): string {
    const [file = "", ...args] = [...enterNetwork(container), ...command];
    return execFileSync(file, args, { input, encoding: "utf8", env: { PATH: process.env.PATH, TZ: "UTC0" } });
  }

  function startKeeper({ isAudited = "1", bytes = 100_000, interval = 0.05 } = {}): void {
    const serves = [directory, String(container.pid)];
    const args = [...serves, which("nft"), "inet terok_shield", which("dnsmasq"), which("ulogd")];
    const [file = "", ...entry] = enterNetwork(container);
    const shell = ["/bin/sh", "-c", KEEPER_SCRIPT, KEEPER_NAME];
    const own = [...args, isAudited, String(bytes), String(interval)];
    spawn(file, [...entry, ...shell, ...own], { stdio: "ignore", detached: true }).unref();
  }

  function startDnsmasq(): void {
    const options = [
      "--port=53",
      "--listen-address=127.0.0.1",
      "--bind-interfaces",
      "--no-resolv",
      "--no-hosts",
    ];
    writeFileSync(path("dnsmasq.conf"), "log-queries=extra\nuser=root\ngroup=root\n");
    const logs = [`--log-facility=${path("dnsmasq.log")}`, `--pid-file=${path("dnsmasq.pid")}`];
    const shell = ["sh", "-c", LIMITED, "sh"];
    inNetwork([...shell, which("dnsmasq"), `--conf-file=${path("dnsmasq.conf")}`, ...options, ...logs]);
  }

  const ask = (name: string) => inNetwork(["dig", "+tries=1", "+time=2", "+short", "@127.0.0.1", name]);
  const snapshots = () =>
    existsSync(path("packets.jsonl"))
      ? readFileSync(path("packets.jsonl"), "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line))
      : [];

  test("writes down what our counters count, each time that it is something else, and at its end", async () => {
    startKeeper({ interval: 60 });
    await vi.waitFor(() => expect(snapshots()).toHaveLength(1), soon);
    expect(snapshots()).toEqual([
      {
        ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
        counters: { allowed: [1, 60], refused_blocked: [0, 0] },
      },
    ]);
    expect(Math.abs(Date.now() - Date.parse(snapshots()[0].ts))).toBeLessThan(60_000);
    send();
    endHelpers(directory);
    const [first, last] = snapshots();
    expect(last.before).toEqual(first.counters);
    expect(last.counters.allowed[0]).toBeGreaterThan(1);
    expect(findHelpers(directory)).toEqual([]);
  });

  test("ends dnsmasq and itself when the container is gone and nobody told", async () => {
    startDnsmasq();
    startKeeper();
    await vi.waitFor(() => expect(snapshots()).toHaveLength(1), soon);
    expect(findHelpers(directory)).toHaveLength(2);
    const ended = once(container, "exit");
    container.kill("SIGKILL");
    await ended;
    await vi.waitFor(() => expect(findHelpers(directory)).toEqual([]), soon);
  });

  test("writes nothing while nothing changes", async () => {
    startKeeper();
    await vi.waitFor(() => expect(snapshots()).toHaveLength(1), soon);
    inNetwork(["nft", "add", "element", "inet", "terok_shield", "big", "{ 198.18.0.2 }"]);
    for (let look = 0; look < 5; look++) await aNextLook();
    expect(snapshots()).toHaveLength(1);
  });

  /** The keeper has looked once more: its `sleep` is another. */
  async function aNextLook(): Promise<void> {
    const sleeping = () =>
      spawnSync("pgrep", ["-P", readFileSync(path("keeper.pid"), "utf8").trim()], { encoding: "utf8" })
        .stdout;
    const before = sleeping();
    await vi.waitFor(() => expect(sleeping()).not.toBe(before), { timeout: 20_000, interval: 5 });
  }

  test("counts nothing where nothing is audited", async () => {
    startKeeper({ isAudited: "" });
    await vi.waitFor(() => expect(existsSync(path("keeper.pid"))).toBe(true), soon);
    endHelpers(directory);
    expect(existsSync(path("packets.jsonl"))).toBe(false);
  });

  test("renames a log of dnsmasq that has grown long, and dnsmasq goes on in a new one", async () => {
    startDnsmasq();
    startKeeper();
    ask("before.test");
    appendFileSync(path("dnsmasq.log"), "x".repeat(100_000));
    await vi.waitFor(() => expect(existsSync(path("dnsmasq.log.old"))).toBe(true), soon);
    await vi.waitFor(() => {
      ask("after.test");
      expect(readFileSync(path("dnsmasq.log"), "utf8")).toContain("query[A] after.test");
    }, soon);
    expect(readFileSync(path("dnsmasq.log.old"), "utf8")).toContain("query[A] before.test");
    expect(statSync(path("dnsmasq.log")).mode & 0o007).toBe(0);
  });

  test("dnsmasq that finds no room for its log answers all the same, and logs again when there is", async () => {
    startDnsmasq();
    appendFileSync(path("dnsmasq.log"), "x".repeat(MOST_FILE_BYTES));
    expect(ask("lost.test")).toBe("");
    expect(readFileSync(path("dnsmasq.log"), "utf8")).not.toContain("lost.test");
    startKeeper({ bytes: 1_000_000 });
    await vi.waitFor(() => {
      ask("found.test");
      expect(readFileSync(path("dnsmasq.log"), "utf8")).toContain("query[A] found.test");
    }, soon);
  });

  test("ulogd goes on in a new log, and the keeper too", async () => {
    startUlogd();
    startKeeper();
    const logged = (file: string) => (existsSync(path(file)) ? readFileSync(path(file), "utf8") : "");
    send();
    await vi.waitFor(() => expect(logged("packets.jsonl")).toContain("TEROK_SHIELD_BLOCKED"), soon);
    appendFileSync(path("packets.jsonl"), `${"x".repeat(100_000)}\n`);
    await vi.waitFor(() => expect(existsSync(path("packets.jsonl.old"))).toBe(true), soon);
    await vi.waitFor(() => {
      send();
      expect(logged("packets.jsonl")).toContain("TEROK_SHIELD_BLOCKED");
    }, soon);
    await vi.waitFor(() => {
      send();
      expect(logged("packets.jsonl")).toContain('"before"');
    }, soon);
  });

  function startUlogd(): void {
    const plugins = "/usr/lib/x86_64-linux-gnu/ulogd";
    const names = ["inppkt_NFLOG", "raw2packet_BASE", "filter_IP2STR", "output_JSON"];
    writeFileSync(
      path("ulogd.conf"),
      [
        "[global]",
        `logfile="${path("ulogd.log")}"`,
        ...names.map((name) => `plugin="${plugins}/ulogd_${name}.so"`),
        "stack=log1:NFLOG,base1:BASE,ip1:IP2STR,json1:JSON",
        "[log1]\ngroup=100\nnetlink_qtimeout=1\n[json1]",
        `file="${path("packets.jsonl")}"\nsync=1\n`,
      ].join("\n"),
    );
    inNetwork([
      "nft",
      'insert rule inet terok_shield output udp dport 9 log prefix "TEROK_SHIELD_BLOCKED: " group 100',
    ]);
    const options = [`--configfile=${path("ulogd.conf")}`, `--pidfile=${path("ulogd.pid")}`];
    inNetwork(["sh", "-c", LIMITED, "sh", which("ulogd"), "--daemon", ...options]);
  }

  function send(): void {
    inNetwork(["bash", "--norc", "-c", "echo x > /dev/udp/127.0.0.1/9"]);
  }

  test("signals nobody else, whoever has the pid that a pid file names", async () => {
    const stranger = spawn("sleep", ["60"], { stdio: "ignore" });
    writeFileSync(path("dnsmasq.pid"), `${stranger.pid}\n`);
    writeFileSync(path("ulogd.pid"), `${stranger.pid}\n`);
    startKeeper();
    await vi.waitFor(() => expect(existsSync(path("keeper.pid"))).toBe(true), soon);
    for (let look = 0; look < 3; look++) await aNextLook();
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill("SIGKILL");
  });
});
