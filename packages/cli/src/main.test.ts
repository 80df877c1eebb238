import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { makeTemporaryDirectory, writeFiles } from "../testing/temporary-directory.ts";

// The program as it is installed, so it has to be built.
const PROGRAM = fileURLToPath(new URL("../dist/terok-shield.cjs", import.meta.url));

let home: string;
beforeEach(() => {
  home = makeTemporaryDirectory();
});

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function terokShield(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { HOME: home, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    execFile(process.execPath, [PROGRAM, ...args], { cwd: home, env }, (failure, stdout, stderr) =>
      resolve({ code: failure === null ? 0 : failure.code, stdout, stderr: stderr.replaceAll(home, "HOME") }),
    );
  });
}

const COMMANDS = [
  "run",
  "prepare",
  "start",
  "restart",
  "allow",
  "deny",
  "down",
  "up",
  "block",
  "status",
  "rules",
  "profiles",
  "preview",
  "resolve",
  "logs",
  "watch",
  "list",
  "setup",
  "doctor",
  "prune",
];

describe("help", () => {
  test("names every command, shows examples and exit codes", async () => {
    const { code, stdout, stderr } = await terokShield("--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect(
      stdout.match(/^ {2}(\w+) [<[]|^ {2}(\w+) {2,}/gm)?.map((line) => line.trim().split(" ")[0]),
    ).toEqual(expect.arrayContaining([...COMMANDS]));
    expect(stdout).toMatch(/^Examples:$/m);
    expect(stdout).toMatch(/^Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 /m);
  });

  test.each(COMMANDS)("%s has its own", async (command) => {
    const { code, stdout, stderr } = await terokShield(command, "--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^Usage: terok-shield ${command} `));
  });

  test("stands on standard error when no command is given", async () => {
    const { code, stdout, stderr } = await terokShield();
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Usage: terok-shield /);
  });

  test("--version prints the version", async () => {
    expect(await terokShield("--version")).toEqual({
      code: 0,
      stdout: `${packageJson.version}\n`,
      stderr: "",
    });
  });
});

const NOT_A_NAME =
  '"../web" is not a container name. Use letters, digits, "_", "." and "-", a letter or digit first.';
const NO_KIND =
  'There are no events of the kind "lost". There are blocked, denied, private, allowed, bypass, refused, names, lifecycle.';
const NOT_THERE = "There is no shielded container nothing. Make it with terok-shield run nothing -- IMAGE";

describe("a wrong command is one line, and leaves nothing in the user's home", () => {
  test.each<[number, string, string]>([
    [2, "runn", "unknown command 'runn' (Did you mean run?)"],
    [2, "frobnicate", "unknown command 'frobnicate'"],
    [2, "--frobnicate", "unknown option '--frobnicate'"],
    [2, "status --jsn", "unknown option '--jsn' (Did you mean --json?)"],
    [2, "status web --frobnicate", "unknown option '--frobnicate'"],
    [2, "run", "missing required argument 'container'"],
    [2, "run web", "missing required argument 'podman'"],
    [2, "prepare", "missing required argument 'container'"],
    [2, "rules", "missing required argument 'container'"],
    [2, "prepare web api", "too many arguments for 'prepare'. Expected 1 argument but got 2."],
    [2, "--state-dir", "option '--state-dir <directory>' argument missing"],
    [
      2,
      "--state-dir relative status",
      'The state directory "relative" is not an absolute path of letters, digits and ._/@+=~- only.',
    ],

    // Container names.
    [2, "status ../web", NOT_A_NAME],
    [2, "run ../web -- alpine", NOT_A_NAME],
    [2, "prepare ../web", NOT_A_NAME],
    [2, "start ../web", NOT_A_NAME],
    [2, "restart ../web", NOT_A_NAME],
    [2, "rules ../web", NOT_A_NAME],
    [2, "resolve ../web", NOT_A_NAME],
    [2, "logs --container ../web", NOT_A_NAME],
    [2, "watch ../web", NOT_A_NAME],
    [1, "watch nothing", NOT_THERE],
    [1, "status nothing", NOT_THERE],
    [1, "start nothing", NOT_THERE],
    [1, "restart nothing", NOT_THERE],
    [1, "rules nothing", NOT_THERE],
    [1, "resolve nothing", NOT_THERE],
    [2, "allow ../web good.test", NOT_A_NAME],
    [2, "down ../web", NOT_A_NAME],
    [2, "allow web", "missing required argument 'targets'"],
    [2, "up", "missing required argument 'containers'"],
    [1, "allow nothing good.test", NOT_THERE],
    [1, "deny nothing 198.18.0.0/16", NOT_THERE],
    [1, "down nothing", NOT_THERE],
    [1, "up nothing", NOT_THERE],
    [1, "block nothing", NOT_THERE],
    [1, "expire nothing", NOT_THERE],

    // Targets and durations.
    [2, "allow web http://good.test", '"http://good.test" is a URL. Write only its host name.'],
    [2, "deny web good.test 010.0.0.1", '"010.0.0.1" is not an IP address or CIDR range'],
    [2, "deny web good.test:0", '"0" is not a port. Write 1-65535, without leading zeros.'],
    [
      2,
      "allow web *.com",
      '"*.com" opens the names of everybody who registers below com. Write the names that you mean.',
    ],
    [
      2,
      "allow web good.test --for 90x",
      '"90x" is not a duration. Write a number and s, m, h or d, from 1s to 30d.',
    ],
    [2, "down web --for 31d", '"31d" is not a duration. Write a number and s, m, h or d, from 1s to 30d.'],
    [1, "logs --container nothing", "There is no shielded container nothing. There is none at all."],

    // Options' values.
    [2, "preview --all", "--all belongs to --down. Write preview --down --all."],
    [2, "logs -n x", "option '-n, --lines <count>' argument 'x' is invalid. Use a number from 1 to 9999999."],
    [2, "logs -n 0", "option '-n, --lines <count>' argument '0' is invalid. Use a number from 1 to 9999999."],
    [
      2,
      "logs --since yesterday",
      '"yesterday" is no time. Write 10m (s, m, h or d before now), 2026-11-24, 2026-11-24T10:15 or 2026-11-24T10:15:02Z.',
    ],
    [2, "logs --follow --until 10m", "option '-f, --follow' cannot be used with option '--until <time>'"],
    [2, "logs --only lost", NO_KIND],
    [2, "watch --only blocked,lost web", NO_KIND],
    [2, "watch", "Name the containers to watch, or say --all."],
    [2, "watch web --all", "Name the containers to watch, or say --all."],
    [2, "watch web --json --pretty", "option '--pretty' cannot be used with option '--json'"],
    [
      2,
      "prepare web --publish 80/sctp",
      "option '--publish <ports...>' argument '80/sctp' is invalid. Use PORT, PORT/tcp or PORT/udp.",
    ],
    [
      2,
      "prepare web --publish 65536",
      "option '--publish <ports...>' argument '65536' is invalid. Use PORT, PORT/tcp or PORT/udp.",
    ],
    [
      2,
      "prepare web --format yaml",
      "option '--format <format>' argument 'yaml' is invalid. Allowed choices are shell, json, quadlet, compose.",
    ],
    [
      2,
      "prepare web --json --format quadlet",
      "option '--json' cannot be used with option '--format <format>'",
    ],
    [
      2,
      "prepare web --profiles nod",
      'profile "nod" does not exist. Known profiles: base, dev-node, dev-python, dev-standard, nvidia-hpc.',
    ],
    [
      2,
      "preview --profiles ../base",
      '"../base" is not a profile name. Write 1-64 of a-z, 0-9, "-" and "_", a letter or digit first.',
    ],
    [2, "prepare web --trust-mount /nonexistent", '--trust-mount "/nonexistent" does not exist.'],
    [
      2,
      "run web -- --privileged alpine",
      "--privileged would give the container every capability and the host's devices. Drop it, and add the one capability that is needed with --cap-add.",
    ],
    [
      2,
      "run web -- -it",
      "No image is given. Write it after podman's flags: terok-shield run NAME -- [flags] IMAGE [command].",
    ],
  ])("exit %i: %s", async (code, line, message) => {
    expect(await terokShield(...line.split(" "))).toEqual({ code, stdout: "", stderr: `${message}\n` });
    expect(readdirSync(home)).toEqual([]);
  });
});

describe("wrong files of the user are named with their place, and no state is written", () => {
  test.each([
    [["prepare", "web", "--profiles", "mine"]],
    [["run", "web", "--profiles", "mine", "--", "alpine"]],
    [["preview", "--profiles", "base", "mine"]],
  ])("a profile: %j", async (args) => {
    writeFiles(home, { ".config/terok/shield/profiles/mine.txt": "example.com\n\n*.com # all\n" });
    expect(await terokShield(...args)).toEqual({
      code: 2,
      stdout: "",
      stderr:
        'HOME/.config/terok/shield/profiles/mine.txt:3: "*.com" opens the names of everybody who registers below com. Write the names that you mean.\n',
    });
    expect(readdirSync(home)).toEqual([".config"]);
  });

  test("config.yml", async () => {
    writeFiles(home, { ".config/terok/shield/config.yml": "loopback_ports: [70000]\n" });
    expect(await terokShield("prepare", "web")).toEqual({
      code: 2,
      stdout: "",
      stderr: "HOME/.config/terok/shield/config.yml, loopback_ports[0]: 70000 is not a port (1-65535).\n",
    });
    expect(readdirSync(home)).toEqual([".config"]);
  });

  test("the state directory", async () => {
    mkdirSync(`${home}/state`, { mode: 0o755 });
    expect(await terokShield("--state-dir", `${home}/state`, "prepare", "web")).toEqual({
      code: 1,
      stdout: "",
      stderr: 'The state directory "HOME/state" is not safe: others may enter it. Run chmod 700 HOME/state\n',
    });
  });
});

describe("without a container", () => {
  test("profiles lists the bundled ones and the user's", async () => {
    writeFiles(home, { ".config/terok/shield/profiles/base.txt": "" });
    const { code, stdout } = await terokShield("profiles");
    expect(code).toBe(0);
    expect(stdout.split("\n").map((line) => line.split(/ +/).slice(0, 2).join(" "))).toEqual([
      "base user",
      "dev-node bundled",
      "dev-python bundled",
      "dev-standard bundled",
      "nvidia-hpc bundled",
      "",
    ]);
    const json = JSON.parse((await terokShield("profiles", "--json")).stdout);
    expect(json[0]).toEqual({
      name: "base",
      origin: "user",
      file: `${home}/.config/terok/shield/profiles/base.txt`,
    });
  });

  test("status and logs say that there is nothing", async () => {
    expect(await terokShield("status")).toEqual({ code: 0, stdout: "No shielded containers.\n", stderr: "" });
    expect(await terokShield("status", "--json")).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
    expect(await terokShield("logs")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(readdirSync(home)).toEqual([]);
  });
});

test.each([
  [],
  ["--down"],
  ["--down", "--all"],
  ["--profiles", "base", "dev-python", "dev-node", "nvidia-hpc"],
  ["--profiles", "mine"],
])("preview prints a ruleset that nft takes: %j %j", async (...args) => {
  writeFiles(home, {
    ".config/terok/shield/profiles/mine.txt":
      "10.0.0.0/8\n10.1.0.0/16\n169.254.169.254\n2001:db8::/32\n::1\n",
    ".config/terok/shield/config.yml": "loopback_ports: [8080, 8080, 53]\n",
  });
  const { code, stdout, stderr } = await terokShield("preview", ...args.filter((arg) => arg !== undefined));
  expect([code, stderr]).toEqual([0, ""]);
  const nft = spawnSync("unshare", ["--user", "--map-root-user", "--net", "nft", "-c", "-f", "-"], {
    input: stdout,
    encoding: "utf8",
  });
  expect([nft.stderr, nft.status]).toEqual(["", 0]);
  expect(readdirSync(home)).toEqual([".config"]);
});

test("prepare prints podman's options as one line of words, and notes beside it", async () => {
  writeFiles(home, { ".config/terok/shield/profiles/mine.txt": "10.0.0.7\n" });
  const { code, stdout, stderr } = await terokShield("prepare", "web", "--profiles", "base", "mine");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^(--[a-z-]+=\S+ )+--annotation=terok\.shield\.dns_tier=\w+\n$/);
  expect(stderr).toContain(
    "terok-shield: note: HOME/.config/terok/shield/profiles/mine.txt:1: 10.0.0.7 opens private or special addresses\n",
  );
  const json = JSON.parse(
    (await terokShield("prepare", "web", "--profiles", "base", "mine", "--json")).stdout,
  );
  expect(json.podmanOptions).toEqual(stdout.trimEnd().split(" "));
  const [asJson, asUnit] = await Promise.all(
    ["json", "quadlet"].map((format) =>
      terokShield("prepare", "web", "--profiles", "base", "mine", "--format", format),
    ),
  );
  expect(JSON.parse(asJson?.stdout ?? "")).toEqual(json);
  expect(asUnit).toMatchObject({ code: 0, stderr, stdout: expect.stringContaining("ContainerName=web\n") });
  expect(await terokShield("status", "web")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^web {2}stopped {6}\w+ +base mine\n$/),
  });
});

test("a reader that has seen enough is no failure", () => {
  const script = `{ "$0" "$1" preview --profiles base; echo "exit $?" >&2; } | true`;
  const { stderr } = spawnSync("/bin/sh", ["-c", script, process.execPath, PROGRAM], {
    env: { HOME: home, PATH: "/usr/bin:/bin" },
    encoding: "utf8",
  });
  expect(stderr).toBe("exit 0\n");
});
