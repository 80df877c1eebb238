/** The servers of the lab's internet. Run by internet.ts, which sends commands and reads events, a JSON line each. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, isIPv4, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { parseQuery, renderReply } from "./dns-message.ts";
import type { ServerCommand, ServerEvent } from "./internet.ts";
import { NAMESERVERS, SILENT_NAMESERVER, ZONE, type ZoneEntry } from "./zone.ts";

const DNS_PORT = 53;
const HTTP_PORTS = [80, 443, 8080];
const TCP_ECHO_PORTS = [7, 9000];
const UDP_ECHO_PORTS = [7, 123, 443, 9000];
const STREAM_INTERVAL_MS = 20;

const zone = new Map<string, ZoneEntry>(Object.entries(ZONE));
/** By host, then by path. */
const files = new Map<string, Map<string, Buffer>>();
const servedByUdp = new Set<string>();
const markerSocket = createSocket("udp4");

const addressesInZone = [...zone.values()].flatMap(({ addresses = [] }) => addresses);
await Promise.all([
  ...HTTP_PORTS.map((port) => listen(createHttpServer(serveHttp), port)),
  ...TCP_ECHO_PORTS.map((port) => listen(createServer(serveTcpEcho), port)),
  listen(createServer(serveDnsByTcp), DNS_PORT),
  ...[...NAMESERVERS, SILENT_NAMESERVER, ...addressesInZone].map(serveUdp),
]);
createInterface(process.stdin).on("line", (line) => obey(JSON.parse(line)));
tell({ kind: "done", id: 0 });

async function obey({ id, command }: { id: number; command: ServerCommand }): Promise<void> {
  switch (command.kind) {
    case "mark":
      await new Promise((resolve) => markerSocket.send("", command.port, command.address, resolve));
      // A full turn of the event loop, so that what came before the command has been told.
      await new Promise((resolve) => setImmediate(resolve));
      break;
    case "set-name":
      zone.set(command.name, command.entry);
      await Promise.all((command.entry.addresses ?? []).map(serveUdp));
      break;
    case "remove-name":
      zone.delete(command.name);
      break;
    case "set-file": {
      const ofHost = files.get(command.host) ?? new Map<string, Buffer>();
      files.set(command.host, ofHost.set(command.path, Buffer.from(command.base64, "base64")));
      break;
    }
  }
  tell({ kind: "done", id });
}

function tell(event: ServerEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Listens on every address of both families. */
async function listen(server: Server, port: number): Promise<void> {
  server.on("connection", (socket: Socket) => socket.on("error", () => {}));
  server.listen(port, "::");
  await once(server, "listening");
}

function serveHttp({ url = "", headers, socket }: IncomingMessage, response: ServerResponse): void {
  const address = plainAddress(socket.localAddress);
  const source = plainAddress(socket.remoteAddress);
  tell({
    kind: "http",
    hit: { source, address, port: socket.localPort ?? 0, host: headers.host ?? "", path: url },
  });
  response.setHeader("connection", "close");
  const ofHost = files.get((headers.host ?? "").replace(/:\d+$/, ""));
  if (ofHost !== undefined) {
    const content = ofHost.get(url.replace(/\?.*$/, ""));
    response.statusCode = content === undefined ? 404 : 200;
    response.end(content);
    return;
  }
  if (url !== "/stream") {
    response.end(`reached ${address}\n`);
    return;
  }
  const timer = setInterval(() => response.write(`still reaching ${address}\n`), STREAM_INTERVAL_MS);
  response.on("close", () => clearInterval(timer));
}

function serveTcpEcho(socket: Socket): void {
  socket.pipe(socket);
}

function serveDnsByTcp(socket: Socket): void {
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      const reply = answer(received.subarray(2, end), "tcp", plainAddress(socket.localAddress));
      received = received.subarray(end);
      if (reply !== undefined) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([length, reply]));
      }
    }
  });
}

/** A reply by UDP has to come from the address that was asked, so each address has sockets of its own. */
async function serveUdp(address: string): Promise<void> {
  if (servedByUdp.has(address) || address.startsWith("::ffff:")) {
    return;
  }
  servedByUdp.add(address);
  const sockets = [DNS_PORT, ...UDP_ECHO_PORTS].map(async (port) => {
    const socket = createSocket(isIPv4(address) ? "udp4" : "udp6");
    socket.on("message", (message, sender) => {
      const reply = port === DNS_PORT ? answer(message, "udp", address) : message;
      if (reply !== undefined) {
        socket.send(reply, sender.port, sender.address);
      }
    });
    socket.bind(port, address);
    await once(socket, "listening");
  });
  await Promise.all(sockets);
}

/** Every address is a name server, evil's too; all but the silent one know the same zone. */
function answer(message: Buffer, transport: "udp" | "tcp", server: string): Buffer | undefined {
  const query = parseQuery(message);
  if (query === undefined) {
    return undefined;
  }
  tell({ kind: "dns", hit: { name: query.name, type: query.type, transport, server } });
  return server === SILENT_NAMESERVER ? undefined : renderReply(zone, query, transport);
}

function plainAddress(address = ""): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, "");
}
