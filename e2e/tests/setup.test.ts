import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

const ALLOWED = "198.18.1.1";
const CLOSED = "198.18.66.66";

/** Every shielded container here leaves a mark on the host, tries a closed address and an allowed one, and says what came. */
const TRY = `touch /marks/$(date +%N)
curl -sS --max-time 5 http://${CLOSED}/
curl -sS --max-time 5 http://${ALLOWED}/`;
const TRY_AND_STAY = ["sh", "-c", `${TRY}\nexec sleep infinity`];

describe("terok-shield setup", () => {
  let lab: Lab;
  let marks: string;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    marks = `${lab.user.home}/marks`;
    await lab.user.mustRun("mkdir", [marks]);
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/life.txt`, `${ALLOWED}\n`);
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/config.yml`,
      shieldConfig("default_profiles: [life]\n"),
    );
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => forget());
  afterEach(async () => {
    await lab.root.run("terok-shield", ["setup", "--system", "--uninstall"]);
    await lab.shield(["setup", "--uninstall"]);
    await until("no container is left", async () => {
      await lab.podman(["rm", "--force", "--time=0", "--all"]);
      return (await lab.podman(["ps", "--all", "--quiet"])).stdout === "";
    });
    await lab.user.run("sh", ["-c", `rm -rf ${lab.user.home}/.config/containers ${bundle("web")}`]);
  });

  const bundle = (name: string) => `${lab.user.home}/.local/state/terok/shield/containers/${name}`;
  const userHooks = () => `${lab.user.home}/.local/share/terok/shield/hooks.d`;
  const dropIns = () => `${lab.user.home}/.config/containers/containers.conf.d`;
  const inContainer = (...command: string[]) => ["--volume", `${marks}:/marks`, ...lab.imageArgs, ...command];

  async function forget(): Promise<void> {
    await lab.user.run("sh", ["-c", `rm -f ${marks}/*`]);
    await lab.internet.reset();
  }

  async function marksLeft(): Promise<number> {
    return (await lab.user.mustRun("ls", [marks])).split("\n").filter((line) => line !== "").length;
  }

  async function mustShield(...args: string[]): Promise<string> {
    return lab.user.mustRun("terok-shield", args);
  }

  async function run(...podmanArguments: string[]): Promise<void> {
    await mustShield("run", "web", "--", "-d", ...podmanArguments);
  }

  async function stop(): Promise<void> {
    await lab.user.mustRun("podman", ["stop", "--time=0", "web"]);
  }

  /** What podman itself says of its hooks. */
  async function hooksDirectories(): Promise<string[]> {
    const help = await lab.user.mustRun("podman", ["--help"]);
    return (/--hooks-dir .*\(default \[(.*)\]\)/.exec(help)?.[1] ?? "").split(",");
  }

  /** It ran once since `forget`, and only the allowed address heard of it. */
  async function expectShieldedRun(): Promise<void> {
    await until("the allowed address was reached", async () => (await lab.internet.httpHits()).length > 0);
    expect(await marksLeft()).toBe(1);
    expect((await lab.internet.arrivals()).map(({ address }) => address)).toEqual([ALLOWED]);
    expect(JSON.parse(await mustShield("status", "web", "--json"))).toMatchObject({ status: { kind: "up" } });
  }

  async function expectRefusedStart(): Promise<void> {
    expect(await lab.podman(["start", "web"])).toMatchObject({ exitCode: 125 });
    expect({ marks: await marksLeft(), arrivals: await lab.internet.arrivals() }).toEqual({
      marks: 0,
      arrivals: [],
    });
  }

  test.each([["start"], ["restart"]])(
    "lets plain podman %s bring a stopped container up shielded, which was refused before",
    async (verb) => {
      await run(...inContainer(...TRY_AND_STAY));
      await expectShieldedRun();
      await stop();
      await forget();
      await expectRefusedStart();
      await mustShield("setup");
      await lab.user.mustRun("podman", [verb, "web"]);
      await expectShieldedRun();
    },
  );

  test("lets a container that was only created come up shielded", async () => {
    await mustShield("setup");
    await lab.user.mustRun("sh", [
      "-c",
      'podman create $(terok-shield prepare web) "$@"',
      "create",
      ...inContainer(...TRY_AND_STAY),
    ]);
    await lab.user.mustRun("podman", ["start", "web"]);
    await expectShieldedRun();
  });

  test("lets a restart policy bring a container up shielded, each time", async () => {
    await mustShield("setup");
    await run("--restart=always", ...inContainer("sh", "-c", `${TRY}\nexit 1`));
    await until("the container came up four times", async () => (await marksLeft()) >= 4, 30_000);
    await lab.podman(["rm", "--force", "--time=0", "web"]);
    const arrivals = (await lab.internet.arrivals()).map(({ address }) => address);
    expect(arrivals.length).toBeGreaterThanOrEqual(3);
    expect(new Set(arrivals)).toEqual(new Set([ALLOWED]));
  }, 60_000);

  test("lets what starts containers after a reboot bring them up shielded, in a fresh login", async () => {
    await mustShield("setup");
    await run("--restart=always", ...inContainer(...TRY_AND_STAY));
    await expectShieldedRun();
    await reboot();
    await forget();
    // What podman-restart.service runs.
    await lab.user.mustRun("podman", ["start", "--all", "--filter", "restart-policy=always"]);
    await expectShieldedRun();
  });

  /** Nothing of the user's runs any more, and what lies in memory alone is gone. */
  async function reboot(): Promise<void> {
    for (const { pid } of await lab.user.processes()) await lab.root.run("kill", ["-9", String(pid)]);
    await until("no process of the user is left", async () =>
      (await lab.user.processes()).every(({ state }) => state === "Z"),
    );
    await lab.root.mustRun("sh", [
      "-c",
      `rm -rf ${lab.user.runtimeDirectory}/* ${lab.user.runtimeDirectory}/.[!.]* /tmp/podman-run-* /tmp/containers-user-* /tmp/storage-run-*`,
    ]);
  }

  test("leaves containers of others as they are, whatever becomes of our hooks", async () => {
    await mustShield("setup");
    await run(...inContainer(...TRY_AND_STAY));
    await stop();
    await lab.user.mustRun("sh", ["-c", `: > ${userHooks()}/../terok-shield-hook.cjs`]);
    await forget();
    await expectRefusedStart();
    const args = ["run", "--rm", "--name=stranger", ...lab.imageArgs, "curl", "-sS", `http://${CLOSED}/`];
    expect(await lab.podman(args)).toMatchObject({ exitCode: 0, stdout: `reached ${CLOSED}\n` });
  });

  test.each([
    { damage: "the createRuntime hook is missing", command: "rm $H/terok-shield-createRuntime.json" },
    { damage: "the precreate hook is missing", command: "rm $H/terok-shield-precreate.json" },
    { damage: "all hooks are missing", command: "rm $H/*.json" },
    { damage: "the hook's file is missing", command: "rm $H/../terok-shield-hook.cjs" },
    {
      damage: "podman does not read them any more",
      command: `printf '[engine]\\nhooks_dir = ["/nowhere"]\\n' > $D/99-zz.conf`,
    },
  ])("opens nothing when $damage", async ({ command }) => {
    await mustShield("setup");
    await run(...inContainer(...TRY_AND_STAY));
    await stop();
    await lab.user.mustRun("sh", ["-c", `H=${userHooks()} D=${dropIns()}; ${command}`]);
    await forget();
    await expectRefusedStart();
    // The same start with the hooks in place.
    await lab.user.mustRun("sh", ["-c", `rm -f ${dropIns()}/99-zz.conf`]);
    await mustShield("setup");
    await lab.user.mustRun("podman", ["start", "web"]);
    await expectShieldedRun();
  });

  test("keeps hooks of others working, and fires each hook once", async () => {
    const other = `${lab.user.home}/hooks of others`.replaceAll(" ", "-");
    const hook = {
      version: "1.0.0",
      hook: { path: "/bin/sh", args: ["sh", "-c", `cat > /dev/null; echo >> ${lab.user.home}/other-fired`] },
      when: { always: true },
      stages: ["createRuntime"],
    };
    await lab.user.writeFile(`${other}/other.json`, JSON.stringify(hook));
    await lab.user.writeFile(
      `${lab.user.home}/.config/containers/containers.conf`,
      `[engine]\nhooks_dir = ["${other}"]\n`,
    );
    await mustShield("setup");
    expect(await hooksDirectories()).toEqual([other, userHooks()]);

    const count = async () => {
      const fired = await lab.user.run("sh", ["-c", `wc -l < ${lab.user.home}/other-fired`]);
      const events = (await mustShield("logs", "--container", "web", "-n", "100")).match(/"action":"setup"/g);
      const resolvers = (await lab.user.processes()).filter(
        ({ name, command }) => name === "dnsmasq" && command.includes(bundle("web")),
      );
      return { other: Number(fired.stdout), ours: events?.length ?? 0, resolvers: resolvers.length };
    };
    await run(...inContainer(...TRY_AND_STAY));
    expect(await count()).toEqual({ other: 1, ours: 1, resolvers: 1 });
    await stop();
    await mustShield("start", "web");
    expect(await count()).toEqual({ other: 2, ours: 2, resolvers: 1 });
    await stop();
    await lab.user.mustRun("podman", ["start", "web"]);
    expect(await count()).toEqual({ other: 3, ours: 3, resolvers: 1 });
    await lab.user.mustRun("podman", ["run", "--rm", ...lab.imageArgs, "true"]);
    expect(await count()).toEqual({ other: 4, ours: 3, resolvers: 1 });
  });

  test("can be repeated, and its undoing leaves nothing", async () => {
    const files = () =>
      lab.user.mustRun("sh", [
        "-c",
        "cd && find .config .local/share/terok -printf '%p %T@\\n' 2>/dev/null | sort; true",
      ]);
    const names = async () => (await files()).replaceAll(/ [\d.]+$/gm, "");
    const before = await names();
    expect(await mustShield("setup")).toMatch(/^wrote .*\/terok-shield-hook\.cjs$/m);
    const once = await files();
    expect(await mustShield("setup", "--user")).toMatch(/^Nothing to do: /);
    expect(await files()).toBe(once);
    expect(await mustShield("setup", "--uninstall")).toMatch(/^removed .*\/99-terok-shield\.conf$/m);
    expect(await names()).toBe(before);
    expect(await mustShield("setup", "--uninstall")).toMatch(/^Nothing to do: /);

    await run(...inContainer(...TRY_AND_STAY));
    await stop();
    await forget();
    await expectRefusedStart();
    await mustShield("start", "web");
    await expectShieldedRun();
  });

  test("says what stays behind when it is undone while a container runs that podman started", async () => {
    await mustShield("setup");
    await run(...inContainer(...TRY_AND_STAY));
    await stop();
    await lab.user.mustRun("podman", ["start", "web"]);
    const { stderr } = await lab.shield(["setup", "--uninstall"]);
    expect(stderr).toBe(
      "terok-shield: note: web runs: what helps it may stay behind when it ends. See terok-shield prune\n",
    );
    await stop();
    await mustShield("prune");
    expect((await lab.user.processes()).filter(({ command }) => command.includes(bundle("web")))).toEqual([]);
  });

  test("says so when podman reads another file's list last", async () => {
    await lab.user.writeFile(`${dropIns()}/99-zz.conf`, '[engine]\nhooks_dir = ["/nowhere"]\n');
    expect(await lab.shield(["setup"])).toMatchObject({
      exitCode: 1,
      stderr: `The hooks are installed, but podman does not read them: ${dropIns()}/99-zz.conf has the last word on hooks_dir. Add "${userHooks()}" to that list.\n`,
    });
    await lab.user.writeFile(`${dropIns()}/99-zz.conf`, `[engine]\nhooks_dir = ["${userHooks()}"]\n`);
    expect(await lab.shield(["setup"])).toMatchObject({ exitCode: 0 });
  });

  test("is done for every user by root alone", async () => {
    expect(await lab.shield(["setup", "--system"])).toMatchObject({ exitCode: 2, stdout: "" });
    expect(await lab.shield(["setup", "--system", "--user"])).toMatchObject({ exitCode: 2, stdout: "" });

    await run(...inContainer(...TRY_AND_STAY));
    await stop();
    await forget();
    await expectRefusedStart();
    await lab.root.mustRun("terok-shield", ["setup", "--system"]);
    await lab.user.mustRun("podman", ["start", "web"]);
    await expectShieldedRun();
    await stop();
    await lab.root.mustRun("terok-shield", ["setup", "--system", "--uninstall"]);
    await forget();
    await expectRefusedStart();
    const left = "ls -d /usr/local/lib/terok-shield /etc/containers/containers.conf.d";
    expect((await lab.root.run("sh", ["-c", left])).stdout).toBe("");
  });
});
