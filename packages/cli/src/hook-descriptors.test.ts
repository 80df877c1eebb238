import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync } from "node:fs";
import { ANNOTATION, GATE_SYSCTL, HOOK_DONE, RELEASED_SYSCTL } from "@terok-shield/hook-entrypoint/contract";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../testing/temporary-directory.ts";
import {
  type GlobalHookPaths,
  type HookPaths,
  renderGlobalHookDescriptors,
  renderHookDescriptors,
} from "./hook-descriptors.ts";

const PATHS: HookPaths = {
  node: "/usr/bin/node",
  nsenter: "/usr/bin/nsenter",
  sed: "/usr/bin/sed",
  hookEntrypoint: "/opt/terok-shield/terok-shield-hook.cjs",
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

const { stateDirectory, ...PROGRAMS } = PATHS;
const GLOBAL_PATHS: GlobalHookPaths = {
  ...PROGRAMS,
  stateDirectories: ["/home/me/.local/state/terok/shield"],
};

function globalHookOf(stage: Stage | "joiner", paths = GLOBAL_PATHS): Hook {
  const file = renderGlobalHookDescriptors(paths)[`terok-shield-${stage}.json`] ?? "";
  return (JSON.parse(file) as { hook: Hook }).hook;
}

describe("the hooks directory for all containers", () => {
  test("holds the same stages, for whoever has our annotation, and one more for everybody", async () => {
    const files = Object.entries(renderGlobalHookDescriptors(GLOBAL_PATHS));
    const text = files.map(([name, content]) => `== ${name}\n${content}`).join("");
    await expect(text).toMatchFileSnapshot("../golden/global-hooks.txt");
  });

  test("is replaced file by file by a container's own, so that no two of a stage fire", () => {
    const names = Object.keys(renderGlobalHookDescriptors({ ...GLOBAL_PATHS, stateDirectories: [] }));
    expect(names).toEqual(Object.keys(renderHookDescriptors(PATHS)));
  });

  test("matches our annotation, and not one that is like it", () => {
    const files = Object.values(
      renderGlobalHookDescriptors({ ...GLOBAL_PATHS, stateDirectories: [] }),
    ) as string[];
    for (const file of files) {
      const { when } = JSON.parse(file) as { when: { annotations: Record<string, string> } };
      const [[pattern = "", value = ""] = []] = Object.entries(when.annotations);
      const matching = [
        ANNOTATION.stateDirectory,
        "terok-shield.state_dir",
        "xterok.shield.state_dir",
        "terok.shield.state_dir2",
      ];
      expect(matching.filter((key) => new RegExp(pattern).test(key))).toEqual([ANNOTATION.stateDirectory]);
      expect(new RegExp(value).test("")).toBe(true);
    }
  });

  test("names each program by its absolute path, and none finds anything by the user's PATH", () => {
    for (const stage of ["precreate", "createRuntime", "poststop", "joiner"] as const) {
      expect(globalHookOf(stage)).toMatchObject({
        path: expect.stringMatching(/^\//),
        env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      });
    }
  });

  test("releases a container that has the createRuntime hook for all, and none that has another's own", () => {
    const { path, args } = globalHookOf("precreate");
    const release = (createRuntime: Hook) => {
      const input = renderSpec({ createRuntime: [createRuntime] });
      return execFileSync(path, args.slice(1), { input, encoding: "utf8", env: {} }) !== input;
    };
    const released = [globalHookOf("createRuntime"), OURS, globalHookOf("joiner"), OTHER].map(release);
    expect(released).toEqual([true, false, false, false]);
    const [own, input] = [
      hookOf("precreate"),
      renderSpec({ createRuntime: [globalHookOf("createRuntime")] }),
    ];
    expect(execFileSync(own.path, own.args.slice(1), { input, encoding: "utf8", env: {} })).toBe(input);
  });
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
  function runCreateRuntime(
    says: string,
    state = STATE,
    find: (nsenter: string) => Hook = (nsenter) => hookOf("createRuntime", { ...PATHS, nsenter }),
  ) {
    const directory = makeTemporaryDirectory();
    writeFiles(directory, {
      nsenter: `#!/bin/sh\nprintf '%s\\n' "$@" > ${directory}/arguments\ncat > ${directory}/state\n${says}\n`,
    });
    chmodSync(`${directory}/nsenter`, 0o700);
    const { path, args, env } = find(`${directory}/nsenter`);
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

  test("of all containers leaves the state directory to the annotation", () => {
    const find = (nsenter: string) => globalHookOf("createRuntime", { ...GLOBAL_PATHS, nsenter });
    expect(runCreateRuntime(`printf ${HOOK_DONE}4242`, STATE, find)).toEqual({
      status: 0,
      arguments: ["--target", "4242", "--net", "--", PATHS.node, PATHS.hookEntrypoint, "createRuntime", ""],
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

describe("a container that is not shielded", () => {
  interface Case {
    readonly records?: Record<string, string>;
    readonly state?: string;
    readonly verdict?: number;
    readonly roots?: readonly string[];
  }

  /** @returns the exit code, and the bundles that Node was asked about */
  function runJoiner({ records = {}, state = stateOf(process.pid), verdict = 1, roots = ["shield"] }: Case) {
    const directory = makeTemporaryDirectory();
    writeFiles(directory, {
      node: `#!/bin/sh\nshift; printf '%s\\n' "$@" >> ${directory}/asked\ncat >> ${directory}/state\nexit ${verdict}\n`,
      ...Object.fromEntries(
        Object.entries(records).map(([bundle, record]) => [`${bundle}/runtime.json`, record]),
      ),
      asked: "",
      state: "",
    });
    chmodSync(`${directory}/node`, 0o700);
    const { path, args, env } = globalHookOf("joiner", {
      ...GLOBAL_PATHS,
      node: `${directory}/node`,
      stateDirectories: roots.map((root) => `${directory}/${root}`),
    });
    const { status, stderr } = spawnSync(path, args.slice(1), {
      cwd: "/",
      input: state,
      encoding: "utf8",
      env: Object.fromEntries(env.map((pair) => pair.split("=", 2))),
    });
    const asked = readFileSync(`${directory}/asked`, "utf8")
      .replaceAll(`${directory}/`, "")
      .trim()
      .split("\n");
    return { status, stderr, asked, state: readFileSync(`${directory}/state`, "utf8") };
  }

  const stateOf = (pid: number | string, annotations: object = {}) =>
    `{"ociVersion":"1.0","id":"5fd1b8","pid":${pid},"bundle":"/bundle","annotations":${JSON.stringify(annotations)}}`;
  const recordOf = (pid: number | string) => `{"containerId":"pid","pid":${pid},"startTime":"5"}\n`;
  const free = { status: 0, stderr: "", asked: [""], state: "" };

  test("does not start when Node finds it in the network of one that is", () => {
    expect(
      runJoiner({
        records: {
          "shield/containers/dev": recordOf(1073741824),
          "shield/containers/web": recordOf(process.pid),
        },
      }),
    ).toEqual({
      status: 1,
      stderr: "",
      asked: ["refuseJoiner", "shield/containers/web"],
      state: stateOf(process.pid),
    });
  });

  test("starts when Node says that it only seems so", () => {
    const records = { "shield/containers/web": recordOf(process.pid) };
    expect(runJoiner({ records, verdict: 0 })).toMatchObject({
      status: 0,
      asked: ["refuseJoiner", "shield/containers/web"],
    });
  });

  test("is looked for in every state directory", () => {
    const records = { "b/containers/web": recordOf(process.pid) };
    expect(runJoiner({ records, roots: ["a", "b"] }).asked).toEqual(["refuseJoiner", "b/containers/web"]);
  });

  test.each<[string, Case]>([
    ["no shield exists", {}],
    ["no shielded container runs", { records: { "shield/containers/web": recordOf(1073741824) } }],
    ["a record is empty", { records: { "shield/containers/web": "" } }],
    ["a record is damaged", { records: { "shield/containers/web": "\0\u001b{" } }],
    ["a record names no process", { records: { "shield/containers/web": recordOf('"x"') } }],
    ["its own state names none", { records: { "shield/containers/web": recordOf('""') }, state: "{}" }],
    ["its own state is empty", { records: { "shield/containers/web": "{}" }, state: "" }],
    ["another file has the record's name", { records: { "shield/containers/web/runtime.json": "x" } }],
  ])("starts without Node when %s", (_, input) => {
    expect(runJoiner(input)).toEqual(free);
  });

  describe.skipIf(process.getuid?.() !== 0)("in a network of its own", () => {
    test("starts without Node", async () => {
      const other = spawn("unshare", ["--net", "sh", "-c", "echo ready; read line"]);
      await once(other.stdout, "data");
      const records = { "shield/containers/web": recordOf(other.pid ?? 0) };
      expect(runJoiner({ records })).toEqual(free);
      expect(runJoiner({ records, state: stateOf(other.pid ?? 0) }).status).toBe(1);
      other.kill("SIGKILL");
    });
  });

  test("is one that has not our annotation, whatever else its annotations say", () => {
    const records = { "shield/containers/web": recordOf(process.pid) };
    const statusWith = (annotations: object) =>
      runJoiner({ records, state: stateOf(process.pid, annotations) }).status;
    expect(statusWith({ [ANNOTATION.stateDirectory]: "/x" })).toBe(0);
    expect(statusWith({ a: "b", [ANNOTATION.stateDirectory]: "/x" })).toBe(0);
    expect(statusWith({ x: ANNOTATION.stateDirectory })).toBe(1);
    expect(statusWith({ x: `"${ANNOTATION.stateDirectory}":"/x"` })).toBe(1);
    expect(statusWith({ [`"${ANNOTATION.stateDirectory}`]: "/x" })).toBe(1);
    expect(statusWith({ a: "b", [`,"${ANNOTATION.stateDirectory}`]: "/x" })).toBe(1);
    expect(statusWith({ [`${ANNOTATION.stateDirectory}2`]: "/x", '"pid":1': '"pid":1' })).toBe(1);
  });
});
