import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { ANNOTATION, GATE_SYSCTL, HOOK_DONE, RELEASED_SYSCTL } from "@terok-shield/hook-entrypoint/contract";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../testing/temporary-directory.ts";
import { type HookPaths, renderHookDescriptors } from "./hook-descriptors.ts";

const PATHS: HookPaths = {
  node: "/usr/bin/node",
  nsenter: "/usr/bin/nsenter",
  sed: "/usr/bin/sed",
  hookEntrypoint: "/opt/terok-shield/terok-shield-hook.js",
  stateDirectory: "/home/me/.local/state/terok/shield/containers/web",
};

interface Hook {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly timeout: number;
}

type Stage = "precreate" | "createRuntime" | "poststop";

function hookOf(stage: Stage, paths: HookPaths = PATHS): Hook {
  const file = renderHookDescriptors(paths)[`terok-shield-${stage}.json`] ?? "";
  return (JSON.parse(file) as { hook: Hook }).hook;
}

test("the hooks directory holds a descriptor for each stage and nothing else", async () => {
  const files = Object.entries(renderHookDescriptors(PATHS));
  const text = files.map(([name, content]) => `== ${name}\n${content}`).join("");
  await expect(text).toMatchFileSnapshot("../golden/hooks.txt");
});

test("every program is named by its absolute path, and none finds anything by the user's PATH", () => {
  for (const stage of ["precreate", "createRuntime", "poststop"] as const) {
    const { path, env } = hookOf(stage);
    expect(path).toMatch(/^\//);
    expect(env).toEqual(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
  }
});

/** The parts of an OCI specification that matter, in one line as podman hands it to precreate. */
function renderSpec({
  createRuntime = [],
  sysctl = { [GATE_SYSCTL]: "0" },
  annotations = {},
  env = [],
  otherHooks = {},
}: {
  createRuntime?: readonly object[];
  sysctl?: Record<string, string>;
  annotations?: Record<string, string>;
  env?: readonly string[];
  otherHooks?: Record<string, readonly object[]>;
}): string {
  return JSON.stringify({
    ociVersion: "1.0.2-dev",
    process: { terminal: false, args: ["sh"], env, cwd: "/" },
    hostname: "web",
    hooks: { ...(createRuntime.length > 0 ? { createRuntime } : {}), ...otherHooks },
    annotations: { [ANNOTATION.name]: "web", ...annotations },
    linux: { sysctl, namespaces: [{ type: "network" }] },
  });
}

function runPrecreate(spec: string): string {
  const { path, args } = hookOf("precreate");
  return execFileSync(path, args.slice(1), { input: spec, encoding: "utf8", env: {} });
}

const OURS = hookOf("createRuntime");
const OTHER: Hook = { path: "/usr/bin/nvidia-hook", args: ["nvidia-hook"], env: [], timeout: 10 };
const RELEASED = { sysctl: { [RELEASED_SYSCTL]: "0" } };

describe("precreate releases a container whose specification has our createRuntime hook", () => {
  test.each([
    ["alone", { createRuntime: [OURS] }],
    ["after another", { createRuntime: [OTHER, OURS] }],
    ["before another", { createRuntime: [OURS, OTHER] }],
    ["beside hooks of other stages", { createRuntime: [OURS], otherHooks: { poststop: [OTHER] } }],
    ["beside other sysctls", { createRuntime: [OURS], annotations: { a: "b" }, env: ['A=\u001b"\\\n'] }],
  ])("%s", (_, parts) => {
    expect(runPrecreate(renderSpec(parts))).toBe(renderSpec({ ...parts, ...RELEASED }));
  });

  test("and keeps its other sysctls", () => {
    const sysctl = { "net.ipv4.ping_group_range": "0 0", [GATE_SYSCTL]: "0", "net.ipv4.ip_forward": "0" };
    const released = JSON.stringify(sysctl).replace(GATE_SYSCTL, RELEASED_SYSCTL);
    expect(runPrecreate(renderSpec({ createRuntime: [OURS], sysctl }))).toBe(
      renderSpec({ createRuntime: [OURS], sysctl: JSON.parse(released) }),
    );
  });
});

const asText = (hook: Hook) => JSON.stringify({ createRuntime: [hook] });

describe("precreate changes nothing in a specification", () => {
  test.each([
    ["without hooks", {}],
    ["with another's createRuntime hook alone", { createRuntime: [OTHER] }],
    ["with our hook in another stage", { otherHooks: { createContainer: [OURS] } }],
    [
      "with our hook of another container",
      { createRuntime: [hookOf("createRuntime", { ...PATHS, stateDirectory: `${PATHS.stateDirectory}2` })] },
    ],
    [
      "with our hook of another installation",
      { createRuntime: [hookOf("createRuntime", { ...PATHS, hookEntrypoint: "/tmp/hook.js" })] },
    ],
    ["with our hook less one argument", { createRuntime: [{ ...OURS, args: OURS.args.slice(0, -1) }] }],
    ["with our hook and one argument more", { createRuntime: [{ ...OURS, args: [...OURS.args, "x"] }] }],
    ["with our arguments for another program", { createRuntime: [{ ...OURS, path: "/bin/true" }] }],
    // What an image or the container's owner writes is text, and quotes in text are escaped.
    ["that names our hook in an environment variable", { env: [`A=${asText(OURS)}`, asText(OURS)] }],
    ["that names our hook in an annotation", { annotations: { a: asText(OURS), [asText(OURS)]: "a" } }],
    [
      "that names our hook in an annotation beside another's hook",
      { createRuntime: [OTHER], annotations: { a: JSON.stringify(OURS) } },
    ],
    [
      "that names our hook in an argument of another",
      { createRuntime: [{ ...OTHER, args: [asText(OURS)] }] },
    ],
    [
      "with an annotation for a createRuntime stage",
      { annotations: { createRuntime: JSON.stringify([OURS]) } },
    ],
    ["with an annotation like the gate's sysctl", { annotations: { [GATE_SYSCTL]: "0" } }],
    ["with the gate set to something else", { createRuntime: [OURS], sysctl: { [GATE_SYSCTL]: "1" } }],
    ["without the gate", { createRuntime: [OURS], sysctl: { "net.ipv4.ip_forward": "0" } }],
  ])("%s", (_, parts) => {
    const spec = renderSpec(parts);
    expect(runPrecreate(spec)).toBe(spec);
  });

  test("that is laid out over several lines", () => {
    const spec = JSON.stringify(JSON.parse(renderSpec({ createRuntime: [OURS] })), null, 2);
    expect(runPrecreate(spec)).toBe(spec);
  });
});

test("an annotation like the gate's sysctl does not keep the sysctl from being released", () => {
  const parts = { createRuntime: [OURS], annotations: { [GATE_SYSCTL]: "0" } };
  expect(JSON.parse(runPrecreate(renderSpec(parts))).linux.sysctl).toEqual({ [RELEASED_SYSCTL]: "0" });
});

const STATE = JSON.stringify({
  ociVersion: "1.0.0",
  id: "5fd1b8",
  pid: 4242,
  bundle: "/bundle",
  annotations: {
    pid: "1",
    star: "* $HOME `id` $(id) \"x\" \\ 'y'  two  spaces ; exit 0\n\u001b%s%n",
    nested: '"pid":7',
  },
});

describe("createRuntime", () => {
  /** Stands in for nsenter and node: notes what it was given, and says `says`. */
  function runCreateRuntime(says: string, state = STATE) {
    const directory = makeTemporaryDirectory();
    writeFiles(directory, {
      nsenter: `#!/bin/sh\nprintf '%s\\n' "$@" > ${directory}/arguments\ncat > ${directory}/state\n${says}\n`,
    });
    chmodSync(`${directory}/nsenter`, 0o700);
    const { path, args, env } = hookOf("createRuntime", { ...PATHS, nsenter: `${directory}/nsenter` });
    const { status } = spawnSync(path, args.slice(1), {
      cwd: "/",
      input: state,
      env: Object.fromEntries(env.map((pair) => pair.split("=", 2))),
    });
    return {
      status,
      arguments: readFileSync(`${directory}/arguments`, "utf8").split("\n"),
      state: readFileSync(`${directory}/state`, "utf8"),
    };
  }

  test("is shell that parses, without a character that JSON escapes", () => {
    const script = OURS.args[2] ?? "";
    execFileSync("/bin/sh", ["-n"], { input: script });
    expect(JSON.stringify(script)).toBe(`"${script}"`);
    expect(script).not.toMatch(/[<>&]/); // Go escapes these too.
  });

  test("enters the network namespace of the container's process and hands over the whole state", () => {
    expect(runCreateRuntime(`printf ${HOOK_DONE}4242`)).toEqual({
      status: 0,
      arguments: [
        "--target",
        "4242",
        "--net",
        "--",
        PATHS.node,
        PATHS.hookEntrypoint,
        "createRuntime",
        PATHS.stateDirectory,
        "",
      ],
      state: STATE,
    });
  });

  test.each([
    ["the hook says nothing", "exit 0"],
    ["the hook fails", "exit 1"],
    ["the hook speaks of another process", `printf ${HOOK_DONE}42`],
    ["the hook speaks without a process", `printf ${HOOK_DONE}`],
    ["the hook says more", `printf '${HOOK_DONE}4242 or not'`],
    ["the hook says something before", `printf 'x\\n${HOOK_DONE}4242'`],
    ["the hook says an operator of test", "printf ' -o x'"],
  ])("fails when %s", (_, says) => expect(runCreateRuntime(says).status).not.toBe(0));

  test.each([
    ["names no process", '{"ociVersion":"1.0.0","id":"x","annotations":{}}'],
    ["is no JSON", "hello"],
    ["is empty", ""],
    ["has no number for the process", '{"id":"x","pid":"a"}'],
  ])("fails when the state %s, whatever the hook says", (_, state) => {
    expect(runCreateRuntime(`printf ${HOOK_DONE}4242`, state).status).not.toBe(0);
  });
});
