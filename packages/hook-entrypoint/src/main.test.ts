import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ANNOTATION, HOOK_DONE } from "./contract.ts";
import { BUNDLE, CONTAINER_ID, mount, type StandInSpec, standInSpec } from "./stand-in-spec.ts";

const BUILT = new URL("../dist/terok-shield-hook.js", import.meta.url);
const isRoot = process.getuid?.() === 0;

let parent: string;
/** A directory with nothing in it but the hook. */
let hook: string;
beforeAll(() => {
  if (!existsSync(BUILT)) throw new Error("dist/terok-shield-hook.js is missing. Run npm run build first");
});
beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), "hook-")));
  mkdirSync(join(parent, "alone"));
  hook = join(parent, "alone", "terok-shield-hook.js");
  copyFileSync(BUILT, hook);
});
afterEach(() => rmSync(parent, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runHook(args: readonly string[], input: string | Buffer, netnsPid?: number): Outcome {
  const command = [process.execPath, hook, ...args];
  const entered =
    netnsPid === undefined ? command : ["nsenter", `--target=${netnsPid}`, "--net", "--", ...command];
  const { status, stdout, stderr } = spawnSync(entered[0] ?? "", entered.slice(1), {
    cwd: join(parent, "alone"),
    input,
    encoding: "utf8",
  });
  return { status, stdout, stderr: stderr.replaceAll(parent, "") };
}

const refused = (reason: string): Outcome => ({ status: 1, stdout: "", stderr: `terok-shield: ${reason}\n` });

const state = (change: object = {}) => ({
  ociVersion: "1.0",
  id: CONTAINER_ID,
  pid: process.pid,
  bundle: "/nowhere",
  status: "created",
  annotations: {},
  ...change,
});
const annotated = (directory: string) => ({ annotations: { [ANNOTATION.stateDirectory]: directory } });

describe("alone in an empty directory the hook refuses", () => {
  const NOT_JSON = "the OCI state on standard input is not JSON";
  const NO_DIRECTORY = "the annotation terok.shield.state_dir is missing";

  test.each<[string, string[], string | Buffer, string]>([
    ["nothing on standard input", ["createRuntime"], "", NOT_JSON],
    ["garbage", ["createRuntime"], "\0\u001b[2J\n\n", NOT_JSON],
    ["bytes that are no text", ["createRuntime"], Buffer.alloc(5000, 0xff), NOT_JSON],
    [
      "32 MiB",
      ["createRuntime"],
      Buffer.alloc(32 * 1024 * 1024, "["),
      "the OCI state on standard input is too long",
    ],
    [
      "a state with all of it in annotations",
      ["createRuntime"],
      JSON.stringify(state({ annotations: { a: "x".repeat(1024 * 1024) } })),
      "the OCI state on standard input is too long",
    ],
    ["a list", ["createRuntime"], "[]", "the OCI state on standard input is not a JSON object"],
    ["a state without id", ["createRuntime"], "{}", "the OCI state names no container id: nothing"],
    ["a state without our annotation", ["createRuntime"], JSON.stringify(state()), NO_DIRECTORY],
    ["the same at poststop", ["poststop"], JSON.stringify(state()), NO_DIRECTORY],
    ["garbage at poststop", ["poststop"], "garbage", NOT_JSON],
    [
      "an unknown stage",
      ["prestart", "/nowhere"],
      JSON.stringify(state()),
      '"prestart" is not a stage: createRuntime or poststop',
    ],
    [
      "no stage",
      [],
      JSON.stringify(state(annotated("/nowhere"))),
      "undefined is not a stage: createRuntime or poststop",
    ],
    [
      "a stage that would reach the terminal",
      ["\u001b[2J\n\u202e", "/nowhere"],
      JSON.stringify(state()),
      '"\\u001b[2J\\n\\u202e" is not a stage: createRuntime or poststop',
    ],
    [
      "a container without a process",
      ["createRuntime", "/nowhere"],
      JSON.stringify(state({ pid: 0 })),
      "the OCI state names no process",
    ],
    [
      "a state directory that is missing",
      ["createRuntime"],
      JSON.stringify(state(annotated("/nowhere"))),
      'the state directory "/nowhere" does not exist',
    ],
    [
      "a relative state directory",
      ["createRuntime"],
      JSON.stringify(state(annotated("alone"))),
      'the state directory "alone" is not an absolute path',
    ],
    [
      "an empty state directory",
      ["createRuntime"],
      JSON.stringify(state(annotated(""))),
      'the state directory "" is not an absolute path',
    ],
    [
      "the state directory of a process that is gone",
      ["createRuntime", "/nowhere"],
      JSON.stringify(state({ pid: 2 ** 30 })),
      'the state directory "/nowhere" does not exist',
    ],
  ])("%s", (_, args, input, reason) => {
    expect(runHook(args, input)).toEqual(refused(reason));
    expect(readdirSync(join(parent, "alone"))).toEqual(["terok-shield-hook.js"]);
  });

  test("a standard input that is closed", () => {
    const { status, stdout, stderr } = spawnSync(
      "/bin/sh",
      ["-c", 'exec "$@" <&-', "sh", process.execPath, hook, "createRuntime"],
      { encoding: "utf8" },
    );
    expect({ status, stdout, stderr }).toEqual(refused(NOT_JSON));
  });
});

test("poststop without helpers has nothing to do and nothing to say", () => {
  expect(runHook(["poststop", join(parent, "gone")], JSON.stringify(state({ pid: undefined })))).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
});

/** The namespaces alone need root; what runs in them is a shell. */
describe.skipIf(!isRoot)("in a container's network namespace the hook", () => {
  const RULESET = `table inet terok_shield
delete table inet terok_shield
table inet terok_shield {
  chain output { type filter hook output priority 0; policy drop; }
}
`;
  const LISTING = [
    '{"chain":{"family":"inet","hook":"output","name":"output","policy":"drop","prio":0,"table":"terok_shield","type":"filter"}}',
    '{"table":{"family":"inet","name":"terok_shield"}}',
  ];

  let container: ChildProcess;
  let directory: string;
  let userdata: string;
  const path = (name: string) => join(directory, name);

  beforeAll(async () => {
    container = spawn("unshare", ["--net", "sh", "-c", "echo ready; read _"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (container.stdout !== null) await once(container.stdout, "data");
  });
  afterAll(() => container.kill("SIGKILL"));

  beforeEach(() => {
    inContainer("nft", "flush", "ruleset");
    directory = join(parent, "containers", "web");
    userdata = join(parent, CONTAINER_ID, "userdata");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(userdata, { recursive: true });
    mkdirSync(join(parent, "root"));
    writeFileSync(join(userdata, "hosts"), "127.0.0.1 localhost\n");
    writeFiles({});
    writeSpec(() => {});
  });

  test("loads the rules, adds the names, says so in the log, and prints that it is done", () => {
    expect(run()).toEqual(done());
    expect(inContainer("nft", "list", "tables")).toBe("table inet terok_shield\n");
    expect(readFileSync(join(userdata, "hosts"), "utf8")).toBe(
      "127.0.0.1 localhost\n198.18.0.10 good.test\n",
    );
    expect(auditLog()).toEqual([
      expect.objectContaining({ container: "web", action: "setup", detail: "shield up, dig tier" }),
    ]);
    const record = JSON.parse(readFileSync(path("runtime.json"), "utf8")) as object;
    expect(record).toEqual({
      containerId: CONTAINER_ID,
      pid: container.pid,
      startTime: expect.stringMatching(/^\d+$/),
      networkNamespace: expect.any(Number),
      ownerPid: expect.any(Number),
      hostsFile: join(userdata, "hosts"),
    });
    expect(existsSync(path("refusal.txt"))).toBe(false);
  });

  test("enters the namespace itself when it was started outside", () => {
    const input = JSON.stringify(ociState());
    expect(runHook(["createRuntime"], input)).toEqual(done());
    expect(inContainer("nft", "list", "tables")).toBe("table inet terok_shield\n");
  });

  const sealed = (reason: string) =>
    `${reason} in /containers/web is not what prepare wrote. Run terok-shield prepare again`;
  const malformed = (place: string) => `the container's config.json is malformed: ${place}`;
  const HOST_NETWORK = "the container is in the host's network namespace";

  test.each<[string, () => void, string]>([
    [
      "a ruleset with one byte changed",
      () => writeFileSync(path("ruleset.nft"), RULESET.replace("drop", "dr0p")),
      sealed("ruleset.nft"),
    ],
    ["an empty ruleset", () => truncateSync(path("ruleset.nft")), sealed("ruleset.nft")],
    [
      "a ruleset that is missing",
      () => rmSync(path("ruleset.nft")),
      "/containers/web/ruleset.nft is missing. Run terok-shield prepare again",
    ],
    [
      "a listing with one byte changed",
      () => writeFileSync(path("listing.json"), JSON.stringify(LISTING).replace("drop", "drap")),
      sealed("listing.json"),
    ],
    [
      "a resolv.conf with one byte changed",
      () => writeFileSync(path("resolv.conf"), "nameserver 10.0.2.3\n"),
      sealed("resolv.conf"),
    ],
    [
      "a ruleset that loads nothing",
      () => writeFiles({ ruleset: "\n" }),
      "the kernel's rules are not what was loaded, at their end",
    ],
    [
      "rules of which the kernel shows more",
      () => writeFiles({ ruleset: `${RULESET}table ip other {}\n` }),
      'the kernel\'s rules are not what was loaded, at {"table":{"family":"ip","name":"other"}}',
    ],
    [
      "a listing that asks for nothing",
      () => writeFiles({ listing: "[]" }),
      `the kernel's rules are not what was loaded, at ${LISTING[0]}`,
    ],
    [
      "a listing of other rules",
      () => writeFiles({ listing: JSON.stringify(LISTING).replace("drop", "accept") }),
      `the kernel's rules are not what was loaded, at ${LISTING[0]}`,
    ],
    [
      "a ruleset and a listing that are both empty",
      () => writeFiles({ ruleset: "\n", listing: "[]" }),
      "the kernel's rules are not what was loaded, at their end",
    ],
    [
      "another version",
      () => writeFiles({ version: 2 }),
      "the bundle has version 2, this hook reads 1. Run terok-shield prepare again",
    ],
    [
      "another container's bundle",
      () => writeFiles({ container: "dev" }),
      "the bundle /containers/web belongs to another container",
    ],
    ["a manifest cut short", () => truncateSync(path("bundle.json"), 40), "bundle.json is not JSON"],
    [
      "a directory that others may read",
      () => chmodSync(directory, 0o755),
      'the state directory "/containers/web" is open to others',
    ],
    [
      "a directory that others may write to",
      () => chmodSync(directory, 0o770),
      'the state directory "/containers/web" is writable by others',
    ],
    [
      "no nft",
      () => writeFiles({ programs: { nft: "/nowhere/nft" } }),
      "/nowhere/nft could not be run: spawnSync /nowhere/nft ENOENT",
    ],
    [
      "an nft that fails",
      () => writeFiles({ programs: { nft: program("echo 'no such thing' >&2; exit 3") } }),
      '/program failed (exit 3): "no such thing"',
    ],
    [
      "an nft that lists no JSON",
      () => writeFiles({ programs: { nft: program("cat > /dev/null") } }),
      "nft did not list the rules as JSON",
    ],
    [
      "a config.json that is missing",
      () => rmSync(join(userdata, "config.json")),
      `"/${CONTAINER_ID}/userdata/config.json" cannot be read: ENOENT: no such file or directory, open '/${CONTAINER_ID}/userdata/config.json'`,
    ],
    [
      "a config.json that is empty",
      () => truncateSync(join(userdata, "config.json")),
      "the container's config.json is not JSON",
    ],
    ["mounts that are a number", () => spoilSpec({ mounts: 5 }), malformed("mounts is not a list")],
    [
      "namespaces that are an object",
      () => spoilSpec({ linux: { namespaces: {} } }),
      malformed("linux.namespaces is not a list"),
    ],
    [
      "capabilities that are text",
      () => spoilSpec({ process: { capabilities: "x" } }),
      malformed("process.capabilities is not an object"),
    ],
    [
      "options that are null",
      () => spoilSpec({ mounts: [{ destination: "/", options: null }] }),
      malformed("mounts[0].options is not a list"),
    ],
    ["the host's network", () => writeSpec(({ linux }) => linux.namespaces.splice(1, 1)), HOST_NETWORK],
    [
      "NET_ADMIN and the host's /proc",
      () =>
        writeSpec(({ process: { capabilities }, mounts }) => {
          capabilities?.bounding?.push("CAP_NET_ADMIN");
          mounts.push(mount("/host-proc", "bind", "/proc", "rbind", "ro"));
        }),
      "the container holds CAP_NET_ADMIN, with which it could undo its shield; " +
        'the mount of "/proc" hands over the host\'s kernel interfaces',
    ],
    [
      "its own bundle as a writable mount",
      () => writeSpec(({ mounts }) => mounts.push(mount("/bundle", "bind", directory, "rbind"))),
      'the mount of "/containers/web" lets the container write to /containers, and so to its own shield',
    ],
    [
      "an /etc/hosts that is not podman's",
      () => writeSpec(({ mounts }) => mounts.push(mount("/etc/hosts", "bind", "/etc/hosts", "bind"))),
      "/etc/hosts is not podman's, so the allowed names cannot be added. Drop --no-hosts or the mount over it",
    ],
  ])("refuses %s", (_, spoil, reason) => {
    spoil();
    expect(run()).toEqual(refused(reason));
  });

  test.each<[string, (annotations: Record<string, string>) => void, string]>([
    [
      "of another directory",
      (annotations) => {
        annotations[ANNOTATION.stateDirectory] = "/nowhere";
      },
      'the annotation terok.shield.state_dir is "/nowhere", not /containers/web',
    ],
    [
      "of another version",
      (annotations) => {
        annotations[ANNOTATION.version] = "2";
      },
      'the annotation terok.shield.version is "2", this hook is of version 1',
    ],
    [
      "of no version",
      (annotations) => {
        delete annotations[ANNOTATION.version];
      },
      "the annotation terok.shield.version is undefined, this hook is of version 1",
    ],
    [
      "of another name",
      (annotations) => {
        annotations[ANNOTATION.name] = "dev";
      },
      "the bundle /containers/web belongs to another container",
    ],
  ])("refuses annotations %s", (_, change, reason) => {
    const annotations = { ...ociState().annotations };
    change(annotations);
    expect(run({ annotations })).toEqual(refused(reason));
  });

  test("refuses a state directory that is a symbolic link", () => {
    const link = join(parent, "web");
    symlinkSync(directory, link);
    expect(runHook(["createRuntime", link], JSON.stringify(ociState()), container.pid)).toEqual(
      refused('the state directory "/web" is really "/containers/web"; symbolic links are not followed'),
    );
  });

  test("refuses a bundle that was moved to another name", () => {
    const moved = join(parent, "containers", "dev");
    renameSync(directory, moved);
    const annotations = { ...ociState().annotations, [ANNOTATION.stateDirectory]: moved };
    const input = JSON.stringify(ociState({ annotations }));
    expect(runHook(["createRuntime", moved], input, container.pid)).toEqual(
      refused("the bundle /containers/dev belongs to another container"),
    );
  });

  test("refuses a container in the network namespace of whoever starts it", () => {
    expect(runHook(["createRuntime", directory], JSON.stringify(ociState({ pid: process.pid })))).toEqual(
      refused(HOST_NETWORK),
    );
  });

  test("refuses a network namespace in which another container runs", async () => {
    const other = spawn(
      "nsenter",
      [`--target=${container.pid}`, "--net", "unshare", "--pid", "--fork", "sh", "-c", "echo $$; read _"],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    try {
      await once(other.stdout, "data");
      expect(run()).toEqual({
        ...refused(""),
        stderr: expect.stringMatching(
          /^terok-shield: process \d+ of another container is in the same network namespace\n$/,
        ),
      });
    } finally {
      other.stdin.end();
      await once(other, "exit");
    }
  });

  test("leaves the reason in the bundle for whoever started the container", () => {
    writeFiles({ container: "dev" });
    const { stderr } = run();
    const told = readFileSync(path("refusal.txt"), "utf8").replaceAll(parent, "");
    expect(stderr).toBe(`terok-shield: ${told}`);
    expect(auditLog()).toEqual([
      expect.objectContaining({
        container: "web",
        action: "error",
        detail: `the bundle ${directory} belongs to another container`,
      }),
    ]);
  });

  function run(change: object = {}): Outcome {
    return runHook(["createRuntime", directory], JSON.stringify(ociState(change)), container.pid);
  }

  function done(): Outcome {
    return { status: 0, stdout: `${HOOK_DONE}${container.pid}`, stderr: "" };
  }

  function ociState(change: object = {}) {
    return {
      ...state(),
      pid: container.pid,
      bundle: userdata,
      annotations: {
        [ANNOTATION.stateDirectory]: directory,
        [ANNOTATION.version]: "1",
        [ANNOTATION.name]: "web",
        [ANNOTATION.auditEnabled]: "true",
      },
      ...change,
    };
  }

  interface Content {
    readonly ruleset?: string;
    readonly listing?: string;
    readonly version?: number;
    readonly container?: string;
    readonly programs?: object;
  }

  /** The bundle of a static tier, sealed as prepare does it. */
  function writeFiles({
    ruleset = RULESET,
    listing = JSON.stringify(LISTING),
    programs,
    ...rest
  }: Content): void {
    const files: Record<string, string> = {
      "ruleset.nft": ruleset,
      "listing.json": listing,
      "resolv.conf": "nameserver 127.0.0.1\n",
      hosts: "198.18.0.10 good.test\n",
    };
    const manifest = {
      version: 1,
      container: "web",
      dns: { tier: "dig" },
      table: { family: "inet", name: "terok_shield" },
      programs: { nft: which("nft"), nsenter: which("nsenter"), setpriv: which("setpriv"), ...programs },
      protectedPaths: { unwritable: [join(parent, "containers")], unreachable: [] },
      trustedMounts: [],
      files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, digest(content)])),
      ...rest,
    };
    const bundle = { manifest, digest: digest(JSON.stringify(manifest)) };
    for (const [name, content] of Object.entries({ ...files, "bundle.json": JSON.stringify(bundle) })) {
      writeFileSync(path(name), content, { mode: 0o600 });
    }
  }

  /** Podman's specification with the paths of this test. */
  function writeSpec(change: (spec: StandInSpec) => void): void {
    const spec = standInSpec();
    spec.root.path = join(parent, "root");
    spec.linux.namespaces = spec.linux.namespaces.map(({ type }) => ({ type }));
    spec.mounts = spec.mounts.flatMap((entry) => {
      if (entry.type !== "bind") return [entry];
      if (entry.destination === "/etc/hosts") return [{ ...entry, source: join(userdata, "hosts") }];
      return entry.source.startsWith(BUNDLE) ? [{ ...entry, source: path("resolv.conf") }] : [];
    });
    change(spec);
    writeFileSync(join(userdata, "config.json"), JSON.stringify(spec));
  }

  function spoilSpec(part: object): void {
    writeFileSync(join(userdata, "config.json"), JSON.stringify({ ...standInSpec(), ...part }));
  }

  function program(script: string): string {
    writeFileSync(join(parent, "program"), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
    return join(parent, "program");
  }

  function auditLog(): unknown[] {
    const lines = readFileSync(path("audit.jsonl"), "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line));
  }

  function inContainer(...command: string[]): string {
    return execFileSync("nsenter", [`--target=${container.pid}`, "--net", "--", ...command], {
      encoding: "utf8",
    });
  }
});

function which(program: string): string {
  const environment = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return execFileSync("/bin/sh", ["-c", `command -v ${program}`], {
    encoding: "utf8",
    env: environment,
  }).trim();
}

function digest(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}
