import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Machine } from "./machine.ts";
import { until } from "./until.ts";
import type { ZoneEntry } from "./zone.ts";

/** A packet that reached the internet: an attempt at a TCP connection, or any packet of another protocol. */
interface Arrival {
  readonly protocol: string;
  readonly source: string;
  readonly address: string;
  readonly port: number | undefined;
}

interface HttpHit {
  readonly address: string;
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly source: string;
}

interface DnsQueryHit {
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** The address that was asked. */
  readonly server: string;
}

/**
 * What the other side saw. Every reading first waits until all that had arrived before is in the
 * logs, so an empty list proves that nothing came.
 */
export interface Internet {
  arrivals(): Promise<Arrival[]>;
  httpHits(): Promise<HttpHit[]>;
  dnsQueries(): Promise<DnsQueryHit[]>;
  /** Forgets what came until now. */
  reset(): Promise<void>;
  /** Adds or replaces a name; its addresses answer from then on. */
  setName(name: string, entry: ZoneEntry): Promise<void>;
  removeName(name: string): Promise<void>;
  /** Puts a file on a web server; a host with files has no other pages. */
  setFile(host: string, path: string, content: Uint8Array): Promise<void>;
}

export type ServerCommand =
  | { kind: "mark"; address: string; port: number }
  | { kind: "set-name"; name: string; entry: ZoneEntry }
  | { kind: "remove-name"; name: string }
  | { kind: "set-file"; host: string; path: string; base64: string };

/** `done` answers the command with that number; 0 stands for the start. */
export type ServerEvent =
  | { kind: "done"; id: number }
  | { kind: "http"; hit: HttpHit }
  | { kind: "dns"; hit: DnsQueryHit };

/** Nothing but marks goes there. */
const MARK_ADDRESS = "198.19.255.254";
const MARK_PORTS = { first: 10_000, count: 50_000 };
const PROTOCOL_NAMES: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };
const PACKET_LOG_CONFIGURATION = `[global]
logfile="/dev/stdout"
stack=log1:NFLOG,base1:BASE,ip1:IP2STR,json1:JSON
[log1]
group=1
[json1]
file="/dev/stdout"
sync=1
`;

export async function startInternet(machine: Machine): Promise<Internet> {
  const seen: Seen = { arrivals: [], httpHits: [], dnsQueries: [] };
  const marks = await startPacketLog(machine, seen);
  const command = await startServers(machine, seen);

  let nextMark = 0;
  /** Sends a packet after everything else and waits until the logs have come to it. */
  async function catchUp(): Promise<void> {
    const port = MARK_PORTS.first + (nextMark++ % MARK_PORTS.count);
    marks.delete(port);
    await command({ kind: "mark", address: MARK_ADDRESS, port });
    await until("the packet log shows its mark", () => marks.has(port));
  }
  await until("the packet log is connected", async () => {
    await command({ kind: "mark", address: MARK_ADDRESS, port: MARK_PORTS.first });
    return marks.has(MARK_PORTS.first);
  });

  async function read<Key extends keyof Seen>(key: Key): Promise<Seen[Key]> {
    await catchUp();
    return [...seen[key]] as Seen[Key];
  }
  return {
    arrivals: () => read("arrivals"),
    httpHits: () => read("httpHits"),
    dnsQueries: () => read("dnsQueries"),
    async reset() {
      await catchUp();
      for (const list of Object.values(seen)) {
        list.length = 0;
      }
    },
    setName: (name, entry) => command({ kind: "set-name", name, entry }),
    removeName: (name) => command({ kind: "remove-name", name }),
    setFile: (host, path, content) =>
      command({ kind: "set-file", host, path, base64: Buffer.from(content).toString("base64") }),
  };
}

interface Seen {
  arrivals: Arrival[];
  httpHits: HttpHit[];
  dnsQueries: DnsQueryHit[];
}

async function startServers(
  machine: Machine,
  seen: Seen,
): Promise<(command: ServerCommand) => Promise<void>> {
  const servers = enterInternet(machine, process.execPath, [
    ...["--import", createRequire(import.meta.url).resolve("tsx")],
    fileURLToPath(new URL("./internet-servers.ts", import.meta.url)),
  ]);
  const waiting = new Map<number, () => void>();
  const ready = new Promise<void>((resolve) => waiting.set(0, resolve));
  createInterface(servers.stdout).on("line", (line) => {
    const event: ServerEvent = JSON.parse(line);
    switch (event.kind) {
      case "done":
        waiting.get(event.id)?.();
        waiting.delete(event.id);
        break;
      case "http":
        seen.httpHits.push(event.hit);
        break;
      case "dns":
        seen.dnsQueries.push(event.hit);
        break;
    }
  });
  await Promise.race([ready, servers.ended]);

  let lastId = 0;
  return async (command) => {
    const id = ++lastId;
    const done = new Promise<void>((resolve) => waiting.set(id, resolve));
    servers.stdin.write(`${JSON.stringify({ id, command })}\n`);
    await Promise.race([done, servers.ended]);
  };
}

async function startPacketLog(machine: Machine, seen: Seen): Promise<Set<number>> {
  const marks = new Set<number>();
  const configuration = machine.path("/run/lab/packet-log.conf");
  await writeFile(configuration, PACKET_LOG_CONFIGURATION);
  // ulogd opens its output by name, which a pipe allows and the socket that Node gives does not.
  const packetLog = enterInternet(machine, "sh", [
    "-c",
    `/usr/sbin/ulogd --configfile ${configuration} | cat`,
  ]);
  createInterface(packetLog.stdout).on("line", (line) => {
    if (!line.startsWith("{")) {
      return; // What ulogd says about itself.
    }
    const arrival = parseArrival(line);
    if (arrival.address === MARK_ADDRESS) {
      marks.add(arrival.port ?? 0);
    } else {
      seen.arrivals.push(arrival);
    }
  });
  return marks;
}

/** Runs a program in the internet's network that ends with the machine, but sees this side's files. */
function enterInternet(machine: Machine, file: string, args: readonly string[]) {
  const namespaces = [`--pid=/proc/${machine.pid}/ns/pid`, `--net=${machine.path("/run/lab/internet")}`];
  const running = execa("nsenter", [...namespaces, file, ...args], {
    // Else tsx leaves a directory of compiled files behind.
    env: { TSX_DISABLE_CACHE: "1" },
    stdin: "pipe",
    reject: false,
    buffer: { stdout: false },
  });
  const ended = running.then(({ stderr }): never => {
    throw new Error(`${file} of the lab's internet ended:\n${stderr}`);
  });
  ended.catch(() => {});
  return { stdin: running.stdin, stdout: running.stdout, ended };
}

function parseArrival(line: string): Arrival {
  const packet = JSON.parse(line);
  const protocol: number = packet["ip.protocol"];
  return {
    protocol: PROTOCOL_NAMES[protocol] ?? String(protocol),
    source: packet.src_ip,
    address: packet.dest_ip,
    port: packet.dest_port,
  };
}
