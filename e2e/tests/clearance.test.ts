import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { openTerminal, type Terminal } from "../src/lab/terminal.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROBE = await readFile(new URL("../src/lab/event-probe.py", import.meta.url), "utf8");
const DEADLINE_MS = 30_000;
/** Between two presses of a key that did not count. */
const PATIENCE_MS = 1500;

let lab: Lab;
let web: ShieldedContainer;
let terminals: Terminal[] = [];
beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  web = await startShielded(lab, "web", "good.test\n");
});
afterEach(async () => {
  for (const terminal of terminals) await terminal.close();
  terminals = [];
});
afterAll(() => lab?.destroy());

/** The prompt, in a shell that goes on afterwards: what a program leaves behind is seen where another goes on. */
async function openClearance(...args: readonly string[]): Promise<Terminal> {
  const script = 'terok-shield clearance "$@"; echo "ended $?"; stty -a; exec cat';
  const terminal = await openTerminal(lab.user, { command: ["sh", "-c", script, "sh", ...args] });
  terminals.push(terminal);
  await terminal.waitForScreen("terok-shield clearance:", DEADLINE_MS);
  return terminal;
}

/** The prompt has ended with 0 and left the terminal as it was; gives what it left on the screen. */
async function expectGivenBack(terminal: Terminal): Promise<string> {
  const text = (await terminal.waitForScreen("extproc", DEADLINE_MS)).join("\n");
  expect(text).toContain("ended 0\n");
  expect(text).toMatch(/ icanon .* echo /);
  expect(text).not.toContain("COUNT");
  expect(await terminal.modes()).toMatch(/alternate_on=0 cursor_flag=1/);
  return text;
}

const selectedLine = (screen: readonly string[]) => screen.find((line) => line.startsWith("> ")) ?? "";

/** Moves the selection to the row that shows a text, however many there are. */
async function select(terminal: Terminal, text: string): Promise<void> {
  await terminal.waitForScreen(text, DEADLINE_MS);
  await terminal.type("Home");
  let before: string | undefined;
  await until(
    `${text} is selected`,
    async () => {
      const line = selectedLine(await terminal.screen());
      if (line.includes(text)) return true;
      if (line === before) return false;
      before = line;
      await terminal.type("j");
      return false;
    },
    DEADLINE_MS,
  );
}

/** Presses keys until they count: a row has to be the selected one for a moment. */
async function decide(terminal: Terminal, keys: readonly string[], outcome: RegExp | string): Promise<void> {
  let screen: string[] = [];
  let pressedAt = 0;
  const shows = async () => {
    screen = await terminal.screen();
    // A line that is too long goes on in the next.
    const text = screen.join(" ");
    if (typeof outcome === "string" ? text.includes(outcome) : outcome.test(text)) return true;
    const mayPress = pressedAt === 0 || text.includes("has just moved");
    // The screen may be that of before the last press.
    if (!mayPress || Date.now() - pressedAt < PATIENCE_MS) return false;
    for (const key of keys) await terminal.type(key);
    pressedAt = Date.now();
    return false;
  };
  await until(`${keys.join(" ")} shows ${outcome}`, shows, DEADLINE_MS).catch((cause: Error) => {
    throw new Error(`${cause.message}\n${screen.join("\n")}`);
  });
}

async function askFor(...labels: readonly (string | Buffer)[]): Promise<void> {
  const encoded = labels.map((label) => Buffer.from(label as string).toString("base64"));
  const { stdout } = await lab.podman(["exec", "--interactive", "web", "python3", "-c", PROBE], {
    stdin: `${JSON.stringify(["dns", encoded, 1])}\n`,
  });
  expect(stdout).toBe("rcode 5\n");
}

describe("a verdict", () => {
  test("for good opens a name that was refused, under the operator's eyes", async () => {
    const terminal = await openClearance("web");
    expect(await web.client.attempt("tcp,other.test,80")).not.toEqual(["answered"]);
    await select(terminal, "name other.test");
    expect(await terminal.screen()).toContain("other.test");
    await decide(terminal, ["a"], /Allowed other\.test -> [\d.: a-f]*198\.18\.0\.12/);
    expect(await web.client.attempt("tcp,other.test,80")).toEqual(["answered"]);
    expect(selectedLine(await terminal.screen())).not.toContain("other.test");
    await terminal.type("q");
    expect(await expectGivenBack(terminal)).toContain("Allowed other.test -> ");
  });

  test("for a time says until when; deny for good beats what is allowed around it", async () => {
    const terminal = await openClearance("web");
    const refused = { "tcp,198.18.66.1,8080": "refused", "tcp,198.18.66.2,8080": "refused" };
    expect(await web.see("tcp,198.18.66.1,8080", "tcp,198.18.66.2,8080")).toEqual(refused);
    await select(terminal, "tcp/8080 198.18.66.1");
    await decide(terminal, ["t", "1"], /Allowed 198\.18\.66\.1:8080\/tcp for web until .*\d\d:\d\d:\d\d/);
    expect(await web.see("tcp,198.18.66.1,8080")).toEqual({ "tcp,198.18.66.1,8080": "open" });
    await select(terminal, "tcp/8080 198.18.66.2");
    await decide(terminal, ["d"], "Denied 198.18.66.2:8080/tcp for web");
    await web.mustShield("allow", "198.18.66.0/28");
    expect(await web.see("tcp,198.18.66.2,8080", "tcp,198.18.66.2,80")).toEqual({
      "tcp,198.18.66.2,8080": "refused",
      "tcp,198.18.66.2,80": "open",
    });
    expect((await terminal.screen()).join("\n")).not.toContain("tcp/8080 198.18.66.2");
  });

  test("once is over when the container is started anew; what was refused before is not asked about again", async () => {
    const terminal = await openClearance();
    const target = "tcp,198.18.67.1,8080";
    expect(await web.see(target)).toEqual({ [target]: "refused" });
    await select(terminal, "tcp/8080 198.18.67.1");
    await decide(terminal, ["o"], "Allowed 198.18.67.1:8080/tcp for web until it restarts");
    expect(await web.see(target)).toEqual({ [target]: "open" });
    await terminal.type("q");
    await expectGivenBack(terminal);
    await lab.user.mustRun("terok-shield", ["restart", "web"]);
    await web.reconnect();
    expect(await web.see(target, "tcp,198.18.66.3,80")).toEqual({
      [target]: "refused",
      "tcp,198.18.66.3,80": "open",
    });
    const next = await openClearance("web");
    await next.waitForScreen("1 waits for a verdict", DEADLINE_MS);
    await next.waitForScreen("x1  web: tcp/8080 198.18.67.1", DEADLINE_MS);
  });

  test("of one operator takes the row from another's screen, and says what it was", async () => {
    const [one, other] = [await openClearance("web"), await openClearance("web")];
    await web.see("tcp,198.18.67.2,8080");
    await select(one, "tcp/8080 198.18.67.2");
    await select(other, "tcp/8080 198.18.67.2");
    await decide(one, ["d"], "Denied 198.18.67.2:8080/tcp for web");
    await other.waitForScreen("Decided elsewhere: deny 198.18.67.2:8080/tcp for web", DEADLINE_MS);
    expect((await other.screen()).join("\n")).not.toContain("tcp/8080 198.18.67.2");
    expect(await web.see("tcp,198.18.67.2,8080")).toEqual({ "tcp,198.18.67.2,8080": "refused" });
  });

  test("about a container that was replaced by one of its name is refused, and opens nothing", async () => {
    const job = await startShielded(lab, "job", "good.test\n");
    const terminal = await openClearance();
    const target = "tcp,198.18.67.3,8080";
    expect(await job.see(target)).toEqual({ [target]: "refused" });
    await select(terminal, "job: tcp/8080 198.18.67.3");
    await job.remove();
    const next = await startShielded(lab, "job", "good.test\n");
    await decide(terminal, ["a"], "job has ended, or was restarted or replaced, since this was shown");
    expect(await next.see(target)).toEqual({ [target]: "refused" });
    await next.mustShield("allow", "198.18.67.3:8080/tcp");
    expect(await next.see(target)).toEqual({ [target]: "open" });
    await next.remove();
  });
});

test("a button of a desktop's notification decides as a key does, and --no-notify shows none", async () => {
  const desktop = `${lab.user.home}/desktop`;
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "notify-send 0.8.1"; exit; fi
printf '%s\\n' "$@" >> ${desktop}/shown
echo deny
`;
  await lab.user.writeFile(`${desktop}/notify-send`, script, 0o755);
  await lab.user.writeFile(`${desktop}/shown`, "");
  const openAt = async (...args: readonly string[]) => {
    const inDesktop = `DBUS_SESSION_BUS_ADDRESS=unix:path=/x PATH="${desktop}:$PATH" exec terok-shield clearance "$@"`;
    const terminal = await openTerminal(lab.user, { command: ["sh", "-c", inDesktop, "sh", ...args] });
    terminals.push(terminal);
    await terminal.waitForScreen("terok-shield clearance:", DEADLINE_MS);
    return terminal;
  };
  const job = await startShielded(lab, "desk", "good.test\n");
  const quiet = await openAt("desk", "--no-notify");
  await job.see("tcp,198.18.68.1,8080");
  await quiet.waitForScreen("desk: tcp/8080 198.18.68.1", DEADLINE_MS);
  await quiet.type("q");
  await quiet.waitForExit();
  expect(await lab.user.mustRun("cat", [`${desktop}/shown`])).toBe("");
  const terminal = await openAt("desk");
  await terminal.waitForScreen("Denied 198.18.68.1:8080/tcp for desk", DEADLINE_MS);
  expect(await lab.user.mustRun("cat", [`${desktop}/shown`])).toContain(
    "--\nterok-shield refused desk\ntcp/8080 198.18.68.1\nEntry: 198.18.68.1:8080/tcp\n",
  );
  await job.mustShield("allow", "198.18.68.0/28");
  expect(await job.see("tcp,198.18.68.1,8080", "tcp,198.18.68.2,8080")).toEqual({
    "tcp,198.18.68.1,8080": "refused",
    "tcp,198.18.68.2,8080": "open",
  });
  await job.remove();
});

describe("the terminal", () => {
  test("is not touched by what an attacker writes into a name, and the selection stays where it is", async () => {
    const terminal = await openClearance("web");
    await web.see("tcp,198.18.67.4,8080");
    await select(terminal, "tcp/8080 198.18.67.4");
    const modes = await terminal.modes();
    for (const name of [
      ["\u001b]0;owned\u0007", "test"],
      ["\u001b[?1049l\u001b[?25h\u001bc", "test"],
      ["\u009b2J\nnew\rline", "test"],
      ["\u202eevil", "test"],
      ['"$(reboot)"', "';x", "test"],
      ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(61)],
      ["end", "test"],
    ])
      await askFor(...name);
    const screen = await terminal.waitForScreen("name end.test", DEADLINE_MS);
    for (const line of screen) expect(line).toMatch(/^[\x20-\x7e]{0,80}$/);
    expect(selectedLine(screen)).toContain("tcp/8080 198.18.67.4");
    expect(screen.join("\n")).toContain("ODD web: name xxxx");
    expect(await terminal.modes()).toBe(modes);
  });

  test("may be made too small and large again, and nothing is decided blindly", async () => {
    const terminal = await openClearance("web");
    await web.see("tcp,198.18.67.5,8080");
    await select(terminal, "tcp/8080 198.18.67.5");
    await terminal.resize(30, 5);
    await terminal.waitForScreen("30x5 is too small", DEADLINE_MS);
    await decide(terminal, ["a"], "The terminal is too small");
    await terminal.resize(120, 40);
    const screen = await terminal.waitForScreen("tcp/8080 198.18.67.5", DEADLINE_MS);
    expect(selectedLine(screen)).toContain("tcp/8080 198.18.67.5");
    expect(await web.see("tcp,198.18.67.5,8080")).toEqual({ "tcp,198.18.67.5,8080": "refused" });
  });

  test("that is taken away ends the prompt", async () => {
    const isAsking = async () =>
      (await lab.user.processes()).some(({ command }) => /node .*clearance/.test(command));
    const terminal = await openClearance("web");
    expect(await isAsking()).toBe(true);
    await terminal.close();
    await until("the prompt has ended", async () => !(await isAsking()), DEADLINE_MS);
  });

  test.each([
    { how: "Ctrl-C", end: (terminal: Terminal) => terminal.type("C-c") },
    {
      how: "TERM",
      end: async (terminal: Terminal) => {
        const shell = String(await terminal.pid());
        await lab.user.mustRun("pkill", ["-TERM", "--parent", shell]);
      },
    },
  ])("is given back after $how", async ({ end }) => {
    const terminal = await openClearance("web");
    expect(await terminal.modes()).toMatch(/alternate_on=1 cursor_flag=0/);
    await end(terminal);
    await expectGivenBack(terminal);
  });

  test("is needed: without one there is a line that says so, and exit code 2", async () => {
    const { exitCode, stdout, stderr } = await lab.shield(["clearance", "web"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toMatch(/^clearance asks you at a terminal, .*\n$/);
  });

  test("is given back when the last container ends", async () => {
    const terminal = await openClearance();
    await lab.podman(["stop", "--time=0", "web"]);
    expect(await expectGivenBack(terminal)).toContain("None of the containers runs any more.");
  });
});
