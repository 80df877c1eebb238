import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { askAddresses, askNames, awaitMarker, awaitResponse } from "./ask-resolver.ts";
import { type Bundle, digest, openBundle, readOwnFile } from "./bundle.ts";
import { parseConfirmation, renderConfirmation } from "./confirmation.ts";
import {
  BUNDLE_FILE,
  type NamesReply,
  type ResolverReply,
  type ResolverRequest,
  type ResolverStage,
} from "./contract.ts";
import { type Response, renderAnswer } from "./dns-message.ts";
import { endHelpers, findHelpers } from "./helper-process.ts";
import { findMarker, MARKER_ZONE, renderMarker, renderMarkerLine } from "./marker.ts";
import { parseObject } from "./oci-state.ts";
import { runLimited, runProgram } from "./run-program.ts";
import { checkIsInside } from "./runtime-record.ts";
import { ShieldRefusal } from "./shield-refusal.ts";
import { replaceFile } from "./write-own-file.ts";

/** What dnsmasq needs: to fill sets and copy marks, to bind port 53, and to drop the rest. */
const CAPABILITIES = ["net_admin", "net_bind_service", "setuid", "setgid", "setpcap"];
/** Benchmarking addresses (RFC 2544, RFC 5180): dnsmasq takes the documentation ranges for private. */
const PROBE_ADDRESSES = {
  A: Buffer.from([198, 18, 255, 254]),
  AAAA: Buffer.from("20010002000000000000fffffffffffe", "hex"),
};
const PROBE_ELEMENTS = { v4: "198.18.255.254", v6: "2001:2::ffff:ffff:fffe" };
const NO_ERROR = 0;
const REFUSED = 5;

/**
 * Starts the container's dnsmasq in this network namespace and asks it, before the container runs, for a name that only
 * this check knows: its answers go into both sets, from which `takeProbesOut` takes them.
 * @param rulesLoaded the sets are there from then on
 */
export async function startResolver(bundle: Bundle, rulesLoaded: Promise<void>): Promise<void> {
  if (bundle.manifest.dns.tier !== "dnsmasq") return;
  const servers = bundle.read("dnsServers");
  const probeName = `${randomName()}.${MARKER_ZONE}`;
  const upstream = await answerProbes(probeName);
  try {
    replaceFile(
      bundle.path("activeDnsServers"),
      `${servers}server=/${probeName}/127.0.0.1#${upstream.address().port}\n`,
    );
    putLogsAside(bundle);
    await startDnsmasq(bundle);
    await rulesLoaded;
    await askProbes(probeName);
  } finally {
    upstream.close();
  }
}

/**
 * Takes the name of the check away from dnsmasq again, and proves that it follows its names: what no policy names has to
 * be refused.
 */
export async function followPolicy(bundle: Bundle): Promise<void> {
  if (bundle.manifest.dns.tier !== "dnsmasq") return;
  const servers = bundle.read("dnsServers");
  const marker = renderMarker(readRevision(bundle), randomName());
  replaceFile(bundle.path("activeDnsServers"), servers + renderMarkerLine(marker));
  signalReload(bundle);
  await confirmServers(bundle);
  await awaitResponse(`not-allowed.${randomName()}`, "A", ({ responseCode }) => responseCode === REFUSED);
}

/** What an earlier run learned says nothing about this one. */
function putLogsAside(bundle: Bundle): void {
  for (const [log, earlier] of [
    ["dnsmasqLog", "earlierDnsmasqLog"],
    ["rotatedDnsmasqLog", "earlierRotatedDnsmasqLog"],
  ] as const) {
    rmSync(bundle.path(earlier), { force: true });
    if (existsSync(bundle.path(log))) renameSync(bundle.path(log), bundle.path(earlier));
  }
}

/**
 * Makes the dnsmasq of a running container follow the servers file that the cli wrote, or start anew with the
 * configuration that it wrote, and asks it for some names. Runs in the container's network namespace.
 * @throws ShieldRefusal when the resolver does not follow, or this is not that container's network namespace.
 */
export async function changeResolver(
  stage: ResolverStage,
  directory: string,
  { ask }: ResolverRequest,
): Promise<ResolverReply> {
  const bundle = openBundle(directory);
  checkIsInside(bundle);
  if (bundle.manifest.dns.tier !== "dnsmasq")
    throw new ShieldRefusal(`the bundle ${directory} has no resolver`);
  readMarkedServers(bundle);
  if (stage === "restartResolver") {
    await restartDnsmasq(bundle);
  } else {
    checkConfiguration(bundle);
    signalReload(bundle);
  }
  await confirmServers(bundle);
  return { answers: await askAddresses(ask) };
}

/**
 * Asks the dnsmasq of a running container for some names. Runs in the container's network namespace.
 * @throws ShieldRefusal when this is not that container's network namespace, or it has no resolver.
 */
export async function askResolver(directory: string, { ask }: ResolverRequest): Promise<NamesReply> {
  const bundle = openBundle(directory);
  checkIsInside(bundle);
  if (bundle.manifest.dns.tier !== "dnsmasq")
    throw new ShieldRefusal(`the bundle ${directory} has no resolver`);
  const marker = findMarker(readOwnFile(bundle.path("activeDnsServers")).toString("utf8"));
  return { names: await askNames(ask, marker) };
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i;

/** @throws ShieldRefusal when the text is no ResolverRequest. */
export function parseResolverRequest(text: string): ResolverRequest {
  const what = "the request on standard input";
  const { ask } = parseObject(text, what);
  if (!Array.isArray(ask) || !ask.every((name) => typeof name === "string" && HOST_NAME.test(name)))
    throw new ShieldRefusal(`${what} names no list of names to ask for`);
  return { ask };
}

/** Queries of the moment in between are lost, so what could fail fails before the old one ends. */
async function restartDnsmasq(bundle: Bundle): Promise<void> {
  bundle.read("dnsmasqConf");
  await runProgram(dnsmasqOf(bundle), ["--test", `--conf-file=${bundle.path("dnsmasqConf")}`]);
  endHelpers(bundle.directory, ["dnsmasq"]);
  await startDnsmasq(bundle);
}

/** Returns when it has its port and its pid file. */
async function startDnsmasq(bundle: Bundle): Promise<void> {
  bundle.read("dnsmasqConf");
  rmSync(bundle.path("confirmedDnsServers"), { force: true });
  rmSync(bundle.path("dnsmasqPid"), { force: true });
  await runLimited(bundle.manifest.programs.setpriv, [
    `--bounding-set=-all,${CAPABILITIES.map((name) => `+${name}`).join(",")}`,
    "--inh-caps=-all",
    dnsmasqOf(bundle),
    `--conf-file=${bundle.path("dnsmasqConf")}`,
  ]);
}

function dnsmasqOf({ manifest }: Bundle): string {
  const { dnsmasq } = manifest.programs;
  if (dnsmasq === undefined) throw new ShieldRefusal("the bundle names no dnsmasq");
  return dnsmasq;
}

/**
 * A dnsmasq that was started with another configuration does not know which ports a new name opens, and would fill the
 * sets of every port. @throws ShieldRefusal unless it was started with the present one.
 */
function checkConfiguration(bundle: Bundle): void {
  const file = bundle.path("confirmedDnsServers");
  const confirmed = existsSync(file) ? parseConfirmation(readOwnFile(file).toString("utf8")) : undefined;
  if (confirmed?.configuration !== digest(Buffer.from(bundle.read("dnsmasqConf"))))
    throw new ShieldRefusal(`dnsmasq was not started with the present ${BUNDLE_FILE.dnsmasqConf}`);
}

function signalReload(bundle: Bundle): void {
  const pid = Number(readFileSync(bundle.path("dnsmasqPid"), "utf8"));
  if (!findHelpers(bundle.directory, ["dnsmasq"]).includes(pid))
    throw new ShieldRefusal("dnsmasq is not running");
  process.kill(pid, "SIGHUP");
}

/** Leaves word of which servers file dnsmasq follows. What it was started with has been checked. */
async function confirmServers(bundle: Bundle): Promise<void> {
  const { servers, marker } = readMarkedServers(bundle);
  await awaitMarker(marker);
  const configuration = digest(Buffer.from(bundle.read("dnsmasqConf")));
  replaceFile(
    bundle.path("confirmedDnsServers"),
    renderConfirmation({ servers: digest(servers), configuration }),
  );
}

function readMarkedServers(bundle: Bundle): { readonly servers: Buffer; readonly marker: string } {
  const servers = readOwnFile(bundle.path("activeDnsServers"));
  const marker = findMarker(servers.toString("utf8"));
  if (marker === undefined) throw new ShieldRefusal(`${bundle.path("activeDnsServers")} holds no marker`);
  return { servers, marker };
}

async function askProbes(name: string): Promise<void> {
  const wasAnswered = (response: Response) => response.responseCode === NO_ERROR && response.answers === 1;
  await Promise.all([awaitResponse(name, "A", wasAnswered), awaitResponse(name, "AAAA", wasAnswered)]);
}

/** Deleting what is not there fails, so this is the check that the sets were filled, and the clean-up in one. */
export async function takeProbesOut({ manifest }: Bundle): Promise<void> {
  if (manifest.dns.tier !== "dnsmasq") return;
  const table = `${manifest.table.family} ${manifest.table.name}`;
  const { v4, v6 } = manifest.dns.learnedSets;
  await runProgram(
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

/** Of the policy that the bundle was made from, for whoever reads the marker. */
function readRevision(bundle: Bundle): number {
  const { revision } = parseObject(bundle.read("state"), BUNDLE_FILE.state);
  if (!Number.isSafeInteger(revision)) throw new ShieldRefusal(`${BUNDLE_FILE.state} names no revision`);
  return revision as number;
}

function randomName(): string {
  return randomBytes(12).toString("hex");
}
