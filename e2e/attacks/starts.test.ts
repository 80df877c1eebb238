import { afterAll, beforeAll, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { installedShield } from "../tests/installed-shield.ts";
import { startShielded } from "../tests/shielded-container.ts";

/** 200 with `pnpm attack:full`. */
const STARTS = process.env.ATTACK_FULL === "1" ? 200 : 10;
/** The very first instructions: no interpreter that takes long to start. */
const FIRST = "exec 3>/dev/udp/198.18.66.66/9000; echo x >&3; exec 4<>/dev/tcp/198.18.66.66/9000";

let lab: Lab;
beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/starts.txt`, "198.18.1.1\n");
});
afterAll(() => lab?.destroy());

test(
  `a first instruction that connects gets nowhere, in ${STARTS} starts`,
  async () => {
    const plain = ["--rm", ...lab.imageArgs, "bash", "-c", FIRST];
    await lab.podman(["run", "--network", "slirp4netns", ...plain]);
    expect((await evilArrivals()).length).toBeGreaterThanOrEqual(2);
    await lab.internet.reset();
    for (let start = 0; start < STARTS; start += 1) {
      const { exitCode, stderr } = await lab.shield([
        "run",
        "starts",
        "--profiles",
        "starts",
        "--",
        ...plain,
      ]);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: expect.stringContaining("No route to host"),
      });
    }
    expect(await evilArrivals()).toEqual([]);
  },
  60_000 + STARTS * 10_000,
);

test("a name that is answered with a public address first and then a private one opens nothing private", async () => {
  await lab.internet.setName("flip.test", { addresses: ["198.18.0.60"], ttlSeconds: 0 });
  const shielded = await startShielded(lab, "flip", "flip.test\n");
  expect(await shielded.see("tcp,flip.test,80")).toEqual({ "tcp,flip.test,80": "open" });
  for (const address of ["10.77.0.7", "169.254.169.254", "192.168.77.7"]) {
    await lab.internet.setName("flip.test", { addresses: [address], ttlSeconds: 0 });
    await lab.internet.reset();
    expect((await shielded.client.attempt("tcp,flip.test,80"))[0]).not.toBe("answered");
    expect(await shielded.see(`tcp,${address},80`)).toEqual({ [`tcp,${address},80`]: "refused" });
    expect((await lab.internet.arrivals()).filter((arrival) => arrival.address === address)).toEqual([]);
  }
  await shielded.remove();
});

test("from a published port nothing goes to one who never asked", async () => {
  const send =
    "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',9001));s.sendto(b'x',('198.18.66.66',9000))";
  const attack = [...["--rm", "--publish", "9001:9001/udp"], ...lab.imageArgs, "python3", "-c", send];
  await lab.internet.reset();
  await lab.podman(["run", "--network", "slirp4netns", ...attack]);
  expect((await evilArrivals()).length).toBe(1);
  await lab.internet.reset();
  const { stderr } = await lab.shield(["run", "starts", "--profiles", "starts", "--", ...attack]);
  expect(stderr).toContain("Operation not permitted");
  expect(await evilArrivals()).toEqual([]);
});

/** A known limit: what the owner mounts is the container's. */
test("a unix socket that the owner mounts is reached, as the limits say", async () => {
  const server =
    "import socket;s=socket.socket(socket.AF_UNIX);s.bind('/tmp/open/plain.sock');s.listen();print('ready',flush=True)\nwhile True: s.accept()[0].sendall(b'hello')";
  await lab.user.mustRun("mkdir", ["-p", "/tmp/open"]);
  const running = await lab.user.spawn("python3", ["-c", server]);
  await running.waitForOutput("ready");
  const { stdout } = await lab.shield([
    ...[
      "run",
      "sockets",
      "--profiles",
      "starts",
      "--",
      "--rm",
      "--volume",
      "/tmp/open:/open",
      ...lab.imageArgs,
    ],
    ...[
      "python3",
      "-c",
      "import socket;s=socket.socket(socket.AF_UNIX);s.connect('/open/plain.sock');print(s.recv(9))",
    ],
  ]);
  expect(stdout).toContain("hello");
});

async function evilArrivals() {
  return (await lab.internet.arrivals()).filter(({ address }) => address === "198.18.66.66");
}
