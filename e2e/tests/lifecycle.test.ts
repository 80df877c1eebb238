import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM, shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

/** setgid, setuid, setpcap, net_bind_service, net_admin (capability.h). */
const RESOLVER_CAPABILITIES = 0x15c0n;

describe("terok-shield run", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/profiles/life.txt`,
      "good.test\n198.18.1.1\n",
    );
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/config.yml`,
      shieldConfig("default_profiles: [life]\n"),
    );
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => lab.internet.reset());

  const bundle = (name: string) => `${lab.user.home}/.local/state/terok/shield/containers/${name}`;
  const run = (name: string, podmanArguments: readonly string[], options = {}) =>
    lab.shield(["run", name, "--", ...podmanArguments], options);

  async function remove(name: string): Promise<void> {
    await lab.podman(["rm", "--force", "--time=0", name]);
  }

  /** Whatever a shielded container needs beside itself. */
  async function helpers(): Promise<string[]> {
    const names = /^(dnsmasq|ulogd|conmon|slirp4netns|pasta|rootlessport|crun|runc)/;
    return (await lab.user.processes())
      .filter(({ name, command }) => names.test(name) || command.includes("terok-shield-keeper"))
      .map(({ name }) => name);
  }

  async function expectNothingLeft(): Promise<void> {
    await until("no helper of a container is left", async () => (await helpers()).length === 0);
    expect(
      await lab.user.mustRun("sh", ["-c", `ls ${lab.user.runtimeDirectory}/netns 2>/dev/null || true`]),
    ).toBe("");
  }

  test.each([0, 1, 7, 42, 255])("exits with the container's own code %i", async (code) => {
    expect(await run("code", ["--rm", ...lab.imageArgs, "sh", "-c", `exit ${code}`])).toMatchObject({
      exitCode: code,
    });
  });

  test("gives the container the network that this run of the tests is about", async () => {
    await run("network", ["-d", ...lab.imageArgs, "sleep", "infinity"]);
    expect(
      await lab.user.mustRun("podman", ["inspect", "--format", "{{.HostConfig.NetworkMode}}", "network"]),
    ).toMatch(new RegExp(`^${PLATFORM.network.kind}`));
    await remove("network");
  });

  test("hands standard input and both outputs through, byte by byte", async () => {
    const result = await run("pipes", ["-i", "--rm", ...lab.imageArgs, "sh", "-c", "cat; printf err >&2"], {
      stdin: "line one\nno newline",
    });
    expect(result).toEqual({ exitCode: 0, stdout: "line one\nno newline", stderr: "err" });
  });

  test("gives the container the terminal", async () => {
    const { exitCode, stdout } = await run(
      "terminal",
      ["-it", "--rm", ...lab.imageArgs, "sh", "-c", "test -t 0 && stty size && exit 3"],
      {
        tty: true,
      },
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: expect.stringMatching(/\d+ \d+\r\n$/) });
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const)(
    "hands %s on to the container",
    async (signal) => {
      const name = signal.slice(3);
      const script = `trap 'echo handed on' CONT; trap 'echo got ${name}; exit 5' ${name}; while :; do sleep 0.05; done`;
      const running = await lab.user.spawn("terok-shield", [
        "run",
        "signals",
        "--",
        "--rm",
        ...lab.imageArgs,
        "sh",
        "-c",
        script,
      ]);
      // Until podman hands signals on it dies of them; of this one it does not.
      await until("podman hands signals on", async () => {
        const podman = (await lab.user.processes()).find(
          ({ command }) => /^\S*podman run /.test(command) && command.includes("--name=signals"),
        );
        if (podman !== undefined) await lab.user.run("kill", ["-CONT", String(podman.pid)]);
        return running.output().includes("handed on");
      });
      running.kill(signal);
      expect(await running.finished).toMatchObject({
        exitCode: 5,
        stdout: expect.stringMatching(new RegExp(`^(handed on\n)+got ${name}\n$`)),
      });
    },
  );

  test("publishes the ports it is told to, and no other port lets anybody in", async () => {
    const serve =
      "import socketserver,threading\nclass H(socketserver.BaseRequestHandler):\n  def handle(self): self.request.sendall(b'served')\nfor port in (8000,8001):\n  threading.Thread(target=socketserver.TCPServer(('',port),H).serve_forever).start()\nprint('up',flush=True)";
    await run("ports", ["-d", "-p", "127.0.0.1:18000:8000", ...lab.imageArgs, "python3", "-c", serve]);
    await until("the server is up", async () => (await lab.podman(["logs", "ports"])).stdout.includes("up"));
    const ask =
      "import socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])),3)\nprint(s.recv(9).decode())";
    expect(await lab.user.run("python3", ["-c", ask, "18000"])).toMatchObject({ stdout: "served\n" });
    expect((await lab.user.run("python3", ["-c", ask, "8001"])).exitCode).not.toBe(0);
    await remove("ports");
  });

  test.each([
    ["--network=host"],
    ["--net", "host"],
    ["--privileged"],
    ["--cap-add=CAP_NET_ADMIN"],
    ["--cap-add", "net_raw,chown"],
    ["--pid=host"],
    ["--userns=host"],
    ["--hooks-dir=/tmp"],
    ["--annotation", "terok.shield.state_dir=/tmp"],
    ["--name", "other"],
    ["--pod", "p"],
    ["--dns=198.18.0.53"],
    ["--device=/dev/net/tun"],
    ["-v", "HOME:/work"],
    ["--mount", "type=bind,source=/,destination=/host"],
    ["-v", "RUNTIME/bus:/bus"],
    ["-P"],
  ])("refuses %s %s before anything is made", async (...flags) => {
    const { home, runtimeDirectory } = lab.user;
    const typed = flags.map((flag) => flag.replace("HOME", home).replace("RUNTIME", runtimeDirectory));
    await lab.user.mustRun("sh", ["-c", `touch ${runtimeDirectory}/bus`]);
    const { exitCode, stdout, stderr } = await run("refused", [
      ...typed,
      "--rm",
      ...lab.imageArgs,
      "echo",
      "ran",
    ]);
    expect({ exitCode, stdout, lines: stderr.trim().split("\n").length }).toEqual({
      exitCode: 2,
      stdout: "",
      lines: 1,
    });
    expect((await lab.user.run("ls", [bundle("refused")])).exitCode).not.toBe(0);
  });

  test("takes a mount that its owner insists on, and says so in audit and status", async () => {
    const { home } = lab.user;
    const mounts = ["--volume", `${home}:/work`, ...lab.imageArgs, "sleep", "infinity"];
    const { exitCode } = await lab.shield(["run", "trusted", "--trust-mount", home, "--", "-d", ...mounts]);
    expect(exitCode).toBe(0);
    expect((await lab.shield(["logs", "--container", "trusted", "--only", "lifecycle"])).stdout).toContain(
      `the mount of ${home} is trusted by the owner`,
    );
    expect((await lab.shield(["status", "trusted"])).stdout).toContain(`trusted mount: ${home}`);
    await remove("trusted");
  });

  test("says why the hook refused, in one line and in the audit log", async () => {
    await lab.user.mustRun("podman", [
      "volume",
      "create",
      "--opt",
      "o=bind",
      "--opt",
      `device=${lab.user.home}`,
      "sly",
    ]);
    const { exitCode, stdout, stderr } = await run("sly", [
      "--rm",
      "-v",
      "sly:/work",
      ...lab.imageArgs,
      "echo",
      "ran",
    ]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain("The container sly was not started: the mount of");
    expect(
      (await lab.shield(["logs", "--container", "sly", "--only", "lifecycle", "-n", "1"])).stdout,
    ).toContain('"action":"error"');
  });

  test("counts what it refused and names it in the packet log", async () => {
    const { stdout } = await run("counted", ["-d", ...lab.imageArgs, "sleep", "infinity"]);
    expect(stdout.trim()).toMatch(/^[0-9a-f]{64}$/);
    for (const address of ["198.18.66.66", "2001:2::6666", "10.77.0.7"]) {
      await lab.podman([
        "exec",
        "counted",
        "curl",
        "-sS",
        `http://${address.includes(":") ? `[${address}]` : address}/`,
      ]);
    }
    const packets = `${bundle("counted")}/packets.jsonl`;
    const refused = async () =>
      (await lab.user.mustRun("cat", [packets]))
        .split("\n")
        .filter((line) => line.includes("oob.prefix"))
        .map((line) => {
          const { "oob.prefix": prefix, dest_ip: address } = JSON.parse(line) as Record<string, string>;
          return `${prefix}${address}`;
        });
    await until("each refusal is in the packet log", async () => (await refused()).length >= 3);
    // One packet each: had a refusal not come at once, the client would have sent again.
    expect(await refused()).toEqual([
      "TEROK_SHIELD_BLOCKED: 198.18.66.66",
      "TEROK_SHIELD_BLOCKED: 2001:2::6666",
      "TEROK_SHIELD_PRIVATE: 10.77.0.7",
    ]);
    const rules = (await lab.shield(["rules", "counted"])).stdout;
    expect(rules).toMatch(/counter refused_blocked \{\s+packets 2 bytes/);
    expect(rules).toMatch(/counter refused_private \{\s+packets 1 bytes/);
    await remove("counted");
  });

  test("status says unprotected or error, with exit code 3, when somebody changes the rules", async () => {
    await run("watched", ["-d", ...lab.imageArgs, "sleep", "infinity"]);
    const status = async () => {
      const { exitCode, stdout } = await lab.shield(["status", "watched", "--json"]);
      return { exitCode, ...(JSON.parse(stdout) as { status: object }).status };
    };
    expect(await status()).toEqual({ exitCode: 0, kind: "up" });
    const pid = (await lab.podman(["inspect", "--format", "{{.State.Pid}}", "watched"])).stdout.trim();
    const tamper = (rule: string) =>
      lab.user.mustRun("nsenter", [
        "-t",
        pid,
        "-U",
        "-n",
        "--preserve-credentials",
        "nft",
        ...rule.split(" "),
      ]);
    await tamper("insert rule inet terok_shield output accept");
    expect(await status()).toEqual({
      exitCode: 3,
      kind: "error",
      reason: expect.stringContaining("chain output"),
    });
    await tamper("flush ruleset");
    expect(await status()).toEqual({ exitCode: 3, kind: "unprotected" });
    await remove("watched");
    expect(await status()).toEqual({ exitCode: 0, kind: "stopped" });
  });

  test("leaves nothing behind after 30 cycles of start, stop and kill", async () => {
    await expectNothingLeft();
    for (let cycle = 0; cycle < 10; cycle++) {
      expect(await run("cycle", ["--rm", ...lab.imageArgs, "true"])).toMatchObject({ exitCode: 0 });
      const stopped = await run("stopped", ["-d", ...lab.imageArgs, "sleep", "infinity"]);
      expect(stopped).toMatchObject({ exitCode: 0 });
      await lab.user.mustRun("podman", ["stop", "--time=0", "stopped"]);
      await remove("stopped");
      await run("killed", ["-d", "--rm", ...lab.imageArgs, "sleep", "infinity"]);
      const pid = (await lab.podman(["inspect", "--format", "{{.State.Pid}}", "killed"])).stdout.trim();
      await lab.user.mustRun("kill", ["-9", pid]);
      await until(
        "podman removed the killed container",
        async () => (await lab.podman(["container", "exists", "killed"])).exitCode !== 0,
      );
    }
    await expectNothingLeft();
  }, 180_000);

  test("starts its helpers with no signal blocked, no descriptor of others and few capabilities", async () => {
    await run("helpers", ["-d", ...lab.imageArgs, "sleep", "infinity"]);
    const own = (await lab.user.processes()).filter(({ command }) => command.includes(bundle("helpers")));
    expect([...new Set(own.map(({ name }) => name))].sort()).toEqual(["dnsmasq", "sh", "ulogd"]);
    for (const { pid, name } of own) {
      const status = await readFile(lab.path(`/proc/${pid}/status`), "utf8");
      expect({ name, blocked: /SigBlk:\s+(\w+)/.exec(status)?.[1] }).toEqual({
        name,
        blocked: "0000000000000000",
      });
      if (name !== "dnsmasq") continue;
      const effective = BigInt(`0x${/CapEff:\s+(\w+)/.exec(status)?.[1]}`);
      expect(effective & ~RESOLVER_CAPABILITIES).toBe(0n);
    }
    await remove("helpers");
  });

  test("two containers at once keep to their own policies", async () => {
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/second.txt`, "198.18.2.2\n");
    const args = ["--", "-d", ...lab.imageArgs, "sleep", "infinity"];
    const started = await Promise.all([
      lab.shield(["run", "first", "--profiles", "life", ...args]),
      lab.shield(["run", "second", "--profiles", "second", ...args]),
    ]);
    expect(started.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const reaches = async (name: string, address: string) =>
      (await lab.podman(["exec", name, "curl", "-sS", `http://${address}/`])).exitCode === 0;
    expect([await reaches("first", "198.18.1.1"), await reaches("first", "198.18.2.2")]).toEqual([
      true,
      false,
    ]);
    expect([await reaches("second", "198.18.1.1"), await reaches("second", "198.18.2.2")]).toEqual([
      false,
      true,
    ]);
    await Promise.all([remove("first"), remove("second")]);
  });
});
