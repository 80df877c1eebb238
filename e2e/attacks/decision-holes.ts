import { type Client, startClient } from "../src/lab/client.ts";
import { PLATFORM, shieldConfig } from "../src/lab/platform.ts";
import type { AttackLab } from "./attack-lab.ts";
import { type Check, findBorrowed, findMiscounted } from "./hole-check.ts";

/** What only a published port, the host's loopback, a decision, or its end brings into the rules. */
export interface Decided {
  /** The first that is not as decided. */
  findInForce(check: Check): Promise<string | undefined>;
  /** Asks for the names that were allowed for a time, for their addresses to be known before bypass. */
  learn(): Promise<void>;
  /** The same of what stays as decided in bypass. */
  findInBypass(check: Check): Promise<string | undefined>;
  findInBlock(check: Check): Promise<string | undefined>;
}

const GRANTED_PORT = 7000;
const PUBLISHED_PORT = 18080;
const SERVED_PORT = 8080;
/** Inside, too, and not published. */
const OWN_PORT = 8090;

/** What a container is started with, for there to be such rules. */
export const STARTED_WITH = {
  config: shieldConfig(`loopback_ports: [${GRANTED_PORT}]\n`),
  podmanArguments: ["--publish", `127.0.0.1:${PUBLISHED_PORT}:${SERVED_PORT}`],
};

const DECISIONS: readonly (readonly string[])[] = [
  ["allow", "198.18.3.0/28", "2001:2::3:0/124"],
  ["deny", "198.18.3.3", "198.18.3.7", "2001:2::3:3", "2001:2::3:7"],
  ["deny", "198.18.3.4:80/tcp", "198.18.3.8:80/tcp", "[2001:2::3:4]:80/tcp", "[2001:2::3:8]:80/tcp"],
  ["deny", "--for", "1h", "198.18.3.5", "198.18.3.6:80/tcp", "2001:2::3:5", "[2001:2::3:6]:80/tcp"],
  ["allow", "--for", "1h", "198.18.3.7", "198.18.3.8:80/tcp", "2001:2::3:7", "[2001:2::3:8]:80/tcp"],
  ["allow", "--for", "1h", "198.18.4.1", "198.18.4.2:9000", "2001:2::4:1", "[2001:2::4:2]:9000"],
  ["allow", "--for", "1h", "leased4.test", "leased6.test", "echo4.test:9000", "echo6.test:9000"],
];
/** Names that are allowed for a time, where they lead, and a port that is open there. */
const LEASED = [
  ["leased4.test", "198.18.4.9", 9000],
  ["leased6.test", "2001:2::4:9", 9000],
  ["echo4.test", "198.18.4.10", 9000],
  ["echo6.test", "2001:2::4:10", 9000],
] as const;
const OPEN = [
  ...["tcp,198.18.3.1,80", "tcp,2001:2::3:1,80"],
  // Denied for good, and allowed for a time.
  ...["tcp,198.18.3.7,80", "tcp,198.18.3.8,80", "tcp,2001:2::3:7,80", "tcp,2001:2::3:8,80"],
  ...["tcp,198.18.4.1,80", "tcp,198.18.4.2,9000", "tcp,2001:2::4:1,80", "tcp,2001:2::4:2,9000"],
  ...["udp,198.18.4.1,9000", "udp,198.18.4.2,9000", "udp,2001:2::4:1,9000", "udp,2001:2::4:2,9000"],
  ...["tcp,leased4.test,80", "tcp,leased6.test,80", "tcp,echo4.test,9000", "tcp,echo6.test,9000"],
  ...["udp,leased4.test,9000", "udp,leased6.test,9000", "udp,echo4.test,9000", "udp,echo6.test,9000"],
  `tcp,${PLATFORM.network.host},${GRANTED_PORT}`,
];
const CLOSED = [
  ...["tcp,198.18.3.3,80", "tcp,198.18.3.4,80", "tcp,2001:2::3:3,80", "tcp,2001:2::3:4,80"],
  ...["tcp,198.18.3.5,80", "tcp,198.18.3.6,80", "tcp,2001:2::3:5,80", "tcp,2001:2::3:6,80"],
];
/** Not for good, and not by these ports. */
const ELSEWHERE = [
  ...["tcp,198.18.4.2,80", "tcp,2001:2::4:2,80", "tcp,echo4.test,80", "tcp,echo6.test,80"],
  `tcp,${PLATFORM.network.host},${GRANTED_PORT + 1}`,
];
/** A server that goes on talking is not heard once its address, or its port, stands there. */
const SILENCING: readonly (readonly [family: "4" | "6", set: string])[] = (["4", "6"] as const).flatMap(
  (family) =>
    ["deny", "deny_ports", "timed_deny", "timed_deny_ports"].map(
      (name) => [family, `${name}_v${family}`] as const,
    ),
);
const TALKERS = { 4: "198.18.1.1", 6: "2001:2::aaaa" };

const SERVE = (address: string, port: number) => `
import socket
with socket.create_server(("${address}", ${port})) as server:
    print("ready", flush=True)
    while True:
        with server.accept()[0] as client:
            client.recv(64)
            client.sendall(b"served")
`;

/** Decides, and starts whoever is asked afterwards. */
export async function decide({ lab, target }: AttackLab): Promise<Decided> {
  for (const [name, address] of LEASED) await lab.internet.setName(name, { addresses: [address] });
  // Datagrams are answered where a name leads.
  await lab.internet.setName("decided.test", {
    addresses: ["198.18.4.1", "198.18.4.2", "2001:2::4:1", "2001:2::4:2"],
  });
  for (const [verb = "", ...words] of DECISIONS) await target.mustShield(verb, ...words);
  const inside = (port: number) => ["podman", "exec", "target", "python3", "-c", SERVE("0.0.0.0", port)];
  const granted = ["python3", "-c", SERVE("127.0.0.1", GRANTED_PORT)];
  for (const [file = "", ...args] of [inside(SERVED_PORT), inside(OWN_PORT), granted]) {
    const server = await lab.user.spawn(file, args);
    await server.waitForOutput("ready");
  }
  const host = await startClient(lab);
  return {
    findInForce: async (check) =>
      (await findOther(target.client, OPEN, true)) ??
      (await findOther(target.client, [...CLOSED, ...ELSEWHERE], false)) ??
      (await findUnpublished(host)) ??
      (await findUntold(target.client)) ??
      (await findUncounted(check)) ??
      (await findForgotten(check)) ??
      (await findBorrowed(check, "leased6.test", ["2001:2::4:9", "7778"])) ??
      (await findBorrowed(check, "echo6.test", ["2001:2::4:10", "9000"])) ??
      (await findHeard(check)),
    learn: async () => {
      await target.client.attempt(...LEASED.map(([name, , port]) => `tcp,${name},${port}`));
    },
    findInBypass: async (check) =>
      (await findOther(target.client, CLOSED, false)) ??
      (await findOther(target.client, ["dns-tcp,127.0.0.1,evil.test"], true)) ??
      (await findKeptMiscounted(check)),
    findInBlock: async () =>
      (await findOther(target.client, [`tcp,127.0.0.1,${OWN_PORT}`], true)) ??
      (await findOther(target.client, ["tcp,198.18.3.1,80", "tcp,2001:2::3:1,80"], false)) ??
      (await findOther(host, [`tcp,127.0.0.1,${PUBLISHED_PORT}`], false)),
  };
}

/** What names led to before bypass counts as allowed in it. */
async function findKeptMiscounted(check: Check): Promise<string | undefined> {
  for (const [, address, port] of LEASED) {
    for (const protocol of ["tcp", "udp"]) {
      const wrong = await findMiscounted(check, `${protocol},${address},${port}`, ["allowed"]);
      if (wrong !== undefined) return `bypass: ${wrong}`;
    }
  }
  return undefined;
}

async function findOther(
  client: Client,
  targets: readonly string[],
  isOpen: boolean,
): Promise<string | undefined> {
  const outcomes = await client.attempt(...targets);
  // What is refused is refused at once.
  const isWrong = (outcome: string) =>
    isOpen ? outcome !== "answered" : ["answered", "silence"].includes(outcome);
  const wrong = outcomes.findIndex(isWrong);
  return wrong < 0 ? undefined : `decided: ${targets[wrong]} gives ${outcomes[wrong]}`;
}

async function findUnpublished(host: Client): Promise<string | undefined> {
  const [outcome] = await host.attempt(`tcp,127.0.0.1,${PUBLISHED_PORT}`);
  return outcome === "answered" ? undefined : `decided: the published port gives ${outcome}`;
}

/** That nobody listens there is told by an ICMP error. */
async function findUntold(client: Client): Promise<string | undefined> {
  const [outcome] = await client.attempt("udp,198.18.4.1,9999");
  return outcome === "ECONNREFUSED" ? undefined : `decided: a port that nobody listens at gives ${outcome}`;
}

async function findHeard({ attackLab, kernel }: Check): Promise<string | undefined> {
  for (const [family, set] of SILENCING) {
    const address = TALKERS[family];
    const item = set.includes("ports") ? `${address} . udp . 9100` : address;
    const element = ["element", "inet", "terok_shield", set, `{ ${item} }`];
    const { steps } = await attackLab.attack("shielded", "talker.py", [address], async () => {
      await kernel.nft("add", ...element);
    });
    await kernel.nft("delete", ...element);
    if (steps["at first"] !== "heard") return `control: the talker at ${address} gives ${steps["at first"]}`;
    if (steps.afterwards !== "silence") return `decided: ${item} in ${set} is still heard over UDP`;
  }
  return undefined;
}

async function findUncounted(check: Check): Promise<string | undefined> {
  for (const flowTo of ["tcp,198.18.4.1,9000", "tcp,leased4.test,9000", "tcp,echo4.test,9000"]) {
    const wrong = await findMiscounted(check, flowTo, ["allowed", "logged_allowed"]);
    if (wrong !== undefined) return `decided: ${wrong}`;
  }
  return undefined;
}

/** A connection to a name that is open for a time goes on when its address is forgotten. */
async function findForgotten({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  for (const [name, address] of [
    ["leased4.test", "198.18.4.9"],
    ["echo4.test", "198.18.4.10"],
  ] as const) {
    const flow = await target.client.open("idle", `tcp,${name},9000`).catch(() => undefined);
    if (flow === undefined) return `control: ${name} cannot be reached`;
    try {
      for (const set of await setsWith(kernel, address))
        await kernel.nft("flush", "set", "inet", "terok_shield", set);
      const outcome = await flow.say();
      if (outcome !== "answered") return `decided: a silent connection to ${name} gives ${outcome}`;
    } finally {
      await flow.close();
    }
  }
  return undefined;
}

/** Those that learned it. */
async function setsWith({ nft }: Check["kernel"], address: string): Promise<string[]> {
  const { nftables } = JSON.parse(await nft("-j", "list", "ruleset")) as {
    nftables: { set?: { name: string; elem?: unknown[] } }[];
  };
  return nftables.flatMap(({ set }) =>
    set?.name.startsWith("dns_") && JSON.stringify(set.elem ?? []).includes(`"${address}"`) ? [set.name] : [],
  );
}
