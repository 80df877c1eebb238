import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseShieldEvent } from "../../packages/audit/src/shield-event.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { openTerminal, type Terminal } from "../src/lab/terminal.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROBE = await readFile(new URL("../src/lab/event-probe.py", import.meta.url), "utf8");

const PROFILE = "good.test\n198.18.1.1\n";

const ENDED = "terok-shield: web has ended.";

let lab: Lab;
let web: ShieldedContainer;
let terminals: Terminal[] = [];
beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  web = await startShielded(lab, "web", PROFILE);
});
afterEach(async () => {
  for (const terminal of terminals) await terminal.close();
  terminals = [];
});
afterAll(() => lab?.destroy());

/** `terok-shield …` in a terminal, as soon as it shows what happens. */
async function inTerminal(
  args: readonly string[],
  options: { readonly columns?: number; readonly env?: Record<string, string> } = {},
): Promise<Terminal> {
  const terminal = await openTerminal(lab.user, {
    command: ["terok-shield", ...args],
    columns: 120,
    ...options,
  });
  terminals.push(terminal);
  return terminal;
}

/** The same in a pipe. */
async function inPipe(args: readonly string[]) {
  const running = await lab.user.spawn("terok-shield", args);
  // The program may end before it is waited for.
  return {
    ...running,
    lines: () =>
      running
        .output()
        .split("\n")
        .filter((line) => line !== ""),
  };
}

/** Tries until whoever listens has heard of it: `watch` tells what comes after it has begun. */
async function tryUntil(
  fact: string,
  target: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  let triedAt = 0;
  await until(
    fact,
    async () => {
      if (await holds()) return true;
      if (Date.now() - triedAt < 1000) return false;
      triedAt = Date.now();
      await web.see(target);
      return holds();
    },
    60_000,
  );
}

async function tryUntilShown(terminal: Terminal, target: string, text: string): Promise<void> {
  await tryUntil(`the terminal shows ${text}`, target, async () =>
    (await terminal.screen()).some((line) => line.includes(text)),
  );
}

async function askFor(...labels: readonly (string | Buffer)[]): Promise<void> {
  const encoded = labels.map((label) => Buffer.from(label as string).toString("base64"));
  const { stdout } = await lab.podman(["exec", "--interactive", "web", "python3", "-c", PROBE], {
    stdin: `${JSON.stringify(["dns", encoded, 1])}\n`,
  });
  expect(stdout).toBe("rcode 5\n");
}

describe("watch in a terminal", () => {
  test("has a coloured line for each event, with what would let it through, and joins repeats in place", async () => {
    const terminal = await inTerminal(["watch", "web"]);
    await tryUntilShown(terminal, "tcp,198.18.66.1,81", "198.18.66.1");
    await web.see("tcp,198.18.1.1,80");
    await terminal.waitForScreen(/\d\d:\d\d:\d\d {2}web {2}allowed +tcp\/80 +198\.18\.1\.1\n?$/m);
    for (let index = 0; index < 5; index++) await web.see("tcp,198.18.66.2,80");
    const screen = await terminal.waitForScreen(/blocked ×5 +tcp\/80 +198\.18\.66\.2/);
    expect(screen.filter((line) => line.includes("198.18.66.2"))).toEqual([
      expect.stringMatching(
        /^\d\d:\d\d:\d\d {2}web {2}blocked ×5 +tcp\/80 +198\.18\.66\.2 {2}\(terok-shield allow web 198\.18\.66\.2:80\/tcp\)$/,
      ),
    ]);
    const coloured = await terminal.colouredScreen();
    expect(coloured).toMatch(/\u001b\[31m\d\d:\d\d:\d\d {2}web {2}blocked/);
    expect(coloured).toMatch(/\u001b\[32m\d\d:\d\d:\d\d {2}web {2}allowed/);
  });

  test("says what a person can copy to open what was refused", async () => {
    const terminal = await inTerminal(["watch", "web"]);
    await tryUntilShown(terminal, "tcp,198.18.66.3,80", "198.18.66.3");
    const hint = /\((terok-shield allow web \S+)\)/.exec((await terminal.screen()).join("\n"))?.[1];
    expect(hint).toBe("terok-shield allow web 198.18.66.3:80/tcp");
    await lab.user.mustRun("sh", ["-c", hint ?? "false"]);
    expect(await web.see("tcp,198.18.66.3,80")).toEqual({ "tcp,198.18.66.3,80": "open" });
    await web.mustShield("deny", "198.18.66.3:80/tcp");
  });

  test("has no colour where NO_COLOR is set, and no line longer than the terminal", async () => {
    const terminal = await inTerminal(["watch", "web"], { columns: 50, env: { NO_COLOR: "1" } });
    await tryUntilShown(terminal, "tcp,198.18.66.4,80", "198.18.66.4");
    await askFor("x".repeat(63), "y".repeat(63), "test");
    await terminal.waitForScreen(/refused +name +x+~$/m);
    await askFor("after", "test");
    const screen = await terminal.waitForScreen("after.test");
    for (const line of screen) expect(line).toMatch(/^(\d\d:\d\d:\d\d {2}web {2}|$)/);
    expect(await terminal.colouredScreen()).not.toContain("\u001b");
  });

  test("ends with 0 on Ctrl-C", async () => {
    const terminal = await inTerminal(["watch", "web"]);
    await tryUntilShown(terminal, "tcp,198.18.66.5,80", "198.18.66.5");
    await terminal.type("C-c");
    expect(await terminal.waitForExit()).toBe(0);
  });

  test("is not touched by what an attacker writes into a name, nor by a log that was tampered with", async () => {
    const terminal = await inTerminal(["watch", "web", "--only", "names,lifecycle"]);
    await tryUntil("the first name is shown", "tcp,198.18.66.5,80", async () => {
      await askFor("begin", "test");
      return (await terminal.screen()).some((line) => line.includes("begin.test"));
    });
    const modes = await terminal.modes();
    const before = await terminal.screen();
    const names: (string | Buffer)[][] = [
      ["\u001b]0;owned\u0007", "test"],
      ["\u001b[2J\u001b[H", "test"],
      ["\u001b[?1049h\u001b[?25l\u001bc", "test"],
      ["\u009b2J", "test"],
      ["new\nline\rback\b", "test"],
      ["\u202eevil", "test"],
      [Buffer.from([0xff, 0xfe, 0x9b]), "test"],
      ['"$(reboot)"', "';x", "test"],
      ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(61)],
    ];
    for (const name of names) await askFor(...name);
    const ts = new Date().toISOString();
    const detail = "tampered \u001b]0;owned\u0007\u001b[2J\u001b[?25l\u009b2J\n\u202e";
    const line = JSON.stringify({ v: 1, ts, container: "web", action: "note", detail });
    const log = `${lab.user.home}/.local/state/terok/shield/containers/web/audit.jsonl`;
    await lab.user.mustRun("sh", ["-c", 'cat >> "$1"', "sh", log], { stdin: `${line}\n` });
    await terminal.waitForScreen("tampered");
    await askFor("end", "test");
    const screen = await terminal.waitForScreen("end.test");
    expect(screen.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    const added = screen.slice(before.length - 1);
    for (const line of added) expect(line).toMatch(/^\d\d:\d\d:\d\d {2}web {2}(refused|note)[\x20-\x7e×]*$/);
    expect(added.join("\n")).toContain(
      String.raw`tampered \x1b]0;owned\x07\x1b[2J\x1b[?25l\x9b2J\x0a\u{202e}`,
    );
    expect(added.join("\n")).toContain("<name unprintable>");
    expect(added.join("\n")).not.toContain('(terok-shield allow web "');
    expect(await terminal.modes()).toBe(modes);
  });
});

describe("watch in a pipe", () => {
  test("has a JSON line of the published form for each event, and joins none", async () => {
    const watch = await inPipe(["watch", "web"]);
    await tryUntil("it tells of it", "tcp,198.18.66.6,80", () => watch.output().includes("198.18.66.6"));
    for (let index = 0; index < 5; index++) await web.see("tcp,198.18.66.7,80");
    await askFor("pipe", "test");
    await until("all are told", () => watch.output().includes("pipe.test"), 30_000);
    watch.kill("SIGTERM");
    expect(await watch.finished).toMatchObject({ exitCode: 0, stderr: "" });
    const events = watch.lines().map(parseShieldEvent);
    expect(events).not.toContain(undefined);
    const published = `${installedShield()}/lib/node_modules/terok-shield/dist/shield-event.schema.json`;
    const schema = await readFile(published, "utf8");
    expect(schema).toBe(
      await readFile(new URL("../../packages/audit/shield-event.schema.json", import.meta.url), "utf8"),
    );
    expect(
      events.filter((event) => event?.action === "packet" && event.address === "198.18.66.7"),
    ).toHaveLength(5);
    expect(events.filter((event) => event?.action === "name")).toMatchObject([
      { name: "pipe.test", queryType: "A" },
    ]);
  });

  test("has lines for people with --pretty, repeats joined, and no escape", async () => {
    const watch = await inPipe(["watch", "web", "--pretty"]);
    await tryUntil("it tells of it", "tcp,198.18.66.6,80", () => watch.output().includes("198.18.66.6"));
    for (let index = 0; index < 5; index++) await web.see("tcp,198.18.66.8,80");
    const shown = () => watch.lines().filter((line) => line.includes("198.18.66.8 "));
    await until("the repeats are told", () => shown().length === 2, 30_000);
    watch.kill("SIGINT");
    expect((await watch.finished).exitCode).toBe(0);
    expect(shown()).toEqual([
      expect.stringMatching(/ {2}blocked +tcp/),
      expect.stringMatching(/ {2}blocked ×4 +tcp/),
    ]);
    expect(watch.output()).not.toContain("\u001b");
  });

  test("has only what was asked for", async () => {
    const watches = await Promise.all(
      ["blocked", "allowed", "names,lifecycle"].map((only) => inPipe(["watch", "--only", only, "web"])),
    );
    const [blocked, allowed, others] = watches as [
      (typeof watches)[0],
      (typeof watches)[0],
      (typeof watches)[0],
    ];
    const told = ({ output }: (typeof watches)[0]) => output() !== "";
    await tryUntil("blocked is told", "tcp,198.18.66.6,80", () => told(blocked));
    await tryUntil("allowed is told", "tcp,198.18.1.1,80", () => told(allowed));
    await tryUntil("names and lifecycle are told", "tcp,198.18.66.6,80", async () => {
      await askFor("only", "test");
      await web.mustShield("allow", "198.18.77.7");
      return others.output().includes("only.test") && others.output().includes("198.18.77.7");
    });
    for (const watch of watches) watch.kill("SIGTERM");
    for (const watch of watches) expect((await watch.finished).exitCode).toBe(0);
    const kinds = ({ lines }: (typeof watches)[0]) => [
      ...new Set(
        lines()
          .map(parseShieldEvent)
          .map((event) => (event?.action === "packet" ? event.verdict : event?.action)),
      ),
    ];
    expect(kinds(blocked)).toEqual(["blocked"]);
    expect(kinds(allowed)).toEqual(["allowed"]);
    expect(kinds(others).sort()).toEqual(["allowed", "name"]);
  });

  test("ends with 0 when nobody reads any more", async () => {
    const script = "terok-shield watch web > fifo-out; echo ended $?";
    await lab.user.mustRun("mkfifo", ["fifo-out"]);
    const watch = await lab.user.spawn("sh", ["-c", script]);
    const { stdout } = await Promise.all([
      lab.user.run("sh", ["-c", "head -n 1 fifo-out"]),
      tryUntil("it has ended", "tcp,198.18.66.6,80", () => watch.output().includes("ended")),
    ]).then(([reader]) => reader);
    expect(parseShieldEvent(stdout.trim())).toMatchObject({ address: "198.18.66.6" });
    expect(await watch.finished).toMatchObject({ stdout: "ended 0\n", stderr: "" });
  });
});

describe("logs", () => {
  test("have the packets and the names, of the time that was asked for", async () => {
    await web.see("tcp,198.18.88.1,80");
    const logs = async (...args: readonly string[]) =>
      (await lab.user.mustRun("terok-shield", ["logs", "--container", "web", ...args])).trim().split("\n");
    await until("the first is logged", async () => (await logs()).join().includes("198.18.88.1"));
    const first = (await logs()).map(parseShieldEvent).findLast((event) => event?.action === "packet");
    // What comes now has another time.
    const then = new Date(Date.parse(first?.ts ?? "") + 1).toISOString();
    await web.see("tcp,198.18.88.2,80");
    await askFor("logs", "test");
    await until("the rest is logged", async () => (await logs()).join().includes("logs.test"));
    const addresses = async (...args: readonly string[]) =>
      (await logs("--only", "blocked", ...args))
        .map(parseShieldEvent)
        .flatMap((event) => (event?.action === "packet" ? [event.address] : []));
    expect(await addresses("-n", "2")).toEqual(["198.18.88.1", "198.18.88.2"]);
    expect(await addresses("--since", then)).toEqual(["198.18.88.2"]);
    expect(await addresses("--until", then, "-n", "1")).toEqual(["198.18.88.1"]);
    expect(await addresses("--since", "10m")).toEqual(expect.arrayContaining(["198.18.66.6", "198.18.88.2"]));
    expect(await logs("--since", "10m", "--only", "names", "-n", "1")).toEqual([
      expect.stringContaining('"name":"logs.test"'),
    ]);
    expect((await logs("--pretty", "--only", "blocked", "-n", "1"))[0]).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}web {2}blocked +tcp\/80 +198\.18\.88\.2 {2}\(terok-shield allow web 198\.18\.88\.2:80\/tcp\)$/,
    );
  });

  test("that are followed begin with the newest and go on, and nothing is told twice", async () => {
    await web.see("tcp,198.18.88.3,80");
    const logs = await inPipe(["logs", "--container", "web", "--follow", "-n", "1", "--only", "blocked"]);
    await until("the newest is told", () => logs.output().includes("198.18.88.3"), 30_000);
    await web.see("tcp,198.18.88.4,80");
    await until("the next is told", () => logs.output().includes("198.18.88.4"), 30_000);
    logs.kill("SIGTERM");
    expect((await logs.finished).exitCode).toBe(0);
    expect(logs.lines().map((line) => JSON.parse(line).address)).toEqual(["198.18.88.3", "198.18.88.4"]);
  });
});

describe("when the container ends", () => {
  test("watch tells its last events, says so and ends with 0, and --all goes on to the next run", async () => {
    const one = await inPipe(["watch", "web"]);
    const all = await inPipe(["watch", "--all"]);
    const follows = await inPipe(["logs", "--container", "web", "--follow"]);
    await tryUntil("all tell of it", "tcp,198.18.99.1,80", () =>
      [one, all, follows].every(({ output }) => output().includes("198.18.99.1")),
    );
    await web.see("tcp,198.18.99.2,80");
    await lab.podman(["stop", "--time=0", "web"]);
    expect(await one.finished).toMatchObject({ exitCode: 0, stderr: `${ENDED}\n` });
    expect((await follows.finished).exitCode).toBe(0);
    expect(one.output()).toContain("198.18.99.2");
    expect(follows.output()).toContain("198.18.99.2");
    await all.waitForOutput(ENDED, 30_000);
    const stopped = await lab.shield(["watch", "web"]);
    expect(stopped).toMatchObject({ exitCode: 1, stdout: "" });
    expect(stopped.stderr).toContain("does not run");
    await lab.user.mustRun("terok-shield", ["start", "web"]);
    await web.reconnect();
    await tryUntil("the next run is told", "tcp,198.18.99.3,80", () => all.output().includes("198.18.99.3"));
    all.kill("SIGTERM");
    expect((await all.finished).exitCode).toBe(0);
    const packets = all.lines().filter((line) => line.includes("198.18.99.2"));
    expect(packets).toHaveLength(1);
  });
});
