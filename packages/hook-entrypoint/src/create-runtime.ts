import { appendFileSync, lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { appendEvent } from "./audit-event.ts";
import { type Bundle, openBundle } from "./bundle.ts";
import { canonicalListing, sortLines } from "./canonical-listing.ts";
import { findSpecFaults } from "./container-spec.ts";
import { ANNOTATION, BUNDLE_VERSION, NEXT_TRANSACTION } from "./contract.ts";
import { endHelpers } from "./helper-process.ts";
import { startLogKeeper, startPacketReader } from "./log-keeper.ts";
import { parseMountInfo } from "./mount-points.ts";
import { findForeignProcess, namespaceInode, readStartTime } from "./network-namespace.ts";
import type { OciState } from "./oci-state.ts";
import { type ContainerSpec, parseContainerSpec } from "./parse-container-spec.ts";
import { followPolicy, startResolver, takeProbesOut } from "./resolver.ts";
import { allEnded, runProgram } from "./run-program.ts";
import { isRunning, readRuntimeRecord, writeRuntimeRecord } from "./runtime-record.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** A set may list ten thousand addresses. */
const MAX_SHOWN_LENGTH = 300;

/**
 * Shields a container whose namespaces exist and whose first process has not started. Runs in the
 * container's network namespace.
 * @throws ShieldRefusal, upon which the runtime does not start the container.
 */
export async function createRuntime(state: OciState, stateDirectory: string): Promise<void> {
  const bundle = openBundle(stateDirectory);
  const pid = checkState(state, bundle);
  const spec = checkSpec(state, bundle);
  checkNamespace(pid);
  checkNotInUse(state, bundle);
  try {
    endHelpers(bundle.directory);
    await startAll(bundle);
    const probesOut = takeProbesOut(bundle);
    await allEnded([probesOut, followPolicy(bundle).then(() => checkListing(bundle, probesOut))]);
    const hostsFile = addHosts(bundle, spec, state.id);
    writeRuntimeRecord(bundle.directory, {
      containerId: state.id,
      pid,
      startTime: readStartTime(pid),
      networkNamespace: networkInode(pid),
      ownerPid: findMonitor(),
      ...(hostsFile === undefined ? {} : { hostsFile }),
    });
    startLogKeeper(bundle, pid);
    // Whoever changes the policy from here on finds the record, and so changes the kernel's rules, too.
    if (bundle.isReplaced()) throw new ShieldRefusal("its policy changed during the start. Start it again");
    if (state.annotations[ANNOTATION.auditEnabled] === "true") {
      const { tier } = bundle.manifest.dns;
      appendEvent(bundle.directory, {
        action: "setup",
        detail: `shield up, ${tier} tier`,
        tier,
        containerId: state.id,
      });
    }
  } catch (cause) {
    endHelpers(bundle.directory);
    throw cause;
  }
}

/** Side by side, since the container waits for it, and none of its processes runs yet. */
async function startAll(bundle: Bundle): Promise<void> {
  const loaded = loadRuleset(bundle);
  // To load the rules takes longest, so it shares the processors with as little as may be.
  const reading = loaded.then(() => startPacketReader(bundle));
  await allEnded([loaded, startResolver(bundle, loaded), reading]);
}

/** The ruleset makes its table, and so fails where another hook of the same start has: that table has to go first. */
async function loadRuleset(bundle: Bundle): Promise<void> {
  const { nft } = bundle.manifest.programs;
  const { family, name } = bundle.manifest.table;
  const transactions = bundle.read("ruleset").split(NEXT_TRANSACTION);
  const load = async () => {
    for (const transaction of transactions) await runProgram(nft, ["-f", "-"], transaction);
  };
  try {
    await load();
  } catch (cause) {
    await runProgram(nft, ["delete", "table", family, name]).catch(() => Promise.reject(cause));
    await load();
  }
}

function checkState({ annotations, pid }: OciState, { directory, manifest }: Bundle): number {
  if (annotations[ANNOTATION.stateDirectory] !== directory) {
    throw new ShieldRefusal(
      `the annotation ${ANNOTATION.stateDirectory} is ${JSON.stringify(annotations[ANNOTATION.stateDirectory])}, not ${directory}`,
    );
  }
  if (annotations[ANNOTATION.version] !== String(BUNDLE_VERSION)) {
    throw new ShieldRefusal(
      `the annotation ${ANNOTATION.version} is ${JSON.stringify(annotations[ANNOTATION.version])}, this hook is of version ${BUNDLE_VERSION}`,
    );
  }
  if (annotations[ANNOTATION.name] !== manifest.container || basename(directory) !== manifest.container) {
    throw new ShieldRefusal(`the bundle ${directory} belongs to another container`);
  }
  if (pid === undefined) throw new ShieldRefusal("the OCI state names no process");
  return pid;
}

function checkSpec(state: OciState, bundle: Bundle): ContainerSpec {
  const spec = parseContainerSpec(readSpec(state));
  const faults = findSpecFaults(spec, {
    manifest: bundle.manifest,
    containerId: state.id,
    hostMounts: parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")),
    resolvConf: bundle.path("resolvConf"),
    realPath,
    isSocket,
  });
  bundle.read("resolvConf");
  bundle.read("state");
  if (faults.length > 0) throw new ShieldRefusal(faults.join("; "));
  return spec;
}

function readSpec(state: OciState): string {
  const path = `${state.bundle}/config.json`;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ShieldRefusal(`${JSON.stringify(path)} cannot be read: ${(cause as Error).message}`);
  }
}

function checkNamespace(pid: number): void {
  if (namespaceInode("self", "net") !== networkInode(pid)) {
    throw new ShieldRefusal("the hook is not in the container's network namespace");
  }
  const starter = namespaceInode(process.ppid, "net");
  if (starter === undefined) {
    throw new ShieldRefusal(
      `the network namespace of process ${process.ppid}, which started the hook, cannot be looked at`,
    );
  }
  if (starter === networkInode(pid)) {
    throw new ShieldRefusal("the container is in the host's network namespace");
  }
  const foreign = findForeignProcess(pid);
  if (foreign !== undefined) {
    throw new ShieldRefusal(`process ${foreign} of another container is in the same network namespace`);
  }
}

/** Its resolver would be taken away from it. */
function checkNotInUse({ id }: OciState, { directory }: Bundle): void {
  const record = readRuntimeRecord(directory);
  if (record !== undefined && record.containerId !== id && isRunning(record)) {
    throw new ShieldRefusal(
      `the container ${record.containerId.slice(0, 12)} already runs with the bundle ${directory}`,
    );
  }
}

function networkInode(pid: number): number {
  const inode = namespaceInode(pid, "net");
  if (inode === undefined) throw new ShieldRefusal(`process ${pid} has no network namespace to look at`);
  return inode;
}

/** An nft that has deleted something ends long after the kernel has, so what is listed too early is listed again. */
async function checkListing(bundle: Bundle, settled: Promise<void>): Promise<void> {
  if ((await findListingFault(bundle)) === undefined) return;
  await settled;
  const fault = await findListingFault(bundle);
  if (fault !== undefined) throw new ShieldRefusal(`the kernel's rules are not what was loaded, at ${fault}`);
}

/** Judged by what the kernel lists, since an empty ruleset loads without complaint. @returns where they differ */
async function findListingFault(bundle: Bundle): Promise<string | undefined> {
  const expected = sortLines(JSON.parse(bundle.read("listing")) as string[]);
  const actual = canonicalListing(await runProgram(bundle.manifest.programs.nft, ["-j", "list", "ruleset"]));
  const fault = expected.findIndex((line, index) => line !== actual[index]);
  if (expected.length > 0 && fault < 0 && actual.length === expected.length) return undefined;
  const line = actual[fault < 0 ? expected.length : fault];
  return line?.slice(0, MAX_SHOWN_LENGTH) ?? "their end";
}

/** The names of a static tier, in the file that podman mounts over /etc/hosts. */
function addHosts(bundle: Bundle, spec: ContainerSpec, containerId: string): string | undefined {
  if (bundle.manifest.dns.tier === "dnsmasq") return undefined;
  const names = bundle.read("hosts");
  const source = spec.mounts?.findLast((mount) => mount.destination === "/etc/hosts")?.source;
  if (source === undefined || !source.endsWith(`/${containerId}/userdata/hosts`)) {
    throw new ShieldRefusal(
      "/etc/hosts is not podman's, so the allowed names cannot be added. Drop --no-hosts or the mount over it",
    );
  }
  if (!readFileSync(source, "utf8").endsWith(names)) appendFileSync(source, names);
  return source;
}

/** conmon: the monitor outlives every process of the container and stays in podman's user namespace. */
function findMonitor(): number {
  for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) {
    if (readFileSync(`/proc/${pid}/comm`, "utf8") === "conmon\n") return pid;
  }
  return process.ppid;
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** What cannot be looked at from here cannot be reached from the container either. */
function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false;
  }
}
