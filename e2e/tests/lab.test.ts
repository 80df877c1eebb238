import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";

describe("in a lab", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab();
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => lab.internet.reset());

  function inContainer(...command: string[]): Promise<string> {
    return lab.user.mustRun("podman", ["run", "--rm", PLATFORM.network.option, ...lab.imageArgs, ...command]);
  }

  test.each([
    { target: "good.test", family: "-4", address: "198.18.0.10" },
    { target: "good.test", family: "-6", address: "2001:2::10" },
    { target: "alias.test", family: "-4", address: "198.18.0.40" },
    { target: "alias.test", family: "-6", address: "2001:2::40" },
    { target: "evil.test", family: "-4", address: "198.18.66.66" },
    { target: "tunnel.evil.test", family: "-6", address: "2001:2::6666" },
    { target: "private.test", family: "-4", address: "10.77.0.7" },
    { target: "home.test", family: "-4", address: "192.168.77.7" },
    { target: "cgnat.test", family: "-4", address: "100.64.7.7" },
    { target: "metadata.test", family: "-4", address: "169.254.169.254" },
    { target: "metadata.test", family: "-6", address: "fd00:ec2::254" },
    { target: "ula.test", family: "-6", address: "fd77::7" },
    { target: "nat64.test", family: "-6", address: "64:ff9b::a4d:7" },
    { target: "6to4.test", family: "-6", address: "2002:a4d:7::1" },
    { target: "198.18.123.45", family: "-4", address: "198.18.123.45" },
    { target: "[2001:2::1234]", family: "-6", address: "2001:2::1234" },
  ])("an unshielded container reaches $target at $address", async ({ target, family, address }) => {
    expect(await inContainer("curl", "-sS", family, target)).toBe(`reached ${address}\n`);
    expect(await lab.internet.httpHits()).toEqual([
      { source: expect.any(String), address, port: 80, host: target, path: "/" },
    ]);
    expect(await lab.internet.arrivals()).toContainEqual({
      ...{ protocol: "tcp", source: expect.any(String), address, port: 80 },
    });
  });

  test.each([
    { server: "198.18.0.53", option: "+notcp", transport: "udp" },
    { server: "198.18.0.53", option: "+tcp", transport: "tcp" },
    { server: "2001:2::53", option: "+notcp", transport: "udp" },
    { server: "2001:2::53", option: "+tcp", transport: "tcp" },
    { server: "198.18.66.66", option: "+notcp", transport: "udp" },
  ])("a name asked of $server by $transport is answered and seen", async ({ server, option, transport }) => {
    expect(await inContainer("dig", "+short", option, `@${server}`, "Good.Test", "AAAA")).toBe(
      "2001:2::10\n",
    );
    expect(await lab.internet.dnsQueries()).toEqual([{ name: "good.test", type: "AAAA", transport, server }]);
  });

  test("a name reaches the name server by way of the container's resolver", async () => {
    expect(await inContainer("getent", "ahostsv4", "alias.test")).toContain("198.18.0.40");
    const queries = await lab.internet.dnsQueries();
    expect(queries).toContainEqual({
      name: "alias.test",
      type: "A",
      transport: "udp",
      server: "198.18.0.53",
    });
  });

  test("an answer of 200 addresses comes by TCP", async () => {
    const answer = await lab.user.mustRun("dig", ["+short", "many.test"]);
    expect(answer.trim().split("\n")).toHaveLength(200);
    expect((await lab.internet.dnsQueries()).map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  test("a name that the zone does not have is NXDOMAIN, and a silent server sees but says nothing", async () => {
    expect(await lab.user.mustRun("dig", ["missing.test"])).toContain("status: NXDOMAIN");
    const ask = ["+tries=1", "+time=1", "@198.18.0.54", "good.test"];
    expect((await lab.user.run("dig", ask)).stdout).toContain("no servers could be reached");
    expect((await lab.internet.dnsQueries()).map(({ name }) => name)).toEqual(["missing.test", "good.test"]);
  });

  test("names can change while the lab runs", async () => {
    const resolve = () => lab.user.mustRun("dig", ["+short", "late.test"]);
    expect(await resolve()).toBe("");
    await lab.internet.setName("late.test", { addresses: ["198.18.5.1"] });
    expect(await resolve()).toBe("198.18.5.1\n");
    await lab.internet.setName("late.test", { addresses: ["198.18.5.2", "198.18.5.3"] });
    expect(await resolve()).toBe("198.18.5.2\n198.18.5.3\n");
    await lab.internet.removeName("late.test");
    expect(await resolve()).toBe("");
  });

  test.each(["198.18.0.10", "2001:2::10"])("TCP and UDP are echoed from %s", async (address) => {
    for (const type of ["SOCK_STREAM", "SOCK_DGRAM"]) {
      expect(await inContainer("python3", "-c", echoProgram(type, address))).toBe("hello\n");
    }
  });

  test("a datagram that no server takes is still an arrival", async () => {
    await lab.user.mustRun("sh", ["-c", "echo x | bash -c 'cat > /dev/udp/203.0.113.9/4242'"]);
    expect(await lab.internet.arrivals()).toEqual([
      { protocol: "udp", source: expect.any(String), address: "203.0.113.9", port: 4242 },
    ]);
    expect(await lab.internet.httpHits()).toEqual([]);
  });

  test("a stream goes on until it is ended", async () => {
    const stream = await lab.user.spawn("curl", ["-4sSN", "http://good.test/stream"]);
    await stream.waitForOutput("still reaching 198.18.0.10\nstill reaching 198.18.0.10\n");
    stream.kill("SIGKILL");
    expect((await stream.finished).exitCode).toBe(128 + 9);
  });

  test("the user is an ordinary one with an empty home", async () => {
    const { uid, home } = lab.user;
    expect(await lab.user.mustRun("sh", ["-c", "id -u; pwd; ls -A"])).toMatch(`${uid}\n${home}\n`);
    expect((await lab.user.run("cat", ["/etc/shadow"])).stderr).toContain("Permission denied");
  });

  test("the host is the distribution, and its podman has the runtime, that the run is about", async () => {
    const { tree = "/", runtime } = PLATFORM;
    const release = await lab.user.mustRun("cat", ["/etc/debian_version"]);
    expect(release).toBe(await readFile(join(tree, "etc/debian_version"), "utf8"));
    const name = await lab.user.mustRun("podman", ["info", "--format", "{{.Host.OCIRuntime.Name}}"]);
    expect(name.trim()).toMatch(runtime ?? /^(crun|runc)$/);
  });

  test("a program gets its input, its environment and a terminal, and gives its exit code", async () => {
    const script = 'cat; echo "$WORD"; test -t 0 && echo terminal; exit 7';
    const options = { stdin: "in\n", env: { WORD: "word" } };
    const result = await lab.user.run("sh", ["-c", script], options);
    expect(result).toEqual({ exitCode: 7, stdout: "in\nword\n", stderr: "" });
    expect((await lab.user.run("sh", ["-c", "test -t 0 && exit 7"], { tty: true })).exitCode).toBe(7);
  });

  test("a signal reaches the program itself", async () => {
    const program = await lab.user.spawn("sh", [
      "-c",
      "trap 'echo caught; exit 3' INT; echo ready; while :; do read line; done",
    ]);
    await program.waitForOutput("ready");
    program.kill("SIGINT");
    expect(await program.finished).toEqual({ exitCode: 3, stdout: "ready\ncaught\n", stderr: "" });
  });

  test("a program that takes too long is killed and named", async () => {
    const run = lab.user.run("sleep", ["1000"], { timeoutMs: 100 });
    await expect(run).rejects.toThrow("Not finished within 100 ms: sleep 1000");
    await until(
      "sleep has ended",
      async () => !(await lab.user.processes()).some(({ name }) => name === "sleep"),
    );
  });

  test("a program whose outputs are held by another one is given up", async () => {
    const run = lab.user.run("sh", ["-c", "echo written; sleep 1000 &"], { timeoutMs: 100 });
    await expect(run).rejects.toThrow(/^Not finished within 100 ms: .*\nwritten\n$/);
    await lab.user.mustRun("pkill", ["sleep"]);
  });

  test("what its root changes stays in the lab", async () => {
    await lab.root.mustRun("sh", [
      "-c",
      "rm /usr/bin/curl && touch /etc/changed-by-lab /root/changed-by-lab",
    ]);
    expect((await lab.user.run("curl", ["--version"])).exitCode).toBe(127);
    expect((await execa("curl", ["--version"])).exitCode).toBe(0);
    await lab.root.mustRun("sh", ["-c", "test -e /etc/changed-by-lab && test -e /root/changed-by-lab"]);
    expect(await readdir("/etc")).not.toContain("changed-by-lab");
    expect(await readdir("/root")).not.toContain("changed-by-lab");
  });
});

test("a hidden tool exists neither on the host nor in a container", async () => {
  const lab = await createLab({ hide: ["/usr/sbin/dnsmasq"] });
  try {
    for (const prefix of [[], ["podman", "run", "--rm", ...lab.imageArgs]]) {
      const [file = "", ...args] = [
        ...prefix,
        "sh",
        "-c",
        "! test -e /usr/sbin/dnsmasq && test -e /usr/bin/dig",
      ];
      await lab.user.mustRun(file, args);
    }
  } finally {
    await lab.destroy();
  }
});

test("destroying a lab with running containers leaves nothing of it", async () => {
  const accounts = await readFile("/etc/passwd", "utf8");
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const lab = await createLab();
  await lab.user.mustRun("podman", [
    "run",
    "--detach",
    PLATFORM.network.option,
    ...lab.imageArgs,
    "sleep",
    "1000",
  ]);
  // Pasta's name has a suffix.
  const awaited = ["conmon", PLATFORM.network.kind, "sleep"];
  await until("the container runs its program", async () => {
    const names = (await lab.user.processes()).map(({ name }) => name);
    return awaited.every((name) => names.some((running) => running.startsWith(name)));
  });
  const namespaces = await namespacesOfUser(lab.user.uid);
  expect(namespaces.size).toBeGreaterThan(0);
  expect(await labCgroups(process.pid)).toHaveLength(1);

  await lab.destroy();

  expect(await processesIn(namespaces)).toEqual([]);
  expect(await labCgroups(process.pid)).toEqual([]);
  expect(await filesOf(lab.user.uid)).toBe("");
  expect(await readFile("/proc/self/mounts", "utf8")).toBe(mounts);
  expect(await readFile("/etc/passwd", "utf8")).toBe(accounts);
});

test("a lab ends with a harness that is killed, and the next lab removes its cgroup", async () => {
  const library = fileURLToPath(new URL("../src/lab/lab.ts", import.meta.url));
  const program = `
    const { createLab } = await import(${JSON.stringify(library)});
    const lab = await createLab();
    console.log(lab.user.uid);
    setInterval(() => {}, 1000);`;
  const harness = execa(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    reject: false,
  });
  const uid = Number(await new Promise((resolve) => harness.stdout.once("data", resolve)));
  const namespaces = await namespacesOfUser(uid);
  expect(namespaces.size).toBeGreaterThan(0);
  // Once its harness has ended, any lab that starts on this machine removes it.
  expect(await labCgroups(harness.pid)).toHaveLength(1);

  harness.kill("SIGKILL");
  await harness;

  await until("no process of the lab is left", async () => (await processesIn(namespaces)).length === 0);
  expect(await filesOf(uid)).toBe("");
  await (await createLab()).destroy();
  expect(await labCgroups(harness.pid)).toEqual([]);
});

function echoProgram(type: string, address: string): string {
  const family = address.includes(":") ? "AF_INET6" : "AF_INET";
  return [
    "import socket",
    `s = socket.socket(socket.${family}, socket.${type})`,
    "s.settimeout(5)",
    `s.connect(("${address}", 9000))`,
    's.send(b"hello")',
    "print(s.recv(9).decode())",
  ].join("\n");
}

/** The user's namespaces, without those that this process has too. */
async function namespacesOfUser(uid: number): Promise<Set<string>> {
  const own = await namespacesOf("self");
  const found = new Set<string>();
  for (const pid of await processIds()) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (status.includes(`\nUid:\t${uid}\t`)) {
      for (const namespace of await namespacesOf(pid)) {
        found.add(namespace);
      }
    }
  }
  return new Set([...found].filter((namespace) => !own.includes(namespace)));
}

async function processesIn(namespaces: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await processIds()) {
    if ((await namespacesOf(pid)).some((namespace) => namespaces.has(namespace))) {
      found.push(pid);
    }
  }
  return found;
}

async function namespacesOf(pid: string): Promise<string[]> {
  const links = ["mnt", "net", "pid", "user", "ipc", "uts"].map((kind) =>
    readlink(`/proc/${pid}/ns/${kind}`),
  );
  return Promise.all(links).catch(() => []);
}

async function processIds(): Promise<string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

async function labCgroups(harness: number | undefined): Promise<string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const directory = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1] ?? "";
  return (await readdir(directory)).filter((name) => name.startsWith(`terok-shield-lab-${harness}-`));
}

async function filesOf(uid: number): Promise<string> {
  const places = ["/tmp", "/var/tmp", "/run", "/dev/shm", "/home"];
  return (await execa("find", [...places, "-uid", String(uid)], { reject: false })).stdout;
}
