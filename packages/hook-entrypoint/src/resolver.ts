import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Bundle } from "./bundle.ts";
import { parseResponse, type QueryType, type Response, renderAnswer, renderQuery } from "./dns-message.ts";
import { findHelpers } from "./helper-process.ts";
import { runProgram } from "./run-program.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** What dnsmasq needs: to fill sets and copy marks, to bind port 53, and to drop the rest. */
const CAPABILITIES = ["net_admin", "net_bind_service", "setuid", "setgid", "setpcap"];
const ANSWER_DEADLINE_MILLISECONDS = 5_000;
const RETRY_MILLISECONDS = 25;
/** Benchmarking addresses (RFC 2544, RFC 5180): dnsmasq takes the documentation ranges for private. */
const PROBE_ADDRESSES = {
  A: Buffer.from([198, 18, 255, 254]),
  AAAA: Buffer.from("20010002000000000000fffffffffffe", "hex"),
};
const PROBE_ELEMENTS = { v4: "198.18.255.254", v6: "2001:2::ffff:ffff:fffe" };
const NO_ERROR = 0;
const REFUSED = 5;

/**
 * Starts the container's dnsmasq in this network namespace and proves that it works before the container runs:
 * a name that only this check knows is asked for, its answer has to arrive in both sets; then the name is
 * taken away again and has to be refused.
 */
export async function startResolver(bundle: Bundle): Promise<void> {
  const { manifest } = bundle;
  if (manifest.dns.tier !== "dnsmasq") return;
  if (manifest.programs.dnsmasq === undefined) throw new ShieldRefusal("the bundle names no dnsmasq");
  const servers = bundle.read("dnsServers");
  const probeName = `${randomBytes(12).toString("hex")}.terok-shield.invalid`;
  const upstream = await answerProbes(probeName);
  try {
    rmSync(bundle.path("dnsmasqPid"), { force: true });
    writeFileSync(
      bundle.path("activeDnsServers"),
      `${servers}server=/${probeName}/127.0.0.1#${upstream.address().port}\n`,
    );
    runProgram(manifest.programs.setpriv, [
      `--bounding-set=-all,${CAPABILITIES.map((name) => `+${name}`).join(",")}`,
      "--inh-caps=-all",
      manifest.programs.dnsmasq,
      `--conf-file=${bundle.path("dnsmasqConf")}`,
    ]);
    await checkSetsFill(bundle, probeName);
  } finally {
    writeFileSync(bundle.path("activeDnsServers"), servers);
    upstream.close();
  }
  process.kill(readPid(bundle), "SIGHUP");
  await awaitResponse(probeName, "A", (response) => response.responseCode === REFUSED);
}

async function checkSetsFill({ manifest }: Bundle, probeName: string): Promise<void> {
  if (manifest.dns.tier !== "dnsmasq") return;
  const table = `${manifest.table.family} ${manifest.table.name}`;
  const { v4, v6 } = manifest.dns.learnedSets;
  const wasAnswered = (response: Response) => response.responseCode === NO_ERROR && response.answers === 1;
  await awaitResponse(probeName, "A", wasAnswered);
  await awaitResponse(probeName, "AAAA", wasAnswered);
  // Deleting what is not there fails, so this is the check and the clean-up in one.
  runProgram(
    manifest.programs.nft,
    ["-f", "-"],
    `delete element ${table} ${v4} { ${PROBE_ELEMENTS.v4} }\ndelete element ${table} ${v6} { ${PROBE_ELEMENTS.v6} }\n`,
  );
}

/** The upstream of the probe name alone, in this process. */
async function answerProbes(name: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const answer = renderAnswer(query, name, PROBE_ADDRESSES);
    if (answer !== undefined) socket.send(answer, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

/** Asks until the answer is as wanted: dnsmasq takes a moment to be there and to read its servers again. */
async function awaitResponse(
  name: string,
  type: QueryType,
  isWanted: (response: Response) => boolean,
): Promise<void> {
  const socket = createSocket("udp4");
  const id = randomInt(0xffff);
  const query = renderQuery(id, name, type);
  const ask = () => socket.send(query, 53, "127.0.0.1");
  const retry = setInterval(ask, RETRY_MILLISECONDS);
  try {
    const signal = AbortSignal.timeout(ANSWER_DEADLINE_MILLISECONDS);
    const messages = on(socket, "message", { signal });
    ask();
    for await (const [message] of messages) {
      const response = parseResponse(message as Buffer);
      if (response?.id === id && isWanted(response)) return;
    }
  } catch (cause) {
    throw new ShieldRefusal(`dnsmasq does not answer as it should: ${(cause as Error).message}`);
  } finally {
    clearInterval(retry);
    socket.close();
  }
}

function readPid(bundle: Bundle): number {
  const pid = Number(readFileSync(bundle.path("dnsmasqPid"), "utf8"));
  if (!findHelpers(bundle.path("dnsmasqConf")).includes(pid))
    throw new ShieldRefusal("dnsmasq did not stay up");
  return pid;
}
