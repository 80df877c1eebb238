import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

const ALLOWED = "198.18.1.1";
const CLOSED = "198.18.66.66";

describe("the upkeep of many containers", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/life.txt`, `${ALLOWED}\n`);
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/config.yml`,
      shieldConfig("default_profiles: [life]\n"),
    );
  });
  afterAll(() => lab?.destroy());
  afterEach(async () => {
    await lab.podman(["rm", "--force", "--time=0", "--all"]);
    await lab.user.run("terok-shield", ["prune", "--all"]);
  });

  const bundles = () => `${lab.user.home}/.local/state/terok/shield/containers`;
  const shield = (...args: string[]) => lab.user.mustRun("terok-shield", args);
  const run = (name: string, ...options: string[]) =>
    shield("run", name, "--", "-d", ...options, ...lab.imageArgs, "sleep", "infinity");
  const makeOld = (name: string) =>
    lab.user.mustRun("touch", ["-d", "2 hours ago", `${bundles()}/${name}/bundle.json`]);
  const bundlesLeft = async () => (await lab.user.run("ls", [bundles()])).stdout.split("\n").filter(Boolean);
  const helpersOf = async (name: string) =>
    (await lab.user.processes())
      .filter(({ command, state }) => state !== "Z" && command.includes(`${bundles()}/${name}/`))
      .map((process) => process.name)
      .sort();

  /** Monitor and container: nobody is left to run the hook that ends the helpers. */
  async function killAtOnce(pids: readonly string[]): Promise<void> {
    await lab.user.mustRun("kill", ["-9", ...pids]);
    await until("monitor and container have ended", async () =>
      (await lab.user.processes()).every(({ pid, state }) => state === "Z" || !pids.includes(String(pid))),
    );
  }

  describe("terok-shield prune", () => {
    test("removes the bundles of containers that are gone, and of no others", async () => {
      await run("gone");
      await run("stopped");
      await run("running");
      await lab.podman(["rm", "--force", "--time=0", "gone"]);
      await lab.podman(["stop", "--time=0", "stopped"]);
      for (const name of ["gone", "stopped", "running"]) await makeOld(name);
      await shield("prepare", "prepared");
      await shield("prepare", "unit", "--format", "quadlet");
      await makeOld("unit");
      const said = `the bundle of gone: ${bundles()}/gone\n`;
      expect(await shield("prune", "--dry-run")).toBe(`would remove ${said}`);
      expect(await bundlesLeft()).toEqual(["gone", "prepared", "running", "stopped", "unit"]);
      expect(await shield("prune")).toBe(`removed ${said}`);
      expect(await bundlesLeft()).toEqual(["prepared", "running", "stopped", "unit"]);
      expect(await shield("prune")).toBe("Nothing to do: every bundle and helper has its container.\n");
      // What stayed is whole.
      await shield("start", "stopped");
      expect(JSON.parse(await shield("status", "--json"))).toMatchObject([
        { container: "prepared", status: { kind: "stopped" } },
        { container: "running", status: { kind: "up" } },
        { container: "stopped", status: { kind: "up" } },
        { container: "unit", status: { kind: "stopped" } },
      ]);
      expect(await shield("prune", "--all")).toBe(
        ["prepared", "unit"].map((name) => `removed the bundle of ${name}: ${bundles()}/${name}\n`).join(""),
      );
    });

    test("keeps the bundle of a container that podman renamed", async () => {
      await lab.user.mustRun("sh", [
        "-c",
        'podman create $(terok-shield prepare before) "$@"',
        "create",
        ...lab.imageArgs,
        "sleep",
        "infinity",
      ]);
      await makeOld("before");
      await lab.user.mustRun("podman", ["rename", "before", "after"]);
      expect(await shield("prune", "--all")).toMatch(/^Nothing to do/);
      await lab.user.mustRun("podman", ["rm", "after"]);
      expect(await shield("prune")).toMatch(/^removed the bundle of before/);
    });

    test("ends helpers whose container is gone, and leaves those of others alone", async () => {
      await run("running");
      await run("left");
      await run("removed");
      for (const name of ["left", "removed"]) {
        const format = "{{.State.ConmonPid}} {{.State.Pid}}";
        const pids = await lab.user.mustRun("podman", ["inspect", "--format", format, name]);
        await killAtOnce(pids.trim().split(" "));
      }
      expect(await helpersOf("left")).toEqual(["dnsmasq", "ulogd"]);
      await lab.user.mustRun("rm", ["-rf", `${bundles()}/removed`]);
      expect((await shield("prune", "--dry-run")).match(/^would end (dnsmasq|ulogd) /gm)).toHaveLength(4);
      expect(await helpersOf("left")).toEqual(["dnsmasq", "ulogd"]);
      expect((await shield("prune")).match(/^ended (dnsmasq|ulogd) /gm)).toHaveLength(4);
      expect([await helpersOf("left"), await helpersOf("removed")]).toEqual([[], []]);
      expect(await helpersOf("running")).toEqual(["dnsmasq", "ulogd"]);
      expect(JSON.parse(await shield("status", "running", "--json"))).toMatchObject({
        status: { kind: "up" },
      });
    });

    test("takes nothing from a container that is just being started", async () => {
      // The hook waits for ulogd to go to the background: dnsmasq runs by then, and no record of the run is written.
      const slow = `#!/bin/sh
touch /tmp/ulogd-waits
until [ -e /tmp/ulogd-may-go ]; do sleep 0.01; done
exec /usr/lib/ulogd-itself/ulogd "$@"
`;
      await lab.root.mustRun("sh", [
        "-c",
        "mkdir /usr/lib/ulogd-itself && mv /usr/sbin/ulogd /usr/lib/ulogd-itself",
      ]);
      await lab.root.writeFile("/usr/sbin/ulogd", slow, 0o755);
      const starting = lab.shield(["run", "starting", "--", "-d", ...lab.imageArgs, "sleep", "infinity"]);
      await until(
        "the start has come to ulogd",
        async () => (await lab.user.run("ls", ["/tmp/ulogd-waits"])).exitCode === 0,
      );
      await makeOld("starting");
      expect(await helpersOf("starting")).toContain("dnsmasq");
      const pruning = shield("prune");
      // Podman answers once the start is over; what runs, prune has seen before.
      await until("prune asks podman", async () =>
        (await lab.user.processes()).some(({ command }) => command.endsWith("podman ps --all --format json")),
      );
      await lab.root.mustRun("touch", ["/tmp/ulogd-may-go"]);
      const [{ exitCode }, pruned] = await Promise.all([starting, pruning]);
      await lab.root.mustRun("mv", ["/usr/lib/ulogd-itself/ulogd", "/usr/sbin/ulogd"]);
      expect({ exitCode, pruned }).toEqual({ exitCode: 0, pruned: expect.stringMatching(/^Nothing to do/) });
      expect(JSON.parse(await shield("status", "starting", "--json"))).toMatchObject({
        status: { kind: "up" },
      });
    });

    test("takes nothing from containers that start and end meanwhile", async () => {
      const cycles = async (name: string) => {
        for (let cycle = 0; cycle < 5; cycle++) {
          const args = ["run", name, "--", "--rm", ...lab.imageArgs, "curl", "-sS", `http://${ALLOWED}/`];
          expect(await lab.shield(args)).toMatchObject({ exitCode: 0, stdout: `reached ${ALLOWED}\n` });
        }
      };
      let isOver = false;
      const started = Promise.all([cycles("one"), cycles("two")]).finally(() => {
        isOver = true;
      });
      let prunes = 0;
      for (; !isOver; prunes++) await shield("prune");
      await started;
      expect(prunes).toBeGreaterThan(2);
    }, 120_000);
  });

  describe("terok-shield list", () => {
    test("shows every container with its state, tier, profiles and counts", async () => {
      expect(await shield("list")).toBe("No shielded containers.\n");
      await run("busy");
      await run("idle");
      await lab.podman(["stop", "--time=0", "idle"]);
      for (const address of [ALLOWED, CLOSED, CLOSED]) {
        await lab.podman(["exec", "busy", "curl", "-sS", `http://${address}/`]);
      }
      expect(JSON.parse(await shield("list", "--json"))).toEqual([
        {
          container: "busy",
          status: { kind: "up" },
          tier: "dnsmasq",
          profiles: ["life"],
          counts: { allowedConnections: 1, bypassedConnections: 0, refusedPackets: 2 },
        },
        { container: "idle", status: { kind: "stopped" }, tier: "dnsmasq", profiles: ["life"] },
      ]);
      expect(await shield("list")).toMatch(
        /^NAME +STATE +TIER +ALLOWED +REFUSED +PROFILES\nbusy +up +dnsmasq +1 +2 +life\nidle +stopped +dnsmasq +- +- +life\n$/,
      );
    });

    test("asks podman nothing", async () => {
      await run("busy");
      await shield("list");
      const spy = '#!/bin/sh\necho "$@" >> /tmp/podman-calls\nexec /usr/lib/podman-itself/podman "$@"\n';
      await lab.root.mustRun("sh", [
        "-c",
        "mkdir /usr/lib/podman-itself && mv /usr/bin/podman /usr/lib/podman-itself",
      ]);
      await lab.root.writeFile("/usr/bin/podman", spy, 0o755);
      // A program that changed is asked for its version once.
      await shield("list");
      await lab.user.mustRun("sh", ["-c", ": > /tmp/podman-calls"]);
      expect(JSON.parse(await shield("list", "--json"))).toMatchObject([
        { container: "busy", status: { kind: "up" } },
      ]);
      const calls = () => lab.user.mustRun("cat", ["/tmp/podman-calls"]);
      expect(await calls()).toBe("");
      await shield("prune");
      expect(await calls()).toMatch(/^ps --all/);
      await lab.root.mustRun("mv", ["/usr/lib/podman-itself/podman", "/usr/bin/podman"]);
    });
  });
});
