import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  digest,
  enterNetwork,
  holdNetwork,
  installHook,
  type Outcome,
  runOn,
  which,
  writeBundle,
} from "../testing/hook-lab.ts";
import { ANNOTATION, type ResolverReply, type ResolverStage } from "./contract.ts";
import { findHelpers } from "./helper-process.ts";
import { findMarker, MARKER_ZONE, renderMarker } from "./marker.ts";
import { BUNDLE, CONTAINER_ID, standInSpec } from "./stand-in-spec.ts";

const SETS = ["dns_v4", "dns_v6", "dns_1_v4", "dns_1_v6"];
const RULESET = `create table inet terok_shield
table inet terok_shield {
${SETS.map((set) => `set ${set} { type ip${set.at(-1)}_addr; flags timeout; timeout 30m; }`)
  .join("\n")
  .replaceAll("ip6", "ipv6")
  .replaceAll("ip4", "ipv4")}
}
`;
const LISTING = [
  ...SETS.map((name) =>
    JSON.stringify({
      set: {
        family: "inet",
        flags: ["timeout"],
        name,
        table: "terok_shield",
        timeout: 1800,
        type: name.endsWith("4") ? "ipv4_addr" : "ipv6_addr",
      },
    }),
  ).sort(),
  '{"table":{"family":"inet","name":"terok_shield"}}',
];
/** The upstream resolver of the container's, in its own network namespace. */
const UPSTREAM = "127.0.0.1#5300";
const open = (...names: string[]) => names.map((name) => `server=/${name}/${UPSTREAM}\n`).join("");

describe.skipIf(process.getuid?.() !== 0)("the resolver of a container", () => {
  let host: ChildProcess;
  let container: ChildProcess;
  let upstream: ChildProcess;
  let parent: string;
  let hook: string;
  let directory: string;
  const path = (name: string) => join(directory, name);

  beforeEach(async () => {
    ({ parent, hook } = installHook());
    directory = join(parent, "containers", "web");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    host = await holdNetwork();
    container = await holdNetwork(enterNetwork(host));
    upstream = startUpstream();
    writeFiles({});
    expect(start()).toEqual({ status: 0, stdout: expect.any(String), stderr: "" });
  });
  afterEach(() => {
    for (const pid of findHelpers(directory)) process.kill(pid, "SIGKILL");
    for (const child of [upstream, container, host]) child.kill("SIGKILL");
    rmSync(parent, { recursive: true });
  });

  describe("when the container starts", () => {
    test("follows the names of the bundle, and a marker that carries the policy's revision", () => {
      const active = readFileSync(path("dns-servers.active"), "utf8");
      const marker = findMarker(active);
      expect(marker).toMatch(/^r7-[0-9a-f]{24}\.terok-shield\.invalid$/);
      expect(active).toBe(`${open("good.test")}server=/${marker}/\n`);
      expect(readFileSync(path("dns-servers.confirmed"), "utf8")).toBe(confirmed());
      expect(resolve("good.test")).toBe("198.18.0.10");
      expect([status("good.test"), status(marker ?? ""), status("other.test")]).toEqual([
        "NOERROR",
        "NXDOMAIN",
        "REFUSED",
      ]);
    });

    test("begins a new log, and keeps the one of the run before", () => {
      resolve("good.test");
      const first = readFileSync(path("dnsmasq.log"), "utf8");
      expect(first).toContain("query[A] good.test");
      start();
      expect(readFileSync(path("dnsmasq.earlier.log"), "utf8").startsWith(first)).toBe(true);
      expect(readFileSync(path("dnsmasq.log"), "utf8")).not.toContain("query[A] good.test");
    });

    test("begins a log of its own, and keeps that of the run before, whether that had been rotated or not", () => {
      appendFileSync(path("dnsmasq.log"), "of the first run\n");
      writeFileSync(path("dnsmasq.log.old"), "its beginning\n");
      expect(start()).toMatchObject({ status: 0 });
      expect(readFileSync(path("dnsmasq.log"), "utf8")).not.toContain("of the first run");
      expect(readFileSync(path("dnsmasq.earlier.log"), "utf8")).toContain("of the first run\n");
      expect(readFileSync(path("dnsmasq.earlier.log.old"), "utf8")).toBe("its beginning\n");
      expect(existsSync(path("dnsmasq.log.old"))).toBe(false);
      expect(start()).toMatchObject({ status: 0 });
      expect(existsSync(path("dnsmasq.earlier.log.old"))).toBe(false);
    });

    test("has another marker each time", () => {
      const first = readFileSync(path("dns-servers.active"), "utf8");
      start();
      expect(readFileSync(path("dns-servers.active"), "utf8")).not.toBe(first);
    });
  });

  describe("when it is told to reload", () => {
    test("takes over the names, says so, and opens what it is asked for", () => {
      writeServers(open("new.test"));
      expect(reply("reloadResolver", ["new.test", "NEW.test", "good.test", "missing.new.test"])).toEqual({
        answers: {
          "new.test": ["198.18.0.20", "2001:2::20"],
          "NEW.test": ["198.18.0.20", "2001:2::20"],
          "good.test": [],
          "missing.new.test": [],
        },
      });
      expect(readFileSync(path("dns-servers.confirmed"), "utf8")).toBe(confirmed());
      expect([status("good.test"), learned("dns_v4"), learned("dns_v6")]).toEqual([
        "REFUSED",
        ["198.18.0.20"],
        ["2001:2::20"],
      ]);
    });

    test("has nothing to ask for and says so", () => {
      writeServers(open("new.test"));
      expect(reply("reloadResolver", [])).toEqual({ answers: {} });
      expect(resolve("new.test")).toBe("198.18.0.20");
    });

    test("brings all the addresses of a name that does not fit a datagram", () => {
      writeServers(open("many.test"));
      const { "many.test": addresses = [] } = reply("reloadResolver", ["many.test"]).answers;
      expect(addresses.toSorted()).toEqual(MANY.toSorted());
      expect(learned("dns_v4").toSorted()).toEqual(MANY.toSorted());
    });

    test("asks for many names at once", () => {
      const names = Array.from({ length: 100 }, (_, index) => `n${index}.wild.test`);
      writeServers(open("wild.test"));
      const { answers } = reply("reloadResolver", names);
      expect(Object.keys(answers)).toEqual(names);
      expect(new Set(Object.values(answers).map(String))).toEqual(new Set(["198.18.0.30"]));
    });

    test("does not wait for an upstream that keeps silent", () => {
      writeServers("server=/silent.test/127.0.0.1#5399\n");
      expect(reply("reloadResolver", ["silent.test"])).toEqual({ answers: { "silent.test": [] } });
    });

    test("does not take the word of a process in the container that answers in its place", async () => {
      const thief = spawn("nsenter", [...enterNetwork(container).slice(1), "python3", "-c", THIEF], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(thief.stdout, "data");
      const before = readFileSync(path("dns-servers.confirmed"), "utf8");
      writeServers(open("new.test"));
      process.kill(resolverPid(), "SIGSTOP");
      try {
        expect(status("anything.test")).toBe("NXDOMAIN");
        expect(change("reloadResolver")).toEqual(
          refused(
            expect.stringMatching(/^terok-shield: dnsmasq did not take over its names: no answer to r8-/),
          ),
        );
        expect(readFileSync(path("dns-servers.confirmed"), "utf8")).toBe(before);
      } finally {
        thief.kill("SIGKILL");
      }
    });

    test("refuses when dnsmasq has died", () => {
      process.kill(resolverPid(), "SIGKILL");
      writeServers(open("new.test"));
      expect(change("reloadResolver")).toEqual(refused("dnsmasq is not running"));
    });
  });

  describe("when it is told to reload, but was started with another configuration,", () => {
    const refusal = refused("dnsmasq was not started with the present dnsmasq.conf");

    test("does not follow names whose ports it does not know", () => {
      writeFiles({ scoped: "new.test" });
      writeServers(open("new.test"));
      expect(change("reloadResolver")).toEqual(refusal);
      expect(status("new.test")).toBe("REFUSED");
      expect(reply("restartResolver", ["new.test"]).answers["new.test"]).toContain("198.18.0.20");
      expect([learned("dns_1_v4"), learned("dns_v4")]).toEqual([["198.18.0.20"], []]);
      writeServers(open("good.test"));
      expect(change("reloadResolver")).toEqual(done());
    });

    test.each([
      ["nobody knows with which", () => rmSync(path("dns-servers.confirmed"))],
      ["the word of it is cut short", () => writeFileSync(path("dns-servers.confirmed"), "0".repeat(64))],
    ])("or %s", (_, spoil) => {
      spoil();
      writeServers(open("new.test"));
      expect(change("reloadResolver")).toEqual(refusal);
      expect(status("new.test")).toBe("REFUSED");
    });
  });

  describe("when it is told to restart", () => {
    test("follows its new configuration as well", () => {
      const before = resolverPid();
      writeFiles({ scoped: "new.test" });
      writeServers(open("new.test"));
      expect(reply("restartResolver", ["new.test"])).toEqual({
        answers: { "new.test": ["198.18.0.20", "2001:2::20"] },
      });
      expect([learned("dns_1_v4"), learned("dns_v4")]).toEqual([["198.18.0.20"], []]);
      expect(resolverPid()).not.toBe(before);
      expect(findHelpers(directory, ["dnsmasq"])).toEqual([resolverPid()]);
    });

    test("is as the one that was started with the container, whatever whoever restarts it is like", () => {
      const first = describeProcess(resolverPid());
      const around = [
        "sh",
        "-c",
        'exec 3< /proc/self/status; trap "" TERM HUP USR1; umask 0; cd /tmp; exec "$@"',
        "sh",
        "env",
        "--block-signal=TERM,HUP,CHLD",
        "LD_PRELOAD=",
        "TZ=Nowhere",
      ];
      expect(change("restartResolver", [], { around })).toEqual(done());
      const second = describeProcess(resolverPid());
      expect(second).toEqual(first);
      expect(second.status).toContain("CapBnd:\t00000000000015c0\n");
      expect(second.status).toContain("SigBlk:\t0000000000000000\n");
    });

    test("starts one that has died", () => {
      process.kill(resolverPid(), "SIGKILL");
      writeServers(open("new.test"));
      expect(reply("restartResolver", ["new.test"]).answers["new.test"]).toContain("198.18.0.20");
    });

    test("is not kept from its port by clients that hold connections to the old one", async () => {
      const clients = spawn("nsenter", [...enterNetwork(container).slice(1), "python3", "-c", CLIENTS], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      await once(clients.stdout, "data");
      expect(findHelpers(directory).length).toBeGreaterThan(1);
      writeServers(open("new.test"));
      expect(change("restartResolver")).toEqual(done());
      expect(resolve("new.test")).toBe("198.18.0.20");
      clients.kill("SIGKILL");
    });

    test("goes on as it was when its new configuration is no good", () => {
      const before = resolverPid();
      writeFiles({ extra: "no-such-option\n" });
      writeServers(open("new.test"));
      expect(change("restartResolver")).toEqual(
        refused(expect.stringMatching(/dnsmasq failed \(exit 1\): ".*bad option at line/)),
      );
      expect(resolverPid()).toBe(before);
      expect(resolve("good.test")).toBe("198.18.0.10");
    });

    test("refuses a configuration that the bundle does not seal", () => {
      const before = resolverPid();
      appendFileSync(path("dnsmasq.conf"), "dhcp-script=/bin/true\n");
      writeServers(open("new.test"));
      expect(change("restartResolver")).toEqual(
        refused("dnsmasq.conf in /containers/web is not what prepare wrote. Run terok-shield prepare again"),
      );
      expect(resolverPid()).toBe(before);
    });
  });

  describe.each<ResolverStage>(["reloadResolver", "restartResolver"])(
    "%s refuses, and leaves no trace in the bundle,",
    (stage) => {
      const NOT_RUNNING = "no container runs with the bundle /containers/web";
      const NOT_INSIDE = "this is not the network namespace of the container that runs with /containers/web";
      const writeRecord = (part: object) => {
        const record = JSON.parse(readFileSync(path("runtime.json"), "utf8"));
        writeFileSync(path("runtime.json"), JSON.stringify({ ...record, ...part }));
      };

      test.each<[string, () => void, string]>([
        ["without a record of a start", () => rmSync(path("runtime.json")), NOT_RUNNING],
        ["with a record cut short", () => writeFileSync(path("runtime.json"), "{"), NOT_RUNNING],
        ["with a record of nothing", () => writeFileSync(path("runtime.json"), "null"), NOT_RUNNING],
        ["with a record of no number", () => writeRecord({ pid: `${process.pid}` }), NOT_RUNNING],
        ["with a record of a process that is gone", () => writeRecord({ pid: 2 ** 22 }), NOT_RUNNING],
        ["with a record of a pid that came round again", () => writeRecord({ startTime: "1" }), NOT_RUNNING],
        ["with a record of another network", () => writeRecord({ networkNamespace: 1 }), NOT_RUNNING],
        ["with a record that others may write", () => chmodSync(path("runtime.json"), 0o666), NOT_RUNNING],
        [
          "a bundle that others may look into",
          () => chmodSync(directory, 0o755),
          'the state directory "/containers/web" is open to others',
        ],
        [
          "a bundle whose manifest is damaged",
          () => appendFileSync(path("bundle.json"), "x"),
          "bundle.json is not JSON",
        ],
        [
          "a bundle without a resolver",
          () => writeBundle(directory, {}, { dns: { tier: "dig" } }),
          "the bundle /containers/web has no resolver",
        ],
        [
          "names without a marker",
          () => writeFileSync(path("dns-servers.active"), open("new.test")),
          "/containers/web/dns-servers.active holds no marker",
        ],
        [
          "names with two markers",
          () => {
            writeServers(open("new.test"));
            appendFileSync(path("dns-servers.active"), `server=/${renderMarker(9, "0")}/\n`);
          },
          "/containers/web/dns-servers.active holds no marker",
        ],
        [
          "names that others may write",
          () => chmodSync(path("dns-servers.active"), 0o666),
          "/containers/web/dns-servers.active is writable by others",
        ],
      ])("%s", (_, spoil, reason) => {
        writeServers(open("new.test"));
        const confirmed = readFileSync(path("dns-servers.confirmed"), "utf8");
        spoil();
        expect(change(stage)).toEqual(refused(reason));
        expect(readFileSync(path("dns-servers.confirmed"), "utf8")).toBe(confirmed);
        expect(() => readFileSync(path("refusal.txt"))).toThrow("ENOENT");
      });

      test("outside the container's network", () => {
        expect(change(stage, [], { network: host })).toEqual(refused(NOT_INSIDE));
      });

      test("a request that is none", () => {
        expect(changeWith(stage, "{}")).toEqual(
          refused("the request on standard input names no list of names to ask for"),
        );
      });

      test("no directory", () => {
        const command = [...enterNetwork(container), process.execPath, hook, stage];
        expect(runOn(host, command, { cwd: join(parent, "alone"), input: '{"ask":[]}' })).toEqual(
          refused("no state directory was given"),
        );
      });
    },
  );

  function start(): Outcome {
    const state = {
      ociVersion: "1.0",
      id: CONTAINER_ID,
      pid: container.pid,
      bundle: join(parent, "userdata"),
      annotations: {
        [ANNOTATION.stateDirectory]: directory,
        [ANNOTATION.version]: "1",
        [ANNOTATION.name]: "web",
      },
    };
    const command = [...enterNetwork(container), process.execPath, hook, "createRuntime", directory];
    return runOn(host, command, { cwd: join(parent, "alone"), input: JSON.stringify(state) });
  }

  function change(
    stage: ResolverStage,
    ask: readonly string[] = [],
    options: { readonly around?: readonly string[]; readonly network?: ChildProcess } = {},
  ): Outcome {
    return changeWith(stage, JSON.stringify({ ask }), options);
  }

  function changeWith(
    stage: ResolverStage,
    input: string,
    {
      around = [],
      network = container,
    }: { readonly around?: readonly string[]; readonly network?: ChildProcess } = {},
  ): Outcome {
    const command = [...around, ...enterNetwork(network), process.execPath, hook, stage, directory];
    return runOn(host, command, { cwd: join(parent, "alone"), input });
  }

  function reply(stage: ResolverStage, ask: readonly string[]): ResolverReply {
    const { stdout, ...rest } = change(stage, ask);
    expect(rest).toEqual({ status: 0, stderr: "" });
    return JSON.parse(stdout);
  }

  /** As the cli does it: a new marker with each. */
  function writeServers(names: string): void {
    const marker = renderMarker(8, digest(String(Math.random())).slice(0, 24));
    writeFileSync(path("dns-servers.active"), `${names}server=/${marker}/\n`, { mode: 0o600 });
  }

  function writeFiles({ scoped, extra = "" }: { readonly scoped?: string; readonly extra?: string }): void {
    const sets = (scope: string) => `4#inet#terok_shield#dns_${scope}v4,6#inet#terok_shield#dns_${scope}v6`;
    const configuration = [
      "port=53",
      "listen-address=127.0.0.1",
      "bind-interfaces",
      "no-resolv",
      "no-hosts",
      "cache-size=0",
      "user=root",
      "group=root",
      "conntrack",
      "stop-dns-rebind",
      `address=/${MARKER_ZONE}/#`,
      `local=/${MARKER_ZONE}/`,
      `servers-file=${path("dns-servers.active")}`,
      `nftset=/#/${sets("")}`,
      ...(scoped === undefined ? [] : [`nftset=/${scoped}/${sets("1_")}`]),
      "log-queries=extra",
      `log-facility=${path("dnsmasq.log")}`,
      `pid-file=${path("dnsmasq.pid")}`,
      extra,
    ];
    const files = {
      "ruleset.nft": RULESET,
      "listing.json": JSON.stringify(LISTING),
      "resolv.conf": "nameserver 127.0.0.1\n",
      "state.json": '{"revision":7}\n',
      "dnsmasq.conf": configuration.join("\n"),
      "dns-servers": open("good.test"),
    };
    const names = ["nft", "nsenter", "setpriv", "dnsmasq"];
    writeBundle(directory, files, {
      dns: { tier: "dnsmasq", learnedSets: { v4: "dns_v4", v6: "dns_v6" } },
      programs: Object.fromEntries(names.map((name) => [name, which(name)])),
    });
    writeSpec();
  }

  /** Podman's specification with the paths of this test. */
  function writeSpec(): void {
    const spec = standInSpec();
    spec.root.path = join(parent, "root");
    spec.linux.namespaces = spec.linux.namespaces.map(({ type }) => ({ type }));
    spec.mounts = spec.mounts.flatMap((entry) => {
      if (entry.type !== "bind") return [entry];
      return entry.source.startsWith(BUNDLE) ? [{ ...entry, source: path("resolv.conf") }] : [];
    });
    mkdirSync(join(parent, "root"), { recursive: true });
    mkdirSync(join(parent, "userdata"), { recursive: true });
    writeFileSync(join(parent, "userdata", "config.json"), JSON.stringify(spec));
  }

  function startUpstream(): ChildProcess {
    const records = [
      "good.test,198.18.0.10",
      "new.test,198.18.0.20,2001:2::20",
      ...MANY.map((address) => `many.test,${address}`),
    ];
    const options = [
      "--conf-file=/dev/null",
      "--keep-in-foreground",
      "--port=5300",
      "--listen-address=127.0.0.1",
      "--no-resolv",
      "--no-hosts",
      "--user=root",
      "--group=root",
      "--pid-file=",
      "--address=/wild.test/198.18.0.30",
      ...records.map((record) => `--host-record=${record}`),
    ];
    const [file = "", ...args] = [...enterNetwork(container), which("dnsmasq"), ...options];
    return spawn(file, args, { stdio: "ignore" });
  }

  /** What has to be known of the servers file and of the configuration. */
  function confirmed(): string {
    const [servers, configuration] = ["dns-servers.active", "dnsmasq.conf"].map((name) =>
      digest(readFileSync(path(name), "utf8")),
    );
    return `${servers} ${configuration}\n`;
  }

  function resolverPid(): number {
    return Number(readFileSync(path("dnsmasq.pid"), "utf8"));
  }

  function status(name: string): string | undefined {
    return /status: (\w+)/.exec(inContainer("dig", "+tries=1", "@127.0.0.1", name))?.[1];
  }

  function resolve(name: string): string {
    return inContainer("dig", "+short", "@127.0.0.1", name).trim();
  }

  function learned(set: string): string[] {
    const listing = inContainer("nft", "-j", "list", "set", "inet", "terok_shield", set);
    const objects = (JSON.parse(listing) as { nftables: { set?: { elem?: { elem: { val: string } }[] } }[] })
      .nftables;
    return objects.flatMap((object) => object.set?.elem ?? []).map(({ elem }) => elem.val);
  }

  function inContainer(...command: string[]): string {
    const [file = "", ...args] = [...enterNetwork(container), ...command];
    return execFileSync(file, args, { encoding: "utf8" });
  }

  function done(): Outcome {
    return { status: 0, stdout: '{"answers":{}}\n', stderr: "" };
  }
});

const MANY = Array.from({ length: 200 }, (_, index) => `198.18.9.${index}`);

/** Takes queries from dnsmasq, as a process in the container can, and says that no name exists. */
const THIEF = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    query, peer = s.recvfrom(4096)
    s.sendto(query[:2] + b"\\x81\\x83" + query[4:], peer)
`;

const CLIENTS = `
import socket, sys
clients = [socket.create_connection(("127.0.0.1", 53)) for _ in range(5)]
for client in clients:
    client.sendall(b"\\x00")
import time; time.sleep(0.3)
print("ready", flush=True)
sys.stdin.read()
`;

/** What a program may inherit from whoever starts it. */
function describeProcess(pid: number) {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").split("\n");
  const kept = /^(Uid|Gid|Groups|Umask|Cap|Sig(Blk|Ign|Cgt)|ShdPnd|NoNewPrivs|Seccomp)/;
  const files = execFileSync("sh", ["-c", `cd /proc/${pid}/fd; for f in *; do readlink $f; done`], {
    encoding: "utf8",
  });
  return {
    status: lines.filter((line) => kept.test(line)).join("\n"),
    environment: readFileSync(`/proc/${pid}/environ`, "utf8"),
    directory: execFileSync("readlink", [`/proc/${pid}/cwd`], { encoding: "utf8" }),
    // A socket and a pipe have numbers of their own.
    files: files.replace(/\d+/g, "").split("\n").sort(),
  };
}

function refused(reason: string): Outcome {
  return {
    status: 1,
    stdout: "",
    stderr: typeof reason === "string" ? `terok-shield: ${reason}\n` : reason,
  };
}
