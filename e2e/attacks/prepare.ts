import { PLATFORM } from "../src/lab/platform.ts";
import type { AttackLab } from "./attack-lab.ts";

interface Prepared {
  readonly args?: readonly string[];
  prepare?(lab: AttackLab): Promise<void>;
}

const HOST_PORT = "9999";
const NEIGHBOUR_PORT = "9998";

/** Says something to whoever connects, on every address of its network. */
const SERVER = `
import socket, sys
server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
if len(sys.argv) > 2:
    unix = socket.socket(socket.AF_UNIX); unix.bind("\\0" + sys.argv[2]); unix.listen()
print("ready", flush=True)
while True:
    client, _ = server.accept()
    client.sendall(b"hello")
    client.close()
`;

/** An address of every range that no public name has, and what an attacker's name server says. */
const REBOUND: Readonly<Record<string, readonly string[]>> = {
  "this-network": ["0.1.2.3"],
  ten: ["10.77.0.7"],
  carrier: ["100.64.7.7"],
  loopback: ["127.0.0.7"],
  metadata: ["169.254.169.254"],
  azure: ["168.63.129.16"],
  "one-seven-two": ["172.20.7.7"],
  protocol: ["192.0.0.192"],
  "one-nine-two": ["192.168.77.7"],
  multicast: ["224.0.0.7"],
  reserved: ["240.0.0.7"],
  "v6-loopback": ["::1"],
  mapped: ["::ffff:a4d:7"],
  nat64: ["64:ff9b::a4d:7"],
  "nat64-local": ["64:ff9b:1::a4d:7"],
  sixtofour: ["2002:a4d:7::1"],
  teredo: ["2001:0:a4d:7::1"],
  "unique-local": ["fd77::7"],
  "site-local": ["fec0::7"],
};

export const PREPARED: Readonly<Record<string, Prepared>> = {
  rebinding: {
    args: [
      ...Object.entries(REBOUND).map(([label, addresses]) => `${label}.rebind.test=${addresses.join(",")}`),
      "alias.rebind.test=10.77.0.7",
      "mixed.rebind.test=10.77.0.7",
    ],
    async prepare({ lab }) {
      for (const [label, addresses] of Object.entries(REBOUND)) {
        await lab.internet.setName(`${label}.rebind.test`, { addresses, ttlSeconds: 0 });
      }
      await lab.internet.setName("alias.rebind.test", { alias: "private.test", ttlSeconds: 0 });
      await lab.internet.setName("mixed.rebind.test", { addresses: ["198.18.0.50", "10.77.0.7"] });
    },
  },
  host: {
    args: [HOST_PORT],
    async prepare({ lab }) {
      const server = await lab.user.spawn("python3", ["-c", SERVER, HOST_PORT, "attack"]);
      await server.waitForOutput("ready");
    },
  },
  neighbours: {
    args: [NEIGHBOUR_PORT],
    async prepare({ lab }) {
      await lab.user.mustRun("podman", [
        ...[
          "run",
          "-d",
          "--name",
          "neighbour",
          PLATFORM.network.option,
          "--publish",
          `${NEIGHBOUR_PORT}:${NEIGHBOUR_PORT}`,
        ],
        ...[...lab.imageArgs, "python3", "-c", SERVER, NEIGHBOUR_PORT],
      ]);
    },
  },
};
