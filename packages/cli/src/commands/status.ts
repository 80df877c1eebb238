import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { readLiveSets, readShieldState } from "@terok-shield/nft-ruleset";
import { renderEntry } from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import { composePolicy } from "../compose-policy.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import type { Verdict } from "../decision.ts";
import { withoutExpired, withoutOtherRuns } from "../expiry.ts";
import { withBundleLock } from "../host/bundle-lock.ts";
import { findSealFault } from "../host/bundle-seal.ts";
import { listBundles } from "../host/bundles.ts";
import { type ContainerRun, findContainerRun } from "../host/container-run.ts";
import { readTextFile } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { findMissingLogHelpers } from "../host/log-helpers.ts";
import type { Moment } from "../host/moment.ts";
import { runNft } from "../host/running-container.ts";
import { type Lease, remainingSeconds, runIdOf, secondsSinceEnd } from "../lease.ts";
import { isUnkept } from "./apply-change.ts";
import { isInMode } from "./apply-to-kernel.ts";
import { readContainerState } from "./read-state.ts";
import { readResolverState } from "./resolver-state.ts";

export type ContainerStatus =
  | { readonly kind: "up" | "block" | "stopped" | "unprotected" }
  | { readonly kind: "down" | "down_all"; readonly remainingSeconds?: number }
  | { readonly kind: "error"; readonly reason: string };

export interface StatusReport {
  readonly container: string;
  readonly status: ContainerStatus;
  readonly tier: string;
  readonly profiles: readonly string[];
  readonly trustedMounts: readonly string[];
  /** What an operator decided, oldest first. */
  readonly decisions: readonly ReportedDecision[];
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

interface ReportedDecision {
  readonly verdict: Verdict;
  readonly target: string;
  /** Of a temporary one. */
  readonly remainingSeconds?: number;
}

/**
 * The status of one container, judged by what the kernel lists and dnsmasq was seen to follow now. Only what is entirely
 * as its policy says gets a good word.
 */
export async function readStatus(host: Host, name: string): Promise<StatusReport> {
  const container = parseContainerName(name);
  return hasState(host, container) ? readStatusOrError(host, container) : readOnce(host, container);
}

function hasState({ places }: Host, container: ContainerName): boolean {
  return readTextFile(`${bundleDirectory(places, container)}/${BUNDLE_FILE.state}`) !== undefined;
}

/** The status of every container that has a bundle, by name. */
export async function readAllStatus(host: Host): Promise<StatusReport[]> {
  const reports: StatusReport[] = [];
  for (const container of await listBundles(host.places))
    reports.push(await readStatusOrError(host, container));
  return reports;
}

/** What cannot be judged is no good state, and must not hide the others. */
async function readStatusOrError(host: Host, container: ContainerName): Promise<StatusReport> {
  try {
    const report = await readOnce(host, container);
    if (report.status.kind !== "error") return report;
    // A command that is at work looks like one that was cut off, so the next look waits for it.
    return await withBundleLock(bundleDirectory(host.places, container), () => readOnce(host, container));
  } catch (cause) {
    const status = { kind: "error", reason: (cause as Error).message } as const;
    return { container, status, tier: "unknown", profiles: [], trustedMounts: [], decisions: [], notes: [] };
  }
}

/** True for what a shielded container may be in: everything else must not pass for protection. */
export function isProtected({ kind }: ContainerStatus): boolean {
  return kind !== "unprotected" && kind !== "error";
}

async function readOnce(host: Host, container: ContainerName): Promise<StatusReport> {
  const state = readContainerState(host, container);
  const bundle = bundleDirectory(host.places, container);
  const moment = host.moment();
  const found = findContainerRun(bundle, container);
  const run = found.kind === "running" ? runIdOf(found.record) : undefined;
  const seen = { host, bundle, state, moment, found };
  return {
    container,
    status: await judge(seen),
    tier: state.tier,
    profiles: state.request.profiles,
    trustedMounts: state.request.trustedMounts,
    decisions: withoutExpired(state, moment, run).decisions.map(({ verdict, entry, lease }) => ({
      verdict,
      target: renderEntry(entry),
      ...timeLeft(lease, moment),
    })),
    notes: await findNotes(seen),
  };
}

function timeLeft(lease: Lease | undefined, moment: Moment): { remainingSeconds?: number } {
  return lease === undefined ? {} : { remainingSeconds: Math.ceil(remainingSeconds(lease, moment)) };
}

interface Seen {
  readonly host: Host;
  readonly bundle: string;
  readonly state: ContainerState;
  readonly moment: Moment;
  readonly found: ContainerRun;
}

async function judge(seen: Seen): Promise<ContainerStatus> {
  const { found, bundle, state } = seen;
  if (found.kind === "foreign") return { kind: "unprotected" };
  const inForce: ContainerStatus =
    found.kind === "running" ? await judgeRunning(seen, found) : { kind: "stopped" };
  if (!isProtected(inForce)) return inForce;
  if (found.kind === "running" && !found.isRecorded) {
    return repairable(state, "runtime.json, the record of its run, is missing or damaged");
  }
  const sealFault = findSealFault(bundle);
  return sealFault === undefined
    ? inForce
    : repairable(state, `${sealFault}, so its next start would be refused`);
}

/** From the end of a lease in the kernel to its end in the resolver and on disk. */
const FINISHING_SECONDS = 5;

function leasesOf({ decisions, mode }: ContainerState): Lease[] {
  const all = [...decisions.map(({ lease }) => lease), mode.kind === "down" ? mode.lease : undefined];
  return all.filter((lease) => lease !== undefined);
}

type Running = Extract<ContainerRun, { kind: "running" }>;

async function judgeRunning(
  { host, bundle, state, moment }: Seen,
  { record }: Running,
): Promise<ContainerStatus> {
  const listing = await runNft(host, record, ["-j", "list", "ruleset"]);
  // What was told to kernel and resolver at the last change; what has ended since is still there, without effect.
  const told = withoutOtherRuns(state, runIdOf(record));
  const { policy, mode } = composePolicy(told, moment);
  const kernel = readShieldState(listing, policy);
  if (kernel.kind === "inactive") return { kind: "unprotected" };
  if (kernel.kind === "error") return repairable(state, findRevisionFault(listing, state) ?? kernel.reason);
  if (!isInMode(kernel, mode)) {
    return repairable(
      state,
      `the kernel's rules are those of "${kernel.kind}", and policy says "${mode.kind}"`,
    );
  }
  if (leasesOf(told).some((lease) => secondsSinceEnd(lease, moment) > FINISHING_SECONDS)) {
    return repairable(state, "something temporary is over, and nobody has finished it");
  }
  const resolver = state.tier === "dnsmasq" ? readResolverState(bundle, told, moment) : "current";
  if (resolver === "dead") return repairable(state, "dnsmasq does not run, so no name resolves");
  if (resolver === "outdated") {
    return repairable(state, "dnsmasq was started with another configuration than the policy's");
  }
  if (resolver === "behind")
    return repairable(state, "dnsmasq was not seen to follow the names of the policy");
  if (kernel.kind !== "down") return { kind: kernel.kind };
  const left =
    state.mode.kind === "down" && state.mode.lease !== undefined ? timeLeft(state.mode.lease, moment) : {};
  return { kind: kernel.privateRanges === "open" ? "down_all" : "down", ...left };
}

function findRevisionFault(listing: string, { revision }: ContainerState): string | undefined {
  const live = readLiveSets(listing).revision;
  if (live === revision) return undefined;
  if (live !== undefined && isUnkept(live, revision)) {
    return "the last command could not be kept on disk: the kernel has what is in force, and the bundle has not";
  }
  const where = live === undefined ? "no policy" : `policy ${live}`;
  return `the last command did not finish: the kernel is at ${where}, and the bundle at ${revision}`;
}

function repairable({ container }: ContainerState, fault: string): ContainerStatus {
  return { kind: "error", reason: `${fault}. Run terok-shield up --repair ${container}` };
}

async function findNotes({ host, bundle, state, found }: Seen): Promise<string[]> {
  if (found.kind === "foreign") return [];
  if (found.kind === "stopped") return state.mode.kind === "block" ? ["blocked at its next start, too"] : [];
  const missing = await findMissingLogHelpers(host, bundle, state);
  return missing.map((kind) => MISSING[kind]);
}

const MISSING = {
  ulogd: "ulogd does not run: refused packets are counted, but not listed",
  keeper: "nothing keeps the logs short: they end when they are full",
} as const;
