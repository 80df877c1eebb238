import { randomInt } from "node:crypto";
import type { AuditEvent } from "@terok-shield/audit";
import { renderHostsFile } from "@terok-shield/dns-tier";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import type { LiveSets } from "@terok-shield/nft-ruleset";
import { renderEntry } from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import { planBundle } from "../bundle-plan.ts";
import { composePolicy, openExactNames } from "../compose-policy.ts";
import type { ContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { secondsToNextEnd, withoutExpired, withoutOtherRuns } from "../expiry.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import { type BundleLock, withBundleLock } from "../host/bundle-lock.ts";
import { type ContainerRun, findContainerRun } from "../host/container-run.ts";
import { appendHosts, removeStagedFiles, resolvePath, writeFileAtomically } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { armTimer, endTimer } from "../host/lease-timer.ts";
import { findMissingLogHelpers } from "../host/log-helpers.ts";
import type { Moment } from "../host/moment.ts";
import { reviveLogs } from "../host/packet-reader.ts";
import { findProtectedPaths } from "../host/protected-paths.ts";
import { findRunningContainer } from "../host/running-container.ts";
import { writeChangedFiles } from "../host/write-bundle.ts";
import { runIdOf } from "../lease.ts";
import { judgeAnew, narrowsNames, settle } from "../settle.ts";
import { ShieldError } from "../shield-error.ts";
import {
  type Answers,
  applyToKernel,
  hasLateAnswers,
  type KernelChange,
  type KernelOutcome,
  type LockedShield,
  readLiveRevision,
  repairKernel,
} from "./apply-to-kernel.ts";
import { applyToResolver, closeNames, type ResolverOutcome } from "./apply-to-resolver.ts";
import { readContainerState } from "./read-state.ts";

export interface ChangeContext {
  readonly moment: Moment;
  /** The container's present run, as `runIdOf` names it; undefined when it does not run. */
  readonly run: string | undefined;
  /** As on disk, with whatever has ended since. */
  readonly recorded: ContainerState;
}

export interface Decided<Result> {
  readonly state: ContainerState;
  readonly result: Result;
  /** Opens nothing: it comes into force also when it cannot be kept. */
  readonly narrows: boolean;
  readonly audit: (seen: Seen) => readonly AuditDraft[];
  /** There is nothing to do, so everything stays as it is. */
  readonly isNothing?: boolean;
}

type WithoutOrigin<Event> = Event extends unknown ? Omit<Event, "v" | "ts" | "container"> : never;
/** An event that gets its time and container when it is written. */
type AuditDraft = WithoutOrigin<AuditEvent>;

export interface Change<Result> {
  /** Pure. What is over is not in the state any more. Throwing refuses the change, and nothing is touched. */
  readonly decide: (state: ContainerState, context: ChangeContext) => Decided<Result>;
  /** Names whose addresses the acknowledgement shows. */
  readonly ask?: readonly string[];
  /** Load and start everything anew, also when nothing seems wrong. */
  readonly repair?: boolean;
}

/** What was seen of a running container while its policy changed. */
export interface Seen {
  readonly isRunning: boolean;
  readonly state: ContainerState;
  readonly moment: Moment;
  /** What the names asked resolve to. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** What names brought so far, and what of it was forgotten now, by set. */
  readonly answers: Answers;
  readonly forgotten: LiveSets["learned"];
}

export interface Applied<Result> extends Seen {
  readonly result: Result;
  /** What the owner should know; also in the audit log. */
  readonly notes: readonly string[];
}

/**
 * Changes a container's policy: the only way in which it changes while the container exists. Under the lock of its
 * bundle, state.json is written first, since everything else is made from it; then the files of the next start, the
 * kernel, the resolver, the audit log. Whoever is killed in between leaves a difference that `status` shows and the next
 * change puts right.
 *
 * The kernel comes before the resolver, so that a deny waits for nobody; but where names close, dnsmasq has to stop first:
 * until it follows the new names it forwards the old ones, with a new mark if the kernel asked for one. So it gets half a
 * second to follow, and is ended if it does not. The kernel's transaction then ends the mark of every query that is still
 * under way, and forgets what only closed names brought.
 *
 * What narrows comes into force even if no disk takes it.
 * @throws ShieldError also when the change is in force, but not kept or not whole: it says which.
 */
export async function applyChange<Result>(
  host: Host,
  container: ContainerName,
  change: Change<Result>,
): Promise<Applied<Result>> {
  const bundle = bundleDirectory(host.places, container);
  // A container that is unknown has nothing to be locked; reading its state says what to do about it.
  if (resolvePath(bundle) === undefined) readContainerState(host, container);
  return withBundleLock(bundle, (lock) => applyLocked({ host, container, bundle, lock }, change));
}

interface LockedBundle {
  readonly host: Host;
  readonly container: ContainerName;
  readonly bundle: string;
  readonly lock: BundleLock;
}

async function applyLocked<Result>(locked: LockedBundle, change: Change<Result>): Promise<Applied<Result>> {
  const { host, container, bundle } = locked;
  const recorded = readContainerState(host, container);
  const moment = host.moment();
  const found = findContainerRun(bundle, container);
  refuseForeign(found, container);
  const run = found.kind === "running" ? runIdOf(found.record) : undefined;
  const present = withoutExpired(recorded, moment, run);
  const decided = change.decide(present, { moment, run, recorded });
  if (decided.isNothing === true) {
    if (run !== undefined) armNextTimer(locked, { recorded, state: present, moment });
    return {
      ...NOTHING_SEEN,
      result: decided.result,
      state: recorded,
      moment,
      isRunning: run !== undefined,
      notes: [],
    };
  }
  const settled = settle(recorded, decided.state);
  const { state, diskFault } = await writeBundle(locked, settled, moment);
  if (diskFault !== undefined && !decided.narrows) throw diskFault;
  // A start that began before we wrote may have come to its end: its hook then loaded what was there, or saw us and refused.
  const running = found.kind === "running" ? found : findContainerRun(bundle, container);
  if (diskFault !== undefined && running.kind === "running" && state.mode.kind !== "block") {
    await refuseToDropUnkept(locked, running, recorded, diskFault);
  }
  const outcome =
    running.kind === "running"
      ? await enforce(locked, running, {
          recorded,
          state,
          moment,
          ask: change.ask ?? [],
          ...(change.repair === true || found.kind !== "running" ? { repair: ASKED_FOR } : {}),
        })
      : NOT_RUNNING;
  const anew: Anew =
    running.kind === "running" && outcome.isLate
      ? await judgeAllAnew(locked, running, { state, moment })
      : { isLate: false };
  const { answers, forgotten } = outcome.kernel;
  const { addresses } = outcome.resolver;
  const seen: Seen = { isRunning: running.kind === "running", state, moment, addresses, answers, forgotten };
  const notes = describeOutcome(outcome);
  const drafts = [...describeEnded(recorded, present), ...decided.audit(seen)];
  const auditNotes = await audit(locked, state, drafts, notes);
  refuseHalfDone(container, {
    isRunning: seen.isRunning,
    isLate: anew.isLate,
    diskFault: diskFault ?? anew.diskFault,
    resolverFault: outcome.resolver.fault,
  });
  return { ...seen, result: decided.result, notes: [...notes, ...auditNotes] };
}

/** What was over before this change came. */
function describeEnded(recorded: ContainerState, present: ContainerState): AuditDraft[] {
  const left = new Set(present.decisions);
  return [
    ...recorded.decisions
      .filter((decision) => !left.has(decision))
      .map(({ verdict, entry }): AuditDraft => {
        const target = renderEntry(entry);
        return { action: "note", detail: `${verdict} ${target} is over`, target };
      }),
    ...(present.mode.kind === recorded.mode.kind
      ? []
      : [{ action: "shield_up", detail: "bypass is over" } as const]),
  ];
}

function refuseForeign({ kind }: ContainerRun, container: ContainerName): void {
  if (kind !== "foreign") return;
  throw new ShieldError(
    `The container ${container} that runs was not started by terok-shield, so it has no shield to change. Stop it: podman stop ${container}`,
  );
}

const FIRST_UNKEPT = 2 ** 31;

/** What the kernel gets and no disk does: a number that no later policy has, so that the next change sees the difference. */
function unkeptRevision({ revision }: ContainerState): number {
  return revision + randomInt(FIRST_UNKEPT, 2 * FIRST_UNKEPT);
}

/** True when a kernel's revision is of a policy that no disk took. */
export function isUnkept(revision: number, onDisk: number): boolean {
  return revision >= onDisk + FIRST_UNKEPT;
}

/** What the kernel has and no disk took would be lost, since the next policy is made from what is on disk. */
async function refuseToDropUnkept(
  { host, container }: LockedBundle,
  { record }: Running,
  { revision }: ContainerState,
  diskFault: ShieldError,
): Promise<void> {
  const live = await readLiveRevision(host, record);
  if (live === undefined || !isUnkept(live, revision)) return;
  throw new ShieldError(
    `Nothing has changed: what an earlier command could not keep is in force and would be lost, and ${diskFault.message} ` +
      `Make room and try again, or close everything: terok-shield block ${container}`,
    { cause: diskFault },
  );
}

interface Written {
  /** What to enforce. */
  readonly state: ContainerState;
  /** Why it is not on disk; then nothing there has changed. */
  readonly diskFault?: ShieldError;
}

async function writeBundle(
  { host, bundle }: LockedBundle,
  state: ContainerState,
  moment: Moment,
): Promise<Written> {
  const facts = await host.facts();
  const protectedPaths = findProtectedPaths(host.places);
  const { hookEntrypoint } = host.places;
  const files = planBundle({ state, moment, directory: bundle, facts, hookEntrypoint, protectedPaths });
  try {
    await removeStagedFiles(bundle).catch(() => {});
    await writeChangedFiles(files);
    return { state };
  } catch (cause) {
    if (!(cause instanceof ShieldError)) throw cause;
    return { state: { ...state, revision: unkeptRevision(state) }, diskFault: cause };
  }
}

interface Enforcement {
  readonly recorded: ContainerState;
  readonly state: ContainerState;
  readonly moment: Moment;
  readonly ask: readonly string[];
  /** Why nothing in force is to be trusted. */
  readonly repair?: string;
  /** The policy is the same, but what flows and what was asked already counts no more. */
  readonly isAnew?: boolean;
}

interface Outcome {
  readonly kernel: KernelOutcome;
  readonly resolver: ResolverOutcome;
  /** Of what is no part of the policy. */
  readonly faults: readonly string[];
  /** True when an answer to a query of before came after it was forgotten what such answers brought. */
  readonly isLate: boolean;
}

const NO_KERNEL: KernelOutcome = { answers: new Map(), forgotten: new Map(), spared: new Map() };
const NO_RESOLVER: ResolverOutcome = { addresses: new Map() };
const NOTHING_SEEN = {
  addresses: NO_RESOLVER.addresses,
  answers: NO_KERNEL.answers,
  forgotten: NO_KERNEL.forgotten,
};
const NOT_RUNNING: Outcome = { kernel: NO_KERNEL, resolver: NO_RESOLVER, faults: [], isLate: false };

const ASKED_FOR = "it was asked for";

type Running = Extract<ContainerRun, { kind: "running" }>;

async function enforce(locked: LockedBundle, running: Running, change: Enforcement): Promise<Outcome> {
  const { host, bundle } = locked;
  const shield: LockedShield = { host, bundle, record: running.record, lock: locked.lock };
  try {
    if (!running.isRecorded) await restoreRecord(shield);
    armNextTimer(locked, change);
    return await applyToRunning(shield, change);
  } catch (cause) {
    // It may have ended while we were at it, and needs nothing any more.
    if (findRunningContainer(bundle) === undefined && running.isRecorded) return NOT_RUNNING;
    throw cause;
  }
}

const MOST_ROUNDS = 5;

interface Anew extends Pick<Written, "diskFault"> {
  /** True when answers to old queries came each time. */
  readonly isLate: boolean;
}

/** What was let in between counts no more, and the flows to it end. */
async function judgeAllAnew(
  locked: LockedBundle,
  running: Running,
  { state, moment }: Pick<Enforcement, "state" | "moment">,
): Promise<Anew> {
  let recorded = state;
  let kept: Pick<Written, "diskFault"> = {};
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next = judgeAnew(recorded);
    // After what no disk took there is nothing on disk to go on from.
    const written: Written = isUnkept(next.revision, 0)
      ? { ...kept, state: next }
      : await writeBundle(locked, next, moment);
    const change = { recorded, state: written.state, moment, ask: [], isAnew: true };
    const { isLate } = await enforce(locked, running, change);
    if (!isLate) return { ...written, isLate };
    recorded = written.state;
    kept = written;
  }
  return { ...kept, isLate: true };
}

async function restoreRecord({ bundle, record }: LockedShield): Promise<void> {
  // Without it the resolver's hook does nothing; the kernel does not need it.
  await writeFileAtomically(`${bundle}/${BUNDLE_FILE.runtime}`, `${JSON.stringify(record)}\n`, 0o600).catch(
    () => {},
  );
}

/** Comes before the kernel: whatever the kernel ends by itself has somebody who finishes it. */
function armNextTimer(
  { host, bundle, container }: LockedBundle,
  { recorded, state, moment }: Pick<Enforcement, "recorded" | "state" | "moment">,
): void {
  const seconds = secondsToNextEnd(state, moment);
  if (seconds !== undefined) armTimer(host, { bundle, container, seconds });
  else if (secondsToNextEnd(recorded, moment) !== undefined) endTimer(bundle);
}

async function applyToRunning(shield: LockedShield, change: Enforcement): Promise<Outcome> {
  const { recorded, state, moment } = change;
  const before = composePolicy(withoutOtherRuns(recorded, runIdOf(shield.record)), moment);
  const after = composePolicy(state, moment);
  const forgets = change.isAnew === true || narrowsNames(recorded, state);
  const closes = forgets || (before.mode.kind === "down" && after.mode.kind !== "down");
  const toResolver = { state, moment, ask: change.ask, restart: false };
  if (closes && after.mode.kind !== "block") await closeNames(shield, toResolver);
  const kernel = await changeKernel(shield, { before, after, forgets }, change.repair);
  const isRepaired = kernel.repaired !== undefined;
  const resolver = await applyToResolver(shield, { ...toResolver, restart: isRepaired });
  const isLate = (closes || isRepaired) && (await hasLateAnswers(shield, after, kernel.spared));
  const faults = [
    ...(await faultOf("the hosts file of the container", () => addHosts(shield, state))),
    ...(await faultOf("the logs", () => reviveMissingLogs(shield, state))),
  ];
  return { kernel, resolver, faults, isLate };
}

async function changeKernel(
  shield: LockedShield,
  change: KernelChange,
  repair: string | undefined,
): Promise<KernelOutcome> {
  if (repair === undefined) return applyToKernel(shield, change);
  await repairKernel(shield, change.after);
  return { ...NO_KERNEL, repaired: repair };
}

/** What is worth a note, and no more. */
async function faultOf(what: string, work: () => Promise<void>): Promise<string[]> {
  try {
    await work();
    return [];
  } catch (cause) {
    return [`${what}: ${(cause as Error).message}`];
  }
}

/** In a static tier, names that were allowed after the start stand in the hosts file too. */
async function addHosts({ record }: LockedShield, state: ContainerState): Promise<void> {
  if (state.tier === "dnsmasq" || record.hostsFile === undefined) return;
  const open = new Set(openExactNames(state));
  const resolved = new Map([...state.resolved].filter(([name]) => open.has(name)));
  await appendHosts(record.hostsFile, renderHostsFile(resolved));
}

async function reviveMissingLogs(
  { host, bundle, record }: LockedShield,
  state: ContainerState,
): Promise<void> {
  if ((await findMissingLogHelpers(host, bundle, state)).length > 0) await reviveLogs(host, record, bundle);
}

function describeOutcome({ kernel, faults }: Outcome): string[] {
  return [
    ...(kernel.repaired === undefined || kernel.repaired === ASKED_FOR
      ? []
      : [`the kernel was not at the last policy, so everything was loaded anew (${kernel.repaired})`]),
    ...faults,
  ];
}

/** @returns why not, as a note: what is in force does not wait for its log. */
async function audit(
  { host, container, bundle }: LockedBundle,
  state: ContainerState,
  drafts: readonly AuditDraft[],
  notes: readonly string[],
): Promise<string[]> {
  if (!state.auditEnabled) return [];
  const origin = { v: 1, ts: host.now().toISOString(), container } as const;
  const noted = notes.map((detail): AuditEvent => ({ ...origin, action: "note", detail }));
  try {
    await appendAuditEvents(bundle, [
      ...drafts.map((draft): AuditEvent => ({ ...origin, ...draft })),
      ...noted,
    ]);
    return [];
  } catch (cause) {
    return [`the audit log does not have it: ${(cause as Error).message}`];
  }
}

interface HalfDone {
  readonly isRunning: boolean;
  readonly isLate: boolean;
  readonly diskFault: ShieldError | undefined;
  readonly resolverFault: string | undefined;
}

/** What is in force in part only is no success. */
function refuseHalfDone(
  container: ContainerName,
  { isRunning, isLate, diskFault, resolverFault }: HalfDone,
): void {
  if (diskFault !== undefined && !isRunning) throw diskFault;
  if (isLate) {
    throw new ShieldError(
      `In force, but answers to old queries keep coming. Close everything: terok-shield block ${container}`,
    );
  }
  if (diskFault !== undefined) {
    throw new ShieldError(`In force now, but not kept: ${diskFault.message}`, { cause: diskFault.cause });
  }
  if (resolverFault !== undefined) {
    throw new ShieldError(
      `In force, but dnsmasq does not follow, so no name resolves: ${resolverFault}. Try terok-shield up --repair ${container}`,
    );
  }
}
