import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { prepare } from "./prepare.ts";
import { run } from "./run.ts";
import { restart, start } from "./start.ts";

/** A host whose podman notes its arguments and then does what the line of shell says. */
function makePodmanHost(does: string, script: readonly ScriptedCommand[] = []): Host & { bundle: string } {
  const podman = `${makeTemporaryDirectory()}/podman`;
  writeFileSync(podman, `#!/bin/sh\nprintf '%s\\n' "$@" > "$0.arguments"\n${does}\n`);
  chmodSync(podman, 0o700);
  const host = makeTestHost({
    files: { "profiles/mine.txt": "good.example\n" },
    facts: { ...FULL_MACHINE, programs: { ...FULL_MACHINE.programs, podman } },
    script,
  });
  return { ...host, bundle: `${host.places.state}/containers/web` };
}

async function argumentsOfPodman(host: Host): Promise<string[]> {
  const { podman } = (await host.facts()).programs;
  return readFileSync(`${podman}.arguments`, "utf8").trimEnd().split("\n");
}

describe("run", () => {
  const REQUEST = {
    container: "web",
    profiles: ["mine"],
    podmanArguments: ["-p", "8080:80", "alpine", "sh", "-c", "a b"],
  };

  test("gives podman the shield's options first, then the user's as they are", async () => {
    const host = makePodmanHost("exit 0");
    expect(await run(host, REQUEST)).toBe(0);
    const state = JSON.parse(readFileSync(`${host.bundle}/state.json`, "utf8"));
    expect(state.request.published).toEqual([{ port: 80, protocol: "tcp" }]);
    const { podmanOptions } = await prepare(host, REQUEST);
    expect(await argumentsOfPodman(host)).toEqual(["run", ...podmanOptions, ...REQUEST.podmanArguments]);
  });

  test.each([
    ["exit 0", 0],
    ["exit 1", 1],
    ["exit 42", 42],
    ["exit 125", 125],
    ["kill -TERM $$", 143],
    ["kill -KILL $$", 137],
  ])("exits as podman does: %s", async (does, code) => {
    expect(await run(makePodmanHost(does), REQUEST)).toBe(code);
  });

  test("says why the hook refused, once", async () => {
    const host = makePodmanHost(`echo "the container has NET_ADMIN" > REFUSAL; exit 126`);
    const { podman } = (await host.facts()).programs;
    writeFileSync(podman, readFileSync(podman, "utf8").replace("REFUSAL", `${host.bundle}/refusal.txt`));
    await expect(run(host, REQUEST)).rejects.toThrow(
      new ShieldError("The container web was not started: the container has NET_ADMIN."),
    );
    writeFileSync(podman, "#!/bin/sh\nexit 7\n");
    expect(await run(host, REQUEST)).toBe(7);
  });

  test("an old refusal is not the reason for a new failure", async () => {
    const host = makePodmanHost("exit 3");
    await prepare(host, REQUEST);
    writeFiles(host.bundle, { "refusal.txt": "something of yesterday\n" });
    expect(await run(host, REQUEST)).toBe(3);
  });

  test("refuses what opens the shield before anything is written or run", async () => {
    const host = makePodmanHost("exit 0");
    const home = makeTemporaryDirectory();
    writeFiles(host.places.state, { "containers/other/state.json": "" });
    for (const [podmanArguments, message] of [
      [["--privileged", "alpine"], "--privileged would"],
      [["-v", `${host.places.state}:/x`, "alpine"], `The mount of "${host.places.state}" `],
      [["-v", `${host.places.state}/containers:/x:ro`, "-v", "/:/x", "alpine"], 'The mount of "/" '],
    ] as const) {
      await expect(run(host, { ...REQUEST, podmanArguments })).rejects.toThrow(message);
    }
    await expect(
      run(host, { ...REQUEST, podmanArguments: ["alpine"], trustedMounts: [`${home}/missing`] }),
    ).rejects.toThrow(new ShieldError(`--trust-mount "${home}/missing" does not exist.`, { code: "usage" }));
    await expect(argumentsOfPodman(host)).rejects.toThrow("ENOENT");
    expect(() => readFileSync(`${host.bundle}/state.json`)).toThrow("ENOENT");
  });

  test("takes a mount that the owner insists on, and records it", async () => {
    const host = makePodmanHost("exit 0");
    const podmanArguments = ["-v", "/:/host", "alpine"];
    expect(await run(host, { ...REQUEST, podmanArguments, trustedMounts: ["/"] })).toBe(0);
    expect(JSON.parse(readFileSync(`${host.bundle}/bundle.json`, "utf8")).manifest.trustedMounts).toEqual([
      "/",
    ]);
  });

  test("the owner hears the notes before podman runs", async () => {
    const host = makePodmanHost("exit 0");
    writeFiles(host.places.config, { "profiles/mine.txt": "10.0.0.7\n" });
    const heard: (readonly string[])[] = [];
    await run(host, { ...REQUEST, onPrepared: ({ notes }) => heard.push(notes) });
    expect(heard).toEqual([
      [`${host.places.config}/profiles/mine.txt:1: 10.0.0.7 opens private or special addresses`],
    ]);
  });
});

const HOOKS = (host: { bundle: string }) => [
  "--hooks-dir=/usr/share/containers/oci/hooks.d",
  `--hooks-dir=${host.bundle}/hooks`,
];

describe("start", () => {
  test("starts with the hooks, and with the profiles as they are now", async () => {
    const host = makePodmanHost("exit 5");
    await prepare(host, { container: "web", profiles: ["mine"] });
    writeFiles(host.places.config, { "profiles/mine.txt": "better.example\n" });
    expect(await start(host, { container: "web", podmanArguments: ["--attach"] })).toBe(5);
    expect(await argumentsOfPodman(host)).toEqual([...HOOKS(host), "start", "--attach", "web"]);
    expect(readFileSync(`${host.bundle}/dns-servers`, "utf8")).toMatch(/^server=\/better.example\//);
  });

  test("asks for what was asked for before: ports, mounts, network, loopback ports", async () => {
    const host = makePodmanHost("exit 0");
    await prepare(host, {
      container: "web",
      profiles: ["mine"],
      published: [{ protocol: "udp", port: 53 }],
      trustedMounts: ["/home"],
      fixed: { network: "slirp4netns", loopbackPorts: [5432] },
    });
    const readState = () => JSON.parse(readFileSync(`${host.bundle}/state.json`, "utf8"));
    const before = readState();
    writeFiles(host.places.config, { "config.yml": "network: pasta\nloopback_ports: [80]\n" });
    await start(host, { container: "web", podmanArguments: [] });
    expect(readState()).toEqual({ ...before, revision: before.revision + 1 });
  });

  test("of a container that runs, or that was never made, is refused", async () => {
    const host = makePodmanHost("exit 0");
    await expect(start(host, { container: "web", podmanArguments: [] })).rejects.toThrow(
      new ShieldError("There is no shielded container web. Make it with terok-shield run web -- IMAGE"),
    );
    await prepare(host, { container: "web", profiles: ["mine"] });
    writeFiles(host.bundle, { "runtime.json": JSON.stringify(recordSelf()) });
    await expect(start(host, { container: "web", podmanArguments: [] })).rejects.toThrow(
      "The container web runs.",
    );
  });

  test("says why the hook refused", async () => {
    const host = makePodmanHost("exit 126");
    await prepare(host, { container: "web", profiles: ["mine"] });
    const { podman } = (await host.facts()).programs;
    writeFileSync(podman, `#!/bin/sh\necho "nft is missing" > ${host.bundle}/refusal.txt\nexit 126\n`);
    await expect(start(host, { container: "web", podmanArguments: [] })).rejects.toThrow(
      "The container web was not started: nft is missing.",
    );
  });
});

describe("restart", () => {
  test("of a container that does not run is a start", async () => {
    const host = makePodmanHost("exit 0");
    await prepare(host, { container: "web", profiles: ["mine"] });
    expect(await restart(host, { container: "web", podmanArguments: ["-t", "3"] })).toBe(0);
    expect(await argumentsOfPodman(host)).toEqual([...HOOKS(host), "start", "web"]);
  });

  test("of one that runs stops it first, with podman's own options; while that fails nothing changes", async () => {
    const host = makePodmanHost("exit 0");
    await prepare(host, { container: "web", profiles: ["mine"] });
    writeFiles(host.bundle, { "runtime.json": JSON.stringify(recordSelf()) });
    const before = readFileSync(`${host.bundle}/bundle.json`, "utf8");
    const stopped: string[] = [];
    const failing: Host = {
      ...host,
      runCommand: async ({ args }) => {
        stopped.push(args.join(" "));
        throw new ShieldError("podman failed");
      },
    };
    await expect(restart(failing, { container: "web", podmanArguments: ["-t", "3"] })).rejects.toThrow(
      "podman failed",
    );
    expect(stopped).toEqual(["stop -t 3 web"]);
    expect(readFileSync(`${host.bundle}/bundle.json`, "utf8")).toBe(before);
    const stopping: Host = {
      ...host,
      runCommand: async () => {
        writeFiles(host.bundle, { "runtime.json": "" });
        return { stdout: "web\n" };
      },
    };
    expect(await restart(stopping, { container: "web", podmanArguments: [] })).toBe(0);
    expect(await argumentsOfPodman(host)).toEqual([...HOOKS(host), "start", "web"]);
  });
});
