import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM, platformHas, shieldConfig, versionOf } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

const PROBE = await readFile(new URL("../src/lab/connect-probe.py", import.meta.url), "utf8");
const PROFILE = "good.test\n198.18.1.1\n";
const ALLOWED = ["tcp,198.18.1.1,80", "tcp,good.test,80"];
const DENIED = "tcp,198.18.66.66,80";
const SHIELDED = ["answered", "answered", "EHOSTUNREACH"];
const FLUSH = ["nft", "flush", "ruleset"];

/** Quadlet comes with podman from 4.4 on. */
const QUADLET = ["/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"].find(platformHas);
/** Earlier ones put every container on a bridge. */
const HAS_COMPOSE = /podman-compose version (?:1\.[3-9]|1\.\d\d|[2-9])/.test(versionOf("podman-compose"));

/** Options of `podman run`, and what shows inside that they are in force. */
const MODES: readonly { options: readonly string[]; shownBy: readonly string[]; shown: RegExp }[] = [
  { options: ["--userns=keep-id"], shownBy: ["cat", "/proc/self/uid_map"], shown: /^ *\d+ +0 +1$/m },
  { options: ["--userns=keep-id", "--user=0"], shownBy: ["id", "-u"], shown: /^0\n$/ },
  { options: ["--userns=auto"], shownBy: ["cat", "/proc/self/uid_map"], shown: /^ +0 +\d+ +1024\n$/ },
  { options: ["--userns=nomap"], shownBy: ["cat", "/proc/self/uid_map"], shown: /^ +0 +1 +65536\n$/ },
  {
    options: ["--uidmap=0:1:2000", "--gidmap=0:1:2000"],
    shownBy: ["cat", "/proc/self/uid_map"],
    shown: /^ +0 +1 +2000\n$/,
  },
  { options: ["--user=1000"], shownBy: ["id", "-u"], shown: /^1000\n$/ },
  { options: ["--init"], shownBy: ["cat", "/proc/1/comm"], shown: /^(podman-init|catatonit)\n$/ },
];

const TIERS = [
  { tier: "dnsmasq", hide: [] },
  { tier: "dig", hide: ["/usr/sbin/dnsmasq"] },
];

describe.each(TIERS)("in the $tier tier, a container run", ({ hide }) => {
  const { lab, remove, outcomesIn, reachedAddresses, statusOf } = setUp(hide);

  test.each(MODES)(
    "with $options is shielded, and so it is when it was restarted",
    async ({ options, shownBy, shown }) => {
      const probe = [...lab().imageArgs, "python3", "-c", PROBE, DENIED];
      const control = await lab().podman(["run", "--rm", PLATFORM.network.option, ...options, ...probe]);
      expect(control.stdout).toContain('"answered"');
      expect(await reachedAddresses()).toEqual(["198.18.66.66"]);

      await run("mode", ["-d", ...options, ...lab().imageArgs, "sleep", "infinity"]);
      for (const start of ["run", "restart"]) {
        if (start === "restart")
          await lab().user.mustRun("terok-shield", ["restart", "mode", "--", "--time=0"]);
        expect((await exec("mode", shownBy)).stdout).toMatch(shown);
        await lab().internet.reset();
        expect(await outcomesIn("mode", ...ALLOWED, DENIED)).toEqual(SHIELDED);
        expect(await reachedAddresses()).not.toContain("198.18.66.66");
        expect(await statusOf("mode")).toEqual({ exitCode: 0, kind: "up" });
        for (const flush of [FLUSH, ["unshare", "-Ur", ...FLUSH]]) {
          expect((await lab().podman(["exec", "--user=0", "mode", ...flush])).exitCode).not.toBe(0);
        }
        expect(await statusOf("mode")).toEqual({ exitCode: 0, kind: "up" });
      }
      await remove("mode");
    },
  );

  test("with --rm is gone when it ends, shielded until then", async () => {
    await run("brief", ["-d", "--rm", ...lab().imageArgs, "sleep", "infinity"]);
    expect(await outcomesIn("brief", ...ALLOWED, DENIED)).toEqual(SHIELDED);
    await lab().user.mustRun("podman", ["stop", "--time=0", "brief"]);
    await until(
      "podman removed it",
      async () => (await lab().podman(["container", "exists", "brief"])).exitCode !== 0,
    );
    expect(await statusOf("brief")).toEqual({ exitCode: 0, kind: "stopped" });
  });

  const run = (name: string, podmanArguments: readonly string[]) =>
    lab().user.mustRun("terok-shield", ["run", name, "--", ...podmanArguments]);
  const exec = (name: string, command: readonly string[]) => lab().podman(["exec", name, ...command]);
});

describe("a shielded container", () => {
  const { lab, remove, outcomesIn, outcomes, reachedAddresses, statusOf } = setUp([]);
  const run = (name: string, podmanArguments: readonly string[], options = {}) =>
    lab().shield(["run", name, "--", ...podmanArguments], options);
  const bundle = (name: string) => `${lab().user.home}/.local/state/terok/shield/containers/${name}`;

  test("serves the UDP and TCP ports that it publishes, and takes nothing at others", async () => {
    const serve = [
      "import socket,threading",
      "def tcp(port):",
      "  with socket.create_server(('',port)) as s:",
      "    while True:",
      "      with s.accept()[0] as c: c.recv(99); c.sendall(b'served')",
      "def udp(port):",
      "  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',port))",
      "  while True: s.sendto(b'served',s.recvfrom(99)[1])",
      "for f in (tcp,udp):",
      "  for port in (8000,8001): threading.Thread(target=f,args=(port,)).start()",
      "print('up',flush=True)",
    ].join("\n");
    const ports = ["-p=127.0.0.1:18000:8000", "-p=127.0.0.1:18000:8000/udp"];
    await run("ports", ["-d", ...ports, ...lab().imageArgs, "python3", "-c", serve]);
    await until("it serves", async () => (await lab().podman(["logs", "ports"])).stdout.includes("up"));
    const fromHost = async (...targets: string[]) =>
      outcomes(await lab().user.run("python3", ["-c", PROBE, ...targets]));
    expect(await fromHost("tcp,127.0.0.1,18000", "udp,127.0.0.1,18000")).toEqual(["answered", "answered"]);
    expect(await fromHost("tcp,127.0.0.1,18001", "tcp,127.0.0.1,8001")).not.toContain("answered");
    await remove("ports");
  });

  test("reaches the host's loopback by host.containers.internal, at granted ports alone", async () => {
    const { user } = lab();
    const serve = [
      "import socket,threading",
      "def serve(port):",
      "  with socket.create_server(('127.0.0.1',port)) as s:",
      "    while True:",
      "      with s.accept()[0] as c: c.recv(99); c.sendall(b'served')",
      "for port in (7000,7001): threading.Thread(target=serve,args=(port,)).start()",
      "print('up',flush=True)",
    ].join("\n");
    const server = await user.spawn("python3", ["-c", serve]);
    await server.waitForOutput("up");
    await user.writeFile(
      `${user.home}/granted/config.yml`,
      shieldConfig("default_profiles: [modes]\nloopback_ports: [7000]\n"),
    );
    await user.mustRun("cp", ["-r", `${user.home}/.config/terok/shield/profiles`, `${user.home}/granted/`]);
    const granted = { env: { TEROK_SHIELD_CONFIG_DIR: `${user.home}/granted` } };
    const targets = ["tcp,host.containers.internal,7000", "tcp,host.containers.internal,7001"];
    const probe = ["--rm", ...lab().imageArgs, "python3", "-c", PROBE, ...targets];

    const { optionWithHost, host } = PLATFORM.network;
    const open = [optionWithHost, `--add-host=host.containers.internal:${host}`];
    expect(outcomes(await lab().podman(["run", ...open, ...probe]))).toEqual(["answered", "answered"]);
    expect(outcomes(await run("loopback", probe, granted))).toEqual(["answered", "EHOSTUNREACH"]);
    expect(outcomes(await run("loopback", probe))).not.toContain("answered");

    const own = await run(
      "loopback",
      ["--add-host=host.containers.internal:198.18.66.66", ...probe],
      granted,
    );
    expect(outcomes(own)).toEqual(["EHOSTUNREACH", "EHOSTUNREACH"]);
    const none = await run("loopback", ["--no-hosts", ...probe], granted);
    expect(outcomes(none)).toEqual(["no such name", "no such name"]);
    server.kill("SIGKILL");
  });

  describe("shares its network with a container that joins it", () => {
    const join = (name: string, ...args: string[]) =>
      lab().podman(["run", "--rm", `--network=container:${name}`, ...args]);
    const names = (name: string) => `--volume=${bundle(name)}/resolv.conf:/etc/resolv.conf:ro`;

    test("and that is held by the same rules", async () => {
      await run("held", ["-d", ...lab().imageArgs, "sleep", "infinity"]);
      const probe = [...lab().imageArgs, "python3", "-c", PROBE, ...ALLOWED, DENIED];
      expect(outcomes(await join("held", names("held"), ...probe))).toEqual(SHIELDED);
      expect(await reachedAddresses()).not.toContain("198.18.66.66");
      for (const flush of [FLUSH, ["unshare", "-Ur", ...FLUSH]]) {
        expect((await join("held", ...lab().imageArgs, ...flush)).exitCode).not.toBe(0);
      }
      expect(await statusOf("held")).toEqual({ exitCode: 0, kind: "up" });
      await remove("held");
    });

    /**
     * containers/podman#19185: the container's own user namespace owns its network, and whoever has podman's user
     * namespace may do anything in the namespaces below. The kernel grants it, so it can only be noticed.
     */
    test("and status says so when one of podman's user namespace takes the rules of --userns=keep-id away", async () => {
      await run("kept", ["-d", "--userns=keep-id", ...lab().imageArgs, "sleep", "infinity"]);
      for (const user of [[], ["--user=0"]]) {
        const own = ["--userns=container:kept", ...user, ...lab().imageArgs, ...FLUSH];
        expect((await join("kept", ...own)).exitCode).not.toBe(0);
      }
      expect(await statusOf("kept")).toEqual({ exitCode: 0, kind: "up" });
      expect(await outcomesIn("kept", DENIED)).toEqual(["EHOSTUNREACH"]);

      expect((await join("kept", ...lab().imageArgs, ...FLUSH)).exitCode).toBe(0);
      expect(await outcomesIn("kept", DENIED)).toEqual(["answered"]);
      expect(await statusOf("kept")).toEqual({ exitCode: 3, kind: "unprotected" });

      await lab().user.mustRun("terok-shield", ["up", "kept", "--repair"]);
      expect(await outcomesIn("kept", ...ALLOWED, DENIED)).toEqual(SHIELDED);
      expect(await statusOf("kept")).toEqual({ exitCode: 0, kind: "up" });
      await remove("kept");
    });
  });

  test.each([
    { option: "--pod=new:x", instead: "--network=container:NAME" },
    { option: "--network=mine", instead: "terok-shield sets the network itself" },
    { option: "--network=none", instead: "terok-shield sets the network itself" },
    { option: "--network=container:other", instead: "terok-shield sets the network itself" },
  ])("is not run with $option, and one line says what to do instead", async ({ option, instead }) => {
    const { exitCode, stdout, stderr } = await run("refused", [option, ...lab().imageArgs, "true"]);
    expect({ exitCode, stdout, lines: stderr.trim().split("\n").length }).toEqual({
      exitCode: 2,
      stdout: "",
      lines: 1,
    });
    expect(stderr).toContain(instead);
    expect((await lab().user.run("ls", [bundle("refused")])).exitCode).not.toBe(0);
  });

  test("does not start in a pod, whose network is not its own", async () => {
    const asks = [...lab().imageArgs, "curl", "-sS", "http://198.18.66.66/"];
    const control = await lab().podman(["run", "--pod=new:plain", PLATFORM.network.option, ...asks]);
    expect(control).toMatchObject({ exitCode: 0, stdout: "reached 198.18.66.66\n" });
    await lab().internet.reset();

    const options = (await lab().user.mustRun("terok-shield", ["prepare", "podded"])).trim().split(" ");
    expect((await lab().podman(["run", ...options, "--pod=new:mine", ...asks])).exitCode).not.toBe(0);
    const joining = options.filter((option) => !/^--(network|sysctl)=/.test(option));
    expect((await lab().podman(["run", ...joining, "--replace", "--pod=plain", ...asks])).exitCode).not.toBe(
      0,
    );
    expect(await reachedAddresses()).toEqual([]);
    expect(await lab().user.mustRun("cat", [`${bundle("podded")}/refusal.txt`])).toContain(
      "joins the network namespace of another",
    );
  });

  if (QUADLET !== undefined) {
    test("is started by a Quadlet unit, and not without the shield's hooks", async () => {
      const unit = (await prepareAs("quadlet")).replace(
        "Image=IMAGE\n",
        `Image=${lab().image}\nVolume=/usr:/usr:ro\nExec=sleep infinity\n`,
      );
      await startUnit(unit);
      await expectShielded();
      await remove("service");
      expect((await startUnit(unit.replace(/^PodmanArgs=--hooks-dir=.*\n/m, ""))).exitCode).not.toBe(0);
      await expectNothingRuns();
    });
  }

  if (HAS_COMPOSE) {
    test("is started by podman-compose, and not without the shield's hooks", async () => {
      const file = (await prepareAs("compose"))
        .replace("image: IMAGE\n", `image: ${lab().image}\n    command: sleep infinity\n`)
        .replace("volumes:\n", "volumes:\n      - /usr:/usr:ro\n");
      await lab().user.writeFile(`${lab().user.home}/project/compose.yaml`, file);
      const [, hooks = ""] = /^# +podman-compose (--podman-run-args="[^"]*")/m.exec(file) ?? [];
      await compose(hooks.replaceAll('"', ""), "up", "-d");
      await expectShielded();
      await remove("service");
      await compose("up", "-d");
      await expectNothingRuns();
    });
  }

  const prepareAs = (format: string) =>
    lab().user.mustRun("terok-shield", ["prepare", "service", "--format", format]);

  /** As systemd would, which the lab does not have: of the options, only the one that makes control groups is left out. */
  async function startUnit(unit: string) {
    const { user } = lab();
    await user.writeFile(`${user.home}/units/service.container`, unit);
    const service = await user.mustRun(QUADLET ?? "", ["-dryrun", "-user", "-no-kmsg-log"], {
      env: { QUADLET_UNIT_DIRS: `${user.home}/units` },
    });
    const command = /^ExecStart=(.*)$/m.exec(service)?.[1] ?? "";
    const words = command.replaceAll("%t", user.runtimeDirectory).replaceAll("%N", "service").split(" ");
    return user.run(
      words[0] ?? "",
      words.slice(1).filter((word) => word !== "--cgroups=split"),
    );
  }

  const compose = (...args: string[]) =>
    lab().user.run("podman-compose", args, { workingDirectory: `${lab().user.home}/project` });

  async function expectShielded() {
    await lab().internet.reset();
    expect(await outcomesIn("service", ...ALLOWED, DENIED)).toEqual(SHIELDED);
    expect(await reachedAddresses()).not.toContain("198.18.66.66");
    expect(await statusOf("service")).toEqual({ exitCode: 0, kind: "up" });
  }

  async function expectNothingRuns() {
    expect((await lab().podman(["ps", "--quiet"])).stdout).toBe("");
  }
});

/** A lab for the tests of one block, where nothing but containers is left between them. */
function setUp(hide: readonly string[]) {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hide, shieldPrefix: installedShield() });
    const { home } = lab.user;
    await lab.user.writeFile(`${home}/.config/terok/shield/profiles/modes.txt`, PROFILE);
    await lab.user.writeFile(
      `${home}/.config/terok/shield/config.yml`,
      shieldConfig("default_profiles: [modes]\n"),
    );
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => lab.internet.reset());
  afterEach(async () => {
    await lab.podman(["pod", "rm", "--force", "--all", ...(PLATFORM.podmanMajor >= 5 ? ["--time=0"] : [])]);
    await lab.podman(["rm", "--force", "--time=0", "--all"]);
  });

  const outcomes = ({ stdout, stderr }: { stdout: string; stderr: string }): string[] => {
    const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
    if (lines.length === 0) throw new Error(`The probe did not run: ${stdout}${stderr}`);
    return lines.map((line) => (JSON.parse(line) as { outcome: string }).outcome);
  };
  return {
    lab: () => lab,
    outcomes,
    outcomesIn: async (name: string, ...targets: string[]) =>
      outcomes(await lab.podman(["exec", name, "python3", "-c", PROBE, ...targets])),
    remove: (name: string) => lab.user.mustRun("podman", ["rm", "--force", "--time=0", name]),
    /** Where packets arrived, name servers aside. */
    reachedAddresses: async () => {
      const arrivals = await lab.internet.arrivals();
      return [...new Set(arrivals.filter(({ port }) => port !== 53).map(({ address }) => address))];
    },
    statusOf: async (name: string) => {
      const { exitCode, stdout } = await lab.shield(["status", name, "--json"]);
      return { exitCode, kind: (JSON.parse(stdout) as { status: { kind: string } }).status.kind };
    },
  };
}
