import { attributeAnswers } from "@terok-shield/dns-tier";
import type { RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import {
  isKeptSet,
  type LiveSets,
  needsLiveSets,
  readLiveSets,
  readShieldState,
  renderIpRange,
  renderPolicyChange,
  renderRepair,
  type ShieldMode,
  type ShieldState,
  twinOf,
} from "@terok-shield/nft-ruleset";
import type { Composition } from "../compose-policy.ts";
import type { BundleLock } from "../host/bundle-lock.ts";
import type { Host } from "../host/host.ts";
import { readResolverLog } from "../host/resolver-log.ts";
import { CommandFailedError } from "../host/run-command.ts";
import { loadAndList, runNft } from "../host/running-container.ts";
import { type SortedAddresses, sortLearned } from "../keep-learned.ts";
import { ShieldError } from "../shield-error.ts";

/** A container that runs, and the lock of its bundle, which we hold. */
export interface LockedShield {
  readonly host: Host;
  readonly bundle: string;
  readonly record: RuntimeRecord;
  readonly lock: BundleLock;
}

export interface KernelChange {
  /** Where the kernel should be. */
  readonly before: Composition;
  readonly after: Composition;
  /** Names narrow: what only closed names brought has to go. */
  readonly forgets: boolean;
}

/** name -> the addresses that its answers brought since the container started. */
export type Answers = ReturnType<typeof attributeAnswers>;

export interface KernelOutcome {
  /** Why the whole ruleset was loaded anew; undefined when the change alone did. */
  readonly repaired?: string;
  readonly answers: Answers;
  /** What the learned sets lost, by set. */
  readonly forgotten: LiveSets["learned"];
  /** What they may hold though no open name is known to have brought it, by set. */
  readonly spared: LiveSets["learned"];
}

/**
 * Takes the kernel from one policy to the next, in one transaction as long as netlink takes it whole, and looks whether
 * it is there. A kernel that was elsewhere gets the whole ruleset instead.
 * @throws ShieldError when it does not take that either.
 */
export async function applyToKernel(
  shield: LockedShield,
  { before, after, forgets }: KernelChange,
): Promise<KernelOutcome> {
  const learned = forgets || needsLiveSets(before, after) ? await readLearned(shield, after) : NOTHING;
  const forgotten = forgets ? learned.forget : NOTHING.forget;
  const spared = forgets ? NOTHING.forget : keptBeforeBypass(learned.live);
  const outcome = { answers: learned.answers, forgotten, spared };
  const change = renderPolicyChange(before, after, learned.live, { forget: forgotten });
  let fault: string | undefined;
  try {
    fault = findKernelFault(await load(shield, change), after);
  } catch (cause) {
    if (!(cause instanceof CommandFailedError)) throw cause;
    fault = cause.message;
  }
  if (fault !== undefined) {
    await repairKernel(shield, after);
    return { ...outcome, spared: NOTHING.forget, repaired: fault };
  }
  return outcome;
}

/**
 * Loads the whole ruleset, whatever the kernel has, and keeps counters and the addresses that open names brought.
 * @throws ShieldError when the kernel does not list it afterwards.
 */
export async function repairKernel(shield: LockedShield, after: Composition): Promise<void> {
  const { live, keep } = await readLearned(shield, after);
  const kept = { learned: keep, counters: live?.counters ?? {} };
  const listing = await load(shield, renderRepair(after.policy, after.mode, kept));
  const fault = findKernelFault(listing, after);
  if (fault !== undefined) throw new ShieldError(`${fault}, also after they were loaded anew`);
}

/**
 * Whether learned sets hold what no open name brought: an answer to an old query may have come between our look and the
 * transaction, and a flow to it counts as open since then.
 */
export async function hasLateAnswers(
  shield: LockedShield,
  after: Composition,
  spared: KernelOutcome["spared"],
): Promise<boolean> {
  const { forget } = await readLearned(shield, after);
  return [...forget].some(([set, addresses]) => {
    const known = new Set(spared.get(set)?.map(renderIpRange));
    return addresses.some((address) => !known.has(renderIpRange(address)));
  });
}

/** By the set that they come back to when bypass ends. */
function keptBeforeBypass(live: LiveSets | undefined): LiveSets["learned"] {
  return new Map(
    [...(live?.learned ?? [])]
      .filter(([set]) => isKeptSet(set))
      .map(([set, addresses]) => [twinOf(set), addresses] as const),
  );
}

/** @returns what the kernel lists afterwards */
async function load({ host, record, lock }: LockedShield, transactions: readonly string[]): Promise<string> {
  const last = transactions.at(-1);
  if (last === undefined) return runNft(host, record, ["-j", "list", "ruleset"]);
  for (const transaction of transactions.slice(0, -1)) {
    await runNft(host, record, ["-f", "-"], transaction, lock);
  }
  return loadAndList(host, record, last, lock);
}

/** Why the kernel is not at a policy; undefined when it is. */
function findKernelFault(listing: string, { policy, mode }: Composition): string | undefined {
  const state = readShieldState(listing, policy);
  if (state.kind === "error") return state.reason;
  return isInMode(state, mode) ? undefined : `the kernel's rules are those of "${state.kind}"`;
}

/** Time left is the kernel's to count. */
export function isInMode(state: ShieldState, mode: ShieldMode): boolean {
  if (state.kind !== "down" || mode.kind !== "down") return state.kind === mode.kind;
  const hasEnd = (down: { remainingSeconds?: number }) => down.remainingSeconds !== undefined;
  return state.privateRanges === mode.privateRanges && hasEnd(state) === hasEnd(mode);
}

interface Learned extends SortedAddresses {
  readonly live: LiveSets | undefined;
  readonly answers: Answers;
}

const NOTHING: Learned = { live: undefined, answers: new Map(), keep: new Map(), forget: new Map() };

/** The log comes second: dnsmasq writes there whatever it has put into the sets. */
async function readLearned({ host, bundle, record }: LockedShield, { names }: Composition): Promise<Learned> {
  const live = parseLiveSets(await runNft(host, record, ["-j", "list", "ruleset"]));
  const answers = attributeAnswers(readResolverLog(bundle));
  return { live, answers, ...sortLearned(live?.learned ?? new Map(), answers, names) };
}

/** Number of the policy that the kernel is at; undefined when it is at none. */
export async function readLiveRevision(host: Host, record: RuntimeRecord): Promise<number | undefined> {
  return parseLiveSets(await runNft(host, record, ["-j", "list", "ruleset"]))?.revision;
}

/** A listing that says nothing to us holds nothing to keep. */
function parseLiveSets(listing: string): LiveSets | undefined {
  try {
    return readLiveSets(listing);
  } catch {
    return undefined;
  }
}
