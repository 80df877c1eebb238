import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

/** Judged by what ran: the container's first act is to leave a mark on the host. */
describe("a container of a shield", () => {
  let lab: Lab;
  let bundle: string;
  let marks: string;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    bundle = `${lab.user.home}/.local/state/terok/shield/containers/gated`;
    marks = `${lab.user.home}/marks`;
    await lab.user.mustRun("mkdir", [marks]);
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/gate.txt`, "198.18.1.1\n");
  });
  afterAll(() => lab?.destroy());
  beforeEach(async () => {
    await lab.user.run("sh", ["-c", `rm -f ${marks}/*`]);
    await lab.internet.reset();
  });
  afterEach(async () => {
    await until("no container is left", async () => {
      await lab.podman(["rm", "--force", "--time=0", "--all"]);
      return (await lab.podman(["ps", "--all", "--quiet"])).stdout === "";
    });
    await lab.root.run("sh", ["-c", `rm -rf ${bundle} ${bundle}.moved`]);
  });

  const leaveMark = ["sh", "-c", "touch /marks/$(date +%N); exec sleep infinity"];
  const containerArgs = () => ["--volume", `${marks}:/marks`, ...lab.imageArgs, ...leaveMark];
  const hooked = (...args: string[]) => lab.podman([`--hooks-dir=${bundle}/hooks`, ...args]);

  async function marksLeft(): Promise<number> {
    return (await lab.user.mustRun("ls", [marks])).split("\n").filter((line) => line !== "").length;
  }

  /** Runs detached, waits for the mark and stops it: the positive control of each refusal after it. */
  async function runAndStop(): Promise<void> {
    await mustShield("run", "gated", "--profiles", "gate", "--", "-d", ...containerArgs());
    await until("the container left its mark", async () => (await marksLeft()) === 1);
    await lab.user.mustRun("podman", ["stop", "--time=0", "gated"]);
    await lab.user.mustRun("sh", ["-c", `rm ${marks}/*`]);
  }

  async function mustShield(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await lab.shield(args);
    if (exitCode !== 0) throw new Error(`terok-shield ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  async function expectNothingRan(): Promise<void> {
    const { stdout } = await lab.podman(["ps", "--filter", "name=gated", "--format", "{{.Names}}"]);
    expect({ running: stdout, marks: await marksLeft() }).toEqual({ running: "", marks: 0 });
    // At the latest when the log keeper sees that there is no container: runc may run no poststop hook.
    await until(
      "no helper is left",
      async () => (await lab.user.processes()).every(({ command }) => !command.includes(bundle)),
      20_000,
    );
  }

  test.each([["start"], ["restart"]])(
    "that was stopped does not come up by plain podman %s",
    async (verb) => {
      await runAndStop();
      const { exitCode, stderr } = await lab.podman([verb, "gated"]);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 125,
        stderr: expect.stringMatching(/terok-shield-closed\/accept_redirects`?: no such file or directory/i),
      });
      await expectNothingRan();
    },
  );

  test.each([["start"], ["restart"]])(
    "comes up shielded by terok-shield %s, with the same policy",
    async (verb) => {
      await runAndStop();
      await mustShield(verb, "gated");
      await until("the container left its mark", async () => (await marksLeft()) === 1);
      expect(JSON.parse(await mustShield("status", "gated", "--json"))).toMatchObject({
        status: { kind: "up" },
      });
      const inside = (address: string) => lab.podman(["exec", "gated", "curl", "-sS", `http://${address}/`]);
      expect(await inside("198.18.1.1")).toMatchObject({ exitCode: 0, stdout: "reached 198.18.1.1\n" });
      expect(await inside("198.18.66.66")).toMatchObject({ exitCode: 7 });
      expect((await lab.internet.arrivals()).map(({ address }) => address)).toEqual(["198.18.1.1"]);
    },
  );

  test("restarts while it runs", async () => {
    await mustShield("run", "gated", "--profiles", "gate", "--", "-d", ...containerArgs());
    await mustShield("restart", "gated", "--", "--time=0");
    await until("the container left its second mark", async () => (await marksLeft()) === 2);
    expect(JSON.parse(await mustShield("status", "gated", "--json"))).toMatchObject({
      status: { kind: "up" },
    });
  });

  test("that was only created does not come up by plain podman start", async () => {
    await lab.user.mustRun("sh", [
      "-c",
      'podman create $(terok-shield prepare gated --profiles gate) "$@"',
      "create",
      ...containerArgs(),
    ]);
    expect((await lab.podman(["start", "gated"])).exitCode).toBe(125);
    await expectNothingRan();
    expect((await hooked("start", "gated")).exitCode).toBe(0);
    await until("the container left its mark", async () => (await marksLeft()) === 1);
  });

  test("comes up shielded by podman run with what prepare prints", async () => {
    await lab.user.mustRun("sh", [
      "-c",
      'podman run -d $(terok-shield prepare gated --profiles gate) "$@"',
      "run",
      ...containerArgs(),
    ]);
    await until("the container left its mark", async () => (await marksLeft()) === 1);
    expect(JSON.parse(await mustShield("status", "gated", "--json"))).toMatchObject({
      status: { kind: "up" },
    });
  });

  test("is not restarted by a restart policy that knows no hooks", async () => {
    const dies = ["sh", "-c", "touch /marks/$(date +%N); exit 1"];
    const args = ["--volume", `${marks}:/marks`, ...lab.imageArgs, ...dies];
    await lab.podman(["run", "-d", "--name=control", "--restart=on-failure:3", ...args]);
    await until("podman restarted the control three times", async () => (await marksLeft()) === 4);
    await lab.user.mustRun("sh", ["-c", `rm ${marks}/*`]);
    await mustShield("run", "gated", "--profiles", "gate", "--", "-d", "--restart=on-failure:3", ...args);
    const state = async () =>
      (await lab.podman(["inspect", "--format", "{{.State.Status}}", "gated"])).stdout.trim();
    await until(
      "the container is down for good",
      async () => (await marksLeft()) === 1 && (await state()) !== "running",
    );
    await until("no monitor is left", async () =>
      (await lab.user.processes()).every(({ name }) => name !== "conmon"),
    );
    expect(await marksLeft()).toBe(1);
  });

  describe.each([
    {
      fault: "the ruleset is changed by one byte",
      damage: "sed -i 's/policy drop/policy dro/' $B/ruleset.nft",
    },
    { fault: "the ruleset is empty", damage: ": > $B/ruleset.nft" },
    { fault: "the ruleset is cut short", damage: "truncate -s 200 $B/ruleset.nft" },
    { fault: "the ruleset is missing", damage: "rm $B/ruleset.nft" },
    { fault: "the ruleset is a symbolic link", damage: "mv $B/ruleset.nft $B/r; ln -s r $B/ruleset.nft" },
    { fault: "the ruleset may be written by the group", damage: "chmod g+w $B/ruleset.nft" },
    { fault: "the listing to compare with is empty", damage: "echo '[]' > $B/listing.json" },
    { fault: "the manifest is cut short", damage: "truncate -s 100 $B/bundle.json" },
    {
      fault: "the manifest is changed",
      damage: `sed -i 's/"tier":"dnsmasq"/"tier":"getent"/' $B/bundle.json`,
    },
    { fault: "the bundle has another version", damage: `sed -i 's/"version":1/"version":2/' $B/bundle.json` },
    { fault: "the names are changed", damage: "echo 'server=10.0.2.3' >> $B/dns-servers" },
    { fault: "the bundle is a symbolic link", damage: "mv $B $B.moved; ln -s $B.moved $B" },
    { fault: "the bundle is missing", damage: "mv $B $B.moved; mkdir -m 700 $B; cp -r $B.moved/hooks $B/" },
    { fault: "the bundle may be written by its group", damage: "chmod 770 $B" },
    { fault: "the bundle may be read by others", damage: "chmod 755 $B" },
    { fault: "the bundle belongs to another user", damage: "chown 0 $B" },
    { fault: "the createRuntime hook is missing", damage: "rm $B/hooks/terok-shield-createRuntime.json" },
    { fault: "the precreate hook is missing", damage: "rm $B/hooks/terok-shield-precreate.json" },
    {
      fault: "the script of the hook does nothing",
      damage: `sed -i 's/"IFS=; .*"/"exit 0"/' $B/hooks/terok-shield-createRuntime.json`,
    },
    {
      fault: "the hook's file is another",
      damage: "sed -i 's#[^\"]*terok-shield-hook.cjs#/dev/null#' $B/hooks/terok-shield-createRuntime.json",
    },
    {
      fault: "both hooks agree on an empty file",
      damage:
        "sed -i 's#/run[^\"]*terok-shield-hook.cjs#/dev/null#; s#..run[^\"]*terok-shield-hook..cjs#\\\\/dev\\\\/null#' $B/hooks/*.json",
    },
    {
      fault: "the hooks fire for another container's bundle",
      damage: "sed -i 's#/gated\"#/other\"#g' $B/hooks/terok-shield-createRuntime.json",
    },
  ])("when $fault", ({ damage }) => {
    test("does not start", async () => {
      await runAndStop();
      expect((await hooked("start", "gated")).exitCode).toBe(0);
      await until("the control left its mark", async () => (await marksLeft()) === 1);
      await lab.user.mustRun("podman", ["stop", "--time=0", "gated"]);
      await lab.user.mustRun("sh", ["-c", `rm ${marks}/*`]);
      await lab.root.mustRun("sh", ["-c", damage.replaceAll("$B", bundle)]);
      expect((await hooked("start", "gated")).exitCode).not.toBe(0);
      await expectNothingRan();
    });
  });

  describe.each([
    { fault: "nft is missing", tool: "nft", script: undefined },
    { fault: "nft does nothing and says it did", tool: "nft", script: "exit 0" },
    { fault: "nft fails", tool: "nft", script: "echo broken >&2; exit 1" },
    {
      fault: "nft opens the table after loading it",
      tool: "nft",
      script: `REAL "$@" || exit; REAL insert rule inet terok_shield output accept 2>/dev/null; exit 0`,
    },
    { fault: "somebody kills the hook before the rules are loaded", tool: "nft", script: "kill -9 $PPID" },
    {
      fault: "somebody kills the hook once the rules are loaded",
      tool: "nft",
      script: `REAL "$@"; case "$*" in *ruleset*) kill -9 $PPID;; esac`,
    },
    { fault: "dnsmasq is missing", tool: "dnsmasq", script: undefined },
    { fault: "dnsmasq does not stay", tool: "dnsmasq", script: "exit 0" },
    {
      fault: "dnsmasq may not fill sets",
      tool: "dnsmasq",
      script: `exec setpriv --bounding-set=-net_admin REAL "$@"`,
    },
    {
      fault: "somebody kills the hook while dnsmasq starts",
      tool: "dnsmasq",
      script: `REAL "$@"; kill -9 $PPID`,
    },
    { fault: "nsenter is missing", tool: "nsenter", script: undefined },
    { fault: "nsenter does nothing and says it did", tool: "nsenter", script: "exit 0" },
  ])("when $fault", ({ tool, script }) => {
    test("does not start", async () => {
      await runAndStop();
      const path = (await lab.root.mustRun("sh", ["-c", `command -v ${tool}`])).trim();
      // Under its own name, by which the hook knows its helpers.
      const real = `/run/real/${tool}`;
      await lab.root.mustRun("sh", ["-c", `mkdir -p /run/real && chmod 755 /run/real && mv ${path} ${real}`]);
      try {
        if (script !== undefined) {
          await lab.root.writeFile(path, `#!/bin/sh\n${script.replaceAll("REAL", real)}\n`, 0o755);
        }
        expect((await hooked("start", "gated")).exitCode).not.toBe(0);
        await until("nothing of the hook is left", async () => {
          const left = await lab.user.processes();
          return left.every(({ command }) => !command.includes("terok-shield-hook"));
        });
        await lab.user.run("terok-shield", ["status", "gated"]);
      } finally {
        await lab.root.mustRun("mv", [real, path]);
      }
      const { stdout } = await lab.podman(["ps", "--filter", "name=gated", "--format", "{{.Names}}"]);
      expect({ running: stdout, marks: await marksLeft() }).toEqual({ running: "", marks: 0 });
      // Whatever was left half-way does not stand in the way of the next start.
      await mustShield("start", "gated");
      await until("the container left its mark", async () => (await marksLeft()) === 1);
    });
  });

  /** podman itself with the shield's options and one more: past the command line's checks, up to the hook's. */
  describe.each([
    { what: "NET_ADMIN", option: "--cap-add=NET_ADMIN", needsNoDrop: true },
    { what: "NET_RAW", option: "--cap-add=NET_RAW", needsNoDrop: true },
    { what: "SYS_ADMIN", option: "--cap-add=SYS_ADMIN", needsNoDrop: true },
    { what: "privileges", option: "--privileged", needsNoDrop: false },
    { what: "the host's processes", option: "--pid=host", needsNoDrop: false },
    { what: "its home", option: "--volume=HOME:/work", needsNoDrop: false },
    { what: "its state directory", option: "--volume=STATE:/work", needsNoDrop: false },
    { what: "the whole host, read-only", option: "--volume=/:/host:ro", needsNoDrop: false },
    { what: "the host's /proc", option: "--volume=/proc:/host-proc", needsNoDrop: false },
    { what: "the host's /sys", option: "--volume=/sys:/host-sys", needsNoDrop: false },
    {
      what: "the directory of the session's sockets",
      option: "--volume=RUNTIME:/run/host",
      needsNoDrop: false,
    },
    { what: "a socket", option: "--volume=HOME/agent.sock:/agent.sock", needsNoDrop: false },
    { what: "a link to its home", option: "--volume=HOME/innocent:/work", needsNoDrop: false },
    { what: "/dev/net/tun", option: "--device=/dev/net/tun", needsNoDrop: false },
    { what: "a writable /proc/sys", option: "--security-opt=unmask=ALL", needsNoDrop: false },
    { what: "another resolv.conf", option: "--volume=HOME/resolv.conf:/etc/resolv.conf", needsNoDrop: false },
  ])("that is given $what past the command line", ({ option, needsNoDrop }) => {
    test("does not start", async () => {
      const { home, runtimeDirectory } = lab.user;
      await lab.user.mustRun("sh", [
        "-c",
        `cd ${home}; ln -sfn . innocent; echo nameserver 198.18.0.53 > resolv.conf
         [ -S agent.sock ] || python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("agent.sock")'`,
      ]);
      const typed = option
        .replace("STATE", `${home}/.local/state`)
        .replace("HOME", home)
        .replace("RUNTIME", runtimeDirectory);
      const control = await lab.podman(["run", "-d", "--name=control", typed, ...containerArgs()]);
      expect(control).toMatchObject({ exitCode: 0, stderr: expect.any(String) });
      await until("the control left its mark", async () => (await marksLeft()) === 1);
      await lab.user.mustRun("sh", ["-c", `rm ${marks}/*`]);
      const options = (await mustShield("prepare", "gated", "--profiles", "gate")).trim().split(" ");
      const given = options.filter((text) => !(needsNoDrop && text.startsWith("--cap-drop")));
      const { exitCode } = await lab.podman([
        "run",
        "-d",
        ...given.filter((text) => !(typed.includes(":/etc/resolv.conf") && text.includes("resolv.conf"))),
        typed,
        ...containerArgs(),
      ]);
      expect(exitCode).not.toBe(0);
      await expectNothingRan();
    });
  });

  describe.each([{ network: "host" }, { network: "container:other" }, { network: "ns:OTHER" }])(
    "that is put into the network $network past the command line",
    ({ network }) => {
      test("does not start", async () => {
        await lab.user.mustRun("podman", [
          "run",
          "-d",
          "--name=other",
          ...lab.imageArgs,
          "sleep",
          "infinity",
        ]);
        const pid = (
          await lab.podman(["inspect", "--format", "{{.NetworkSettings.SandboxKey}}", "other"])
        ).stdout.trim();
        const options = (await mustShield("prepare", "gated", "--profiles", "gate")).trim().split(" ");
        const kept = options.filter((text) => !text.startsWith("--network="));
        // Without the gate's sysctl, which podman itself refuses in a network of others.
        const given = kept.filter((text) => !text.startsWith("--sysctl="));
        const { exitCode } = await lab.podman([
          "run",
          "-d",
          ...given,
          `--network=${network.replace("OTHER", pid)}`,
          ...containerArgs(),
        ]);
        expect(exitCode).not.toBe(0);
        await expectNothingRan();
      });
    },
  );
});
