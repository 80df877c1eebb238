import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

interface Check {
  readonly name: string;
  readonly verdict: "ok" | "warning" | "error";
  readonly found: string;
  readonly cost?: string;
  readonly mend?: string;
}

describe("terok-shield doctor", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/life.txt`, "198.18.1.1\n");
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/config.yml`,
      shieldConfig("default_profiles: [life]\n"),
    );
  });
  afterAll(() => lab?.destroy());

  async function examine(env: Record<string, string> = {}) {
    const { exitCode, stdout, stderr } = await lab.shield(["doctor", "--json"], { env });
    expect(stderr).toBe("");
    const { fit, checks } = JSON.parse(stdout) as { fit: boolean; checks: Check[] };
    expect(exitCode).toBe(fit ? 0 : 1);
    return checks;
  }

  async function complaints(env: Record<string, string> = {}): Promise<Check[]> {
    return (await examine(env)).filter(({ verdict }) => verdict !== "ok");
  }

  test("finds all that this lab has, and misses the hooks alone, which are not set up", async () => {
    const checks = await examine();
    expect(checks.map(({ name, verdict }) => `${verdict} ${name}`)).toEqual([
      ..."node podman runtime cgroups ids nft kernel nsenter setpriv flock sed network tun dnsmasq ulogd state"
        .split(" ")
        .map((name) => `ok ${name}`),
      "warning hooks",
      "ok left-over",
    ]);
    const found = (name: string) => checks.find((check) => check.name === name)?.found;
    expect(found("podman")).toMatch(/^\d+\.\d+\.\d+, \/usr\/bin\/podman$/);
    expect(found("runtime")).toMatch(/^\d+\.\d+(\.\d+)?, \/usr\/bin\/(crun|runc)$/);
    expect(found("nft")).toMatch(/^\d+\.\d+\.\d+, \/usr\/sbin\/nft$/);
    expect(found("ids")).toBe("65536 user ids, 65536 group ids");
    expect((await lab.shield(["doctor"])).stdout).toContain("    terok-shield setup\n");
  });

  test("leaves nothing behind", async () => {
    const files = () =>
      lab.user.mustRun("sh", [
        "-c",
        "cd && find .config .local/state .local/share/terok 2>/dev/null | sort; true",
      ]);
    await examine();
    const before = await files();
    await examine();
    expect(await files()).toBe(before);
  });

  test("judges the hooks that are set up", async () => {
    const { home } = lab.user;
    const hooks = `${home}/.local/share/terok/shield`;
    await lab.user.mustRun("terok-shield", ["setup"]);
    expect(await complaints()).toEqual([]);

    const damage = async (command: string) => {
      await lab.user.mustRun("sh", ["-c", command]);
      const found = await complaints();
      await lab.user.mustRun("rm", ["-f", `${home}/.config/containers/containers.conf.d/99-zz.conf`]);
      await lab.user.mustRun("terok-shield", ["setup"]);
      expect(await complaints()).toEqual([]);
      return found.map(({ verdict, name, found: what }) => `${verdict} ${name}: ${what}`);
    };
    const stale = "warning hooks: those of --user are not what this version would install on this machine";
    expect(await damage(`echo >> ${hooks}/terok-shield-hook.cjs`)).toEqual([stale]);
    expect(await damage(`rm ${hooks}/hooks.d/terok-shield-poststop.json`)).toEqual([stale]);
    expect(
      await damage(`sed -i 's#"/[^"]*/node"#"/opt/moved/node"#' ${hooks}/hooks.d/terok-shield-poststop.json`),
    ).toEqual(["error hooks: those of --user run /opt/moved/node, which is gone"]);
    expect(
      await damage(
        `printf '[engine]\\nhooks_dir = ["/nowhere"]\\n' > ${home}/.config/containers/containers.conf.d/99-zz.conf`,
      ),
    ).toEqual([
      `error hooks: podman does not read those of --user: ${home}/.config/containers/containers.conf.d/99-zz.conf has the last word on hooks_dir`,
    ]);
    // Somebody else's hooks that came later: our list would hide them.
    expect(
      await damage(
        `printf '[engine]\\nhooks_dir = ["/later"]\\n' > ${home}/.config/containers/containers.conf`,
      ),
    ).toEqual([stale]);
    expect(await lab.user.mustRun("podman", ["--help"])).toContain(`[/later,${hooks}/hooks.d]`);
    await lab.user.mustRun("rm", [`${home}/.config/containers/containers.conf`]);
    await lab.user.mustRun("terok-shield", ["setup", "--uninstall"]);
  });

  test("notices a variable that keeps podman from the hooks", async () => {
    const { home } = lab.user;
    await lab.user.mustRun("terok-shield", ["setup"]);
    await lab.user.writeFile(`${home}/only.conf`, "[engine]\n");
    expect(await complaints({ CONTAINERS_CONF: `${home}/only.conf` })).toMatchObject([
      {
        verdict: "error",
        name: "hooks",
        mend: `add "${home}/.local/share/terok/shield/hooks.d" to hooks_dir in ${home}/only.conf`,
      },
    ]);
    expect(await complaints()).toEqual([]);
    await lab.user.mustRun("terok-shield", ["setup", "--uninstall"]);
  });

  test("counts bundles and processes that are left over", async () => {
    const args = ["run", "left", "--", "-d", ...lab.imageArgs, "sleep", "infinity"];
    await lab.user.mustRun("terok-shield", args);
    const leftOver = async () => (await examine()).find(({ name }) => name === "left-over");
    expect(await leftOver()).toMatchObject({ verdict: "ok" });
    // Monitor and container die at once, so nobody runs the hook that ends the helpers.
    const pids = await lab.user.mustRun("podman", [
      "inspect",
      "--format",
      "{{.State.ConmonPid}} {{.State.Pid}}",
      "left",
    ]);
    const killed = pids.trim().split(" ");
    await lab.user.mustRun("kill", ["-9", ...killed]);
    await until("monitor and container have ended", async () =>
      (await lab.user.processes()).every(({ pid, state }) => state === "Z" || !killed.includes(String(pid))),
    );
    expect(await leftOver()).toMatchObject({
      verdict: "warning",
      found: "processes without a container: 3",
      mend: "terok-shield prune",
    });
    await lab.user.mustRun("terok-shield", ["prune"]);
    expect(await leftOver()).toMatchObject({ verdict: "ok" });
    await lab.podman(["rm", "--force", "left"]);
  });

  test("notices a bundle that another version prepared", async () => {
    await lab.user.mustRun("terok-shield", ["prepare", "old"]);
    expect((await examine()).some(({ name }) => name === "bundle")).toBe(false);
    const manifest = `${lab.user.home}/.local/state/terok/shield/containers/old/bundle.json`;
    await lab.user.mustRun("sed", ["-i", 's/"version":[0-9]*/"version":0/', manifest]);
    expect(await complaints()).toContainEqual(
      expect.objectContaining({ name: "bundle", verdict: "warning", found: "another version prepared old" }),
    );
    await lab.user.mustRun("terok-shield", ["prune", "--all"]);
  });

  test("notices rules that the kernel does not list as they were loaded", async () => {
    const lie = `#!/bin/sh\n[ "$1" = -j ] && exec echo '{"nftables": []}'\nexec /usr/sbin/nft.real "$@"\n`;
    await lab.root.mustRun("mv", ["/usr/sbin/nft", "/usr/sbin/nft.real"]);
    await lab.root.writeFile("/usr/sbin/nft", lie, 0o755);
    const found = await complaints();
    await lab.root.mustRun("mv", ["/usr/sbin/nft.real", "/usr/sbin/nft"]);
    expect(found).toContainEqual(expect.objectContaining({ verdict: "error", name: "kernel" }));
  });

  test("notices a state directory in which nothing can be written", async () => {
    const state = `${lab.user.home}/.local/state/terok/shield`;
    await lab.user.mustRun("chmod", ["0500", state]);
    const found = await complaints();
    await lab.user.mustRun("chmod", ["0700", state]);
    expect(found).toContainEqual(
      expect.objectContaining({ verdict: "error", name: "state", found: expect.stringContaining("EACCES") }),
    );
  });

  test("notices a dnsmasq that may not read what is in the state directory", async () => {
    const confined = `#!/bin/sh\nfor arg; do case $arg in --conf-file=/home/*) echo 'dnsmasq: cannot read' "$arg: Permission denied" >&2; exit 3; esac; done\nexec /usr/sbin/dnsmasq.real "$@"\n`;
    await lab.root.mustRun("mv", ["/usr/sbin/dnsmasq", "/usr/sbin/dnsmasq.real"]);
    await lab.root.writeFile("/usr/sbin/dnsmasq", confined, 0o755);
    const found = await complaints();
    await lab.root.mustRun("mv", ["/usr/sbin/dnsmasq.real", "/usr/sbin/dnsmasq"]);
    expect(found).toContainEqual(
      expect.objectContaining({
        verdict: "error",
        name: "confinement",
        found: expect.stringContaining("Permission denied"),
      }),
    );
  });

  // The last test: it takes the machine apart.
  test("works where nearly everything is missing, and says what mends it", async () => {
    const programs =
      "podman crun runc nft nsenter setpriv flock dnsmasq ulogd dig slirp4netns pasta newuidmap newgidmap";
    // The lab itself needs some of them, but under the names that it resolved: they are hidden from this user alone.
    await lab.root.mustRun("sh", [
      "-c",
      `for p in ${programs}; do for d in /usr/sbin /usr/bin; do [ ! -e $d/$p ] || chmod 0700 $d/$p; done; done
       : > /etc/subuid; : > /etc/subgid; chmod 0600 /dev/net/tun`,
    ]);
    const checks = await examine();
    const errors = checks.filter(({ verdict }) => verdict === "error");
    expect(errors.map(({ name, found }) => `${name}: ${found}`)).toEqual([
      "podman: not installed",
      "runtime: not installed",
      "ids: 0 user ids, 0 group ids",
      "nft: not installed",
      "nsenter: not installed",
      "setpriv: not installed",
      "flock: not installed",
      "network: no slirp4netns",
      "tun: /dev/net/tun may not be used",
    ]);
    expect(errors.every(({ mend }) => mend?.startsWith("sudo "))).toBe(true);
    const warnings = checks.filter(({ verdict }) => verdict === "warning");
    expect(warnings.map(({ name }) => name)).toEqual(["dnsmasq", "ulogd", "hooks"]);
    const { exitCode, stdout } = await lab.shield(["doctor"]);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 1,
      stdout: expect.stringContaining(
        "error    nft      not installed\n    no shielded container can start\n    sudo apt-get install nftables\n",
      ),
    });
  });
});
