import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { BUNDLE_FILE, type HelperKind, identifyHelper } from "@terok-shield/hook-entrypoint/contract";

/** A process that runs beside a container for its shield. */
export interface HelperProcess {
  readonly pid: number;
  readonly kind: HelperKind;
  readonly bundle: string;
}

/** Every helper of this user's bundles, whatever pid files say. */
export function listHelperProcesses(): HelperProcess[] {
  return listOwnProcesses().flatMap(asHelper);
}

function asHelper({ pid, argv }: OwnProcess): HelperProcess[] {
  const helper = identifyHelper(argv);
  return helper === undefined ? [] : [{ pid, ...helper }];
}

const PID_FILES = {
  dnsmasq: BUNDLE_FILE.dnsmasqPid,
  ulogd: BUNDLE_FILE.ulogdPid,
  keeper: BUNDLE_FILE.keeperPid,
} as const;

/** True when such a helper of the bundle runs. Its pid file says where to look first, and no more. */
export function isHelperAlive(bundle: string, kind: keyof typeof PID_FILES): boolean {
  const isIt = (helper: HelperProcess) => helper.kind === kind && helper.bundle === bundle;
  const pid = readPid(`${bundle}/${PID_FILES[kind]}`);
  const known = pid === undefined ? [] : readOwnProcess(pid, ownPidNamespace());
  return known.flatMap(asHelper).some(isIt) || listHelperProcesses().some(isIt);
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

export interface OwnProcess {
  readonly pid: number;
  readonly argv: readonly string[];
}

/**
 * The processes of this user and of this pid namespace: a container's own run as the same user,
 * and may call themselves what they like.
 */
export function listOwnProcesses(): OwnProcess[] {
  const pidNamespace = ownPidNamespace();
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readOwnProcess(Number(entry), pidNamespace));
}

function ownPidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}

/** None when it is not there any more, or not ours. */
function readOwnProcess(pid: number, pidNamespace: string): OwnProcess[] {
  try {
    if (statSync(`/proc/${pid}`).uid !== process.getuid?.()) return [];
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    return argv.length === 0 || readlinkSync(`/proc/${pid}/ns/pid`) !== pidNamespace ? [] : [{ pid, argv }];
  } catch {
    return [];
  }
}

const POLL_MILLISECONDS = 5;
const PATIENCE_MILLISECONDS = 500;

/** Ends helpers of a bundle at once, and waits until they are gone. */
export async function endHelpers(bundle: string, kind: HelperProcess["kind"]): Promise<void> {
  const found = listHelperProcesses().filter((helper) => helper.kind === kind && helper.bundle === bundle);
  for (const { pid } of found) sendSignal(pid, "SIGKILL");
  const deadline = Date.now() + PATIENCE_MILLISECONDS;
  while (!found.every(({ pid }) => hasEnded(pid)) && Date.now() < deadline) {
    await setTimeout(POLL_MILLISECONDS);
  }
}

/** A process loses its command line before its sockets, so only its state says that it has ended (proc(5)). */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return true;
  }
}

/** Nobody there any more is fine. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}
