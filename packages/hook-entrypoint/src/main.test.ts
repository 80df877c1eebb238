import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  enterNetwork,
  holdNetwork,
  installHook,
  type Outcome,
  runOn,
  which,
  writeBundle,
} from "../testing/hook-lab.ts";
import { LISTING, RULESET, specOf, staticFiles } from "../testing/prepared-start.ts";
import { ANNOTATION, HOOK_DONE, type RuntimeRecord } from "./contract.ts";
import { namespaceInode, readStartTime } from "./network-namespace.ts";
import { CONTAINER_ID, mount, type StandInSpec, standInSpec } from "./stand-in-spec.ts";

const isRoot = process.getuid?.() === 0;
/** Where every hook of these tests runs: one that is broken then loads its rules here, and not into the machine's network. */
const host = isRoot ? await holdNetwork() : undefined;
afterAll(() => host?.kill("SIGKILL"));

let parent: string;
let hook: string;
beforeEach(() => {
  ({ parent, hook } = installHook());
});
afterEach(() => rmSync(parent, { recursive: true }));

/** @param entry what enters the container's network namespace, when the runtime has done so */
function runHook(args: readonly string[], input: string | Buffer, entry: readonly string[] = []): Outcome {
  const command = [...entry, process.execPath, hook, ...args];
  return runOn(host, command, { cwd: join(parent, "alone"), input });
}

const refused = (reason: string): Outcome => ({ status: 1, stdout: "", stderr: `terok-shield: ${reason}\n` });

const state = (change: object = {}) => ({
  ociVersion: "1.0",
  id: CONTAINER_ID,
  pid: host?.pid ?? process.pid,
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
    ["an unknown stage", ["prestart", "/nowhere"], JSON.stringify(state()), '"prestart" is not a stage'],
    ["no stage", [], JSON.stringify(state(annotated("/nowhere"))), "undefined is not a stage"],
    [
      "a stage that would reach the terminal",
      ["\u001b[2J\n\u202e", "/nowhere"],
      JSON.stringify(state()),
      '"\\u001b[2J\\n\\u202e" is not a stage',
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
    expect(readdirSync(join(parent, "alone"))).toEqual(["terok-shield-hook.cjs"]);
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

describe("poststop", () => {
  const OTHER_ID = "f".repeat(64);
  const silence = { status: 0, stdout: "", stderr: "" };
  let directory: string;
  let helper: ChildProcess;

  beforeEach(async () => {
    directory = join(parent, "web");
    mkdirSync(directory, { mode: 0o700 });
    helper = await spawnHelper(directory);
  });
  afterEach(() => helper.kill("SIGKILL"));

  test("ends what serves the container", () => {
    expect(poststop([directory])).toEqual(silence);
    expect(isThere(helper)).toBe(false);
  });

  test("without a bundle or helpers has nothing to do and nothing to say", () => {
    expect(poststop([join(parent, "gone")])).toEqual(silence);
    expect(isThere(helper)).toBe(true);
  });

  test("comes late, to a container that was replaced by another of its name, and leaves that alone", () => {
    writeRecord({ ...recordOf(process.pid), containerId: OTHER_ID });
    expect(poststop([directory])).toEqual(silence);
    expect(isThere(helper)).toBe(true);
  });

  test.each<[string, Partial<RuntimeRecord>]>([
    ["of an older run of the same container", { pid: 2 ** 22 }],
    ["of another container, which has ended", { containerId: OTHER_ID, startTime: "1" }],
    ["of another container, whose pid came round again", { containerId: OTHER_ID, networkNamespace: 1 }],
  ])("is not held up by a record %s", (_, change) => {
    writeRecord({ ...recordOf(process.pid), ...change });
    expect(poststop([directory])).toEqual(silence);
    expect(isThere(helper)).toBe(false);
  });

  describe("with the directory in an annotation, which an image may bring,", () => {
    const byAnnotation = (annotation = directory) => poststop([], annotated(annotation));

    test("ends what serves the container of the record", () => {
      writeRecord(recordOf(process.pid));
      expect(byAnnotation()).toEqual(silence);
      expect(isThere(helper)).toBe(false);
    });

    test.each<[string, () => void]>([
      ["there is no record", () => {}],
      [
        "another container runs there",
        () => writeRecord({ ...recordOf(process.pid), containerId: OTHER_ID }),
      ],
      [
        "another container ran there",
        () => writeRecord({ ...recordOf(2 ** 22, "1"), containerId: OTHER_ID }),
      ],
      [
        "others may write there",
        () => {
          writeRecord(recordOf(process.pid));
          chmodSync(directory, 0o777);
        },
      ],
    ])("ends nothing when %s", (_, prepare) => {
      prepare();
      expect(byAnnotation()).toEqual(silence);
      expect(isThere(helper)).toBe(true);
    });
  });

  function poststop(args: readonly string[], change: object = {}): Outcome {
    return runHook(["poststop", ...args], JSON.stringify(state({ pid: undefined, ...change })));
  }

  function writeRecord(record: RuntimeRecord): void {
    writeFileSync(join(directory, "runtime.json"), JSON.stringify(record), { mode: 0o600 });
  }
});

function recordOf(pid: number, startTime = readStartTime(process.pid)): RuntimeRecord {
  const networkNamespace = namespaceInode(process.pid, "net") ?? 0;
  return { containerId: CONTAINER_ID, pid, startTime, networkNamespace, ownerPid: process.pid };
}

/** What looks like the dnsmasq of a bundle. */
async function spawnHelper(directory: string): Promise<ChildProcess> {
  const args = ["-c", "echo ready; read line", "x", `--conf-file=${directory}/dnsmasq.conf`];
  const helper = spawn("/bin/sh", args, { argv0: "dnsmasq", stdio: ["pipe", "pipe", "inherit"] });
  await once(helper.stdout, "data");
  return helper;
}

/** One that has ended and was not reaped yet has no command line any more. */
function isThere({ pid }: ChildProcess): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
}

/** The namespaces alone need root; what runs in them is a shell. */
describe.skipIf(!isRoot)("in a container's network namespace the hook", () => {
  let container: ChildProcess;
  let directory: string;
  let userdata: string;
  const path = (name: string) => join(directory, name);

  beforeAll(async () => {
    container = await holdNetwork(host === undefined ? [] : enterNetwork(host));
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

  test("comes up the same when two hooks fire in one start", () => {
    expect([run(), run()]).toEqual([done(), done()]);
    expect(inContainer("nft", "list", "tables")).toBe("table inet terok_shield\n");
    expect(readFileSync(join(userdata, "hosts"), "utf8")).toBe(
      "127.0.0.1 localhost\n198.18.0.10 good.test\n",
    );
  });

  test("ends what an earlier run left behind", async () => {
    const helper = await spawnHelper(directory);
    expect(run()).toEqual(done());
    expect(isThere(helper)).toBe(false);
  });

  test("enters the namespace itself when it was started outside", () => {
    const input = JSON.stringify(ociState());
    expect(runHook(["createRuntime"], input)).toEqual(done());
    expect(inContainer("nft", "list", "tables")).toBe("table inet terok_shield\n");
  });

  test("refuses a bundle with which another container runs, and leaves what serves that alone", async () => {
    const helper = await spawnHelper(directory);
    const record = { ...recordOf(process.pid), containerId: "f".repeat(64) };
    writeFileSync(path("runtime.json"), JSON.stringify(record), { mode: 0o600 });
    expect(run()).toEqual(refused("the container ffffffffffff already runs with the bundle /containers/web"));
    expect(isThere(helper)).toBe(true);
    helper.kill("SIGKILL");
  });

  test("refuses a container that is not the bundle's, and leaves what serves that alone", async () => {
    const helper = await spawnHelper(directory);
    writeSpec((spec) => {
      spec.mounts = spec.mounts.filter(({ destination }) => destination !== "/etc/resolv.conf");
    });
    expect(runHook(["createRuntime"], JSON.stringify(ociState()), enterNetwork(container))).toEqual(
      refused("/etc/resolv.conf is not the shield's; drop the option that changes it"),
    );
    expect(isThere(helper)).toBe(true);
    helper.kill("SIGKILL");
  });

  test("refuses when the policy changes while it is at work", () => {
    writeFiles({ programs: { nft: program(`echo >> ${path("bundle.json")}; exec ${which("nft")} "$@"`) } });
    expect(run()).toEqual(refused("its policy changed during the start. Start it again"));
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
    [
      "a state that is newer than what was made from it",
      () => appendFileSync(path("state.json"), " "),
      "state.json in /containers/web is not what its bundle was made from. Run terok-shield up --repair web",
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
      "/nowhere/nft could not be run: spawn /nowhere/nft ENOENT",
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
    expect(runHook(["createRuntime", link], JSON.stringify(ociState()), enterNetwork(container))).toEqual(
      refused('the state directory "/web" is really "/containers/web"; symbolic links are not followed'),
    );
  });

  test("refuses a bundle that was moved to another name", () => {
    const moved = join(parent, "containers", "dev");
    renameSync(directory, moved);
    const annotations = { ...ociState().annotations, [ANNOTATION.stateDirectory]: moved };
    const input = JSON.stringify(ociState({ annotations }));
    expect(runHook(["createRuntime", moved], input, enterNetwork(container))).toEqual(
      refused("the bundle /containers/dev belongs to another container"),
    );
  });

  test("refuses a container in the network namespace of whoever starts it", () => {
    expect(runHook(["createRuntime", directory], JSON.stringify(ociState({ pid: host?.pid })))).toEqual(
      refused(HOST_NETWORK),
    );
  });

  test("refuses when the network of whoever starts it cannot be looked at", () => {
    const hidden = ["unshare", "--pid", "--fork", "--kill-child"];
    expect(
      runHook(["createRuntime", directory], JSON.stringify(ociState()), [
        ...hidden,
        ...enterNetwork(container),
      ]),
    ).toEqual(refused("the network namespace of process 0, which started the hook, cannot be looked at"));
  });

  test("refuses a network namespace in which another container runs", async () => {
    const other = spawn(
      "nsenter",
      [...enterNetwork(container).slice(1), "unshare", "--pid", "--fork", "sh", "-c", "echo $$; read _"],
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

  test("leaves the reason in a bundle that an annotation names, and in no other directory", () => {
    const startAnnotated = (annotation: string) => {
      const annotations = { ...ociState().annotations, [ANNOTATION.stateDirectory]: annotation };
      return runHook(["createRuntime"], JSON.stringify(ociState({ annotations })), enterNetwork(container));
    };
    writeFiles({ container: "dev" });
    const { stderr } = startAnnotated(directory);
    expect(stderr).toBe(`terok-shield: ${readFileSync(path("refusal.txt"), "utf8").replaceAll(parent, "")}`);
    const other = join(parent, "keys");
    mkdirSync(other, { mode: 0o700 });
    expect(startAnnotated(other)).toEqual(
      refused("/keys/bundle.json is missing. Run terok-shield prepare again"),
    );
    expect(readdirSync(other)).toEqual([]);
  });

  describe("asked about a container without a shield", () => {
    const OTHER_ID = "f".repeat(64);
    const silence = { status: 0, stdout: "", stderr: "" };
    const ask = (pid: number | undefined, id = OTHER_ID) =>
      runHook(["refuseJoiner", directory], JSON.stringify(state({ id, pid })));

    beforeEach(() => {
      expect(run()).toEqual(done());
    });

    test("refuses it in the network of the shielded one, and says so in the log", () => {
      const reason =
        "the container ffffffffffff would be in the shielded container's network, where it might undo the shield";
      expect(ask(container.pid)).toEqual(refused(reason));
      expect(auditLog().at(-1)).toEqual(
        expect.objectContaining({ container: "web", action: "error", detail: reason }),
      );
    });

    test.each<[string, () => Outcome]>([
      ["in another network", () => ask(host?.pid)],
      ["that has gone meanwhile", () => ask(2 ** 22)],
      ["that is the shielded one", () => ask(container.pid, CONTAINER_ID)],
      [
        "when the shielded one has ended",
        () => {
          const record = JSON.parse(readFileSync(path("runtime.json"), "utf8"));
          writeFileSync(path("runtime.json"), JSON.stringify({ ...record, startTime: "1" }));
          return ask(container.pid);
        },
      ],
      [
        "when the record is not ours alone",
        () => {
          chmodSync(path("runtime.json"), 0o666);
          return ask(container.pid);
        },
      ],
    ])("lets one start %s", (_, act) => {
      const before = auditLog();
      expect(act()).toEqual(silence);
      expect(auditLog()).toEqual(before);
    });
  });

  function run(change: object = {}): Outcome {
    return runHook(["createRuntime", directory], JSON.stringify(ociState(change)), enterNetwork(container));
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

  /** The bundle of a static tier. */
  function writeFiles({ ruleset, listing, programs, ...manifest }: Content): void {
    const files = staticFiles({
      ...(ruleset === undefined ? {} : { ruleset }),
      ...(listing === undefined ? {} : { listing }),
    });
    const usual = { nft: which("nft"), nsenter: which("nsenter"), setpriv: which("setpriv") };
    writeBundle(directory, files, { programs: { ...usual, ...programs }, ...manifest });
  }

  /** Podman's specification with the paths of this test. */
  function writeSpec(change: (spec: StandInSpec) => void): void {
    const spec = specOf({ parent, directory, userdata });
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
    const [file = "", ...args] = [...enterNetwork(container), ...command];
    return execFileSync(file, args, { encoding: "utf8" });
  }
});
