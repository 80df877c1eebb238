import type { PolicyInMode, ShieldMode } from "./egress-policy.ts";
import { clusterEdits, editsBetween } from "./element-edits.ts";
import { type ElementEdit, editElements, learnedElements, renderEdits } from "./elements.ts";
import { type IpRange, renderIpRange } from "./ip-range.ts";
import type { LearnedAddress, LiveSets } from "./live-sets.ts";
import { planChains } from "./plan-chains.ts";
import { additions, isRevision, renderReload, renderStep, setHeader } from "./render-ruleset.ts";
import { type PlannedSet, planRuleset, type Ruleset, revisionChain, TABLE } from "./ruleset.ts";
import { isKeptSet, twinOf } from "./set-names.ts";
import { MOST_EDITS, roomForEdits } from "./transaction-room.ts";

export interface ChangeOptions {
  /** Single addresses that leave learned sets, by the name of the set. */
  readonly forget?: ReadonlyMap<string, readonly IpRange[]>;
}

/**
 * Renders the `nft -f` transactions that take the kernel from one policy and mode to another, both seen at the same
 * instant. At no moment is anything open that neither opens, or closed that both open. The first fails as a whole when
 * the kernel is at another revision than `before`; it is the only one unless addresses are forgotten, or more differs than
 * a transaction can hold.
 * @param live what the kernel holds; not needed unless `needsLiveSets` says so
 */
export function renderPolicyChange(
  before: PolicyInMode,
  after: PolicyInMode,
  live: LiveSets | undefined,
  { forget = new Map() }: ChangeOptions = {},
): string[] {
  const change = planChange(before, after);
  if (live === undefined && readsLiveSets(change)) throw new Error("this change needs what the kernel holds");
  const kept = { live, forget };
  if (isRebuilt(change)) return renderRebuild(change, kept);
  const forgotten = forgottenElements(change, forget);
  return forgotten.length === 0 ? renderSteps(change, kept, []) : renderForgetting(change, kept, forgotten);
}

/**
 * WORKAROUND(update-revives-deleted): while a transaction that deletes an element is under way, `update` in a rule takes
 * it for missing and puts it in again, to stay (Linux 6.18, nft_rhash_update looks for NFT_GENMASK_ANY). So before an
 * address is forgotten, the rules in force stop updating. Goes when `update` cannot do that in any kernel we run on.
 */
function renderForgetting(change: Change, kept: LiveAndForget, forgotten: readonly ElementEdit[]): string[] {
  const { before, from, to } = change;
  const names = new Set(from.sets.map(({ name }) => name));
  const chains = planChains(before.policy, before.mode, names, { keepsUsed: false });
  const still = { sets: from.sets, chains: [...chains, revisionChain("partial")] };
  const [stop, rest] = [renderStep(from, still), { ...change, from: still }];
  if (editsOf(change, kept).length + forgotten.length <= roomOf(still, to)) {
    return [stop, ...renderSteps(rest, kept, forgotten)];
  }
  // All are gone before there are rules that would remember a flow to one of them as open.
  const packs = packClusters(clusterEdits(forgotten), forgotten, MOST_EDITS);
  return [stop, ...packs.map(renderPack), ...renderSteps(rest, kept, [])];
}

function renderSteps(change: Change, kept: LiveAndForget, forgotten: readonly ElementEdit[]): string[] {
  const { from, to } = change;
  const edits = [...editsOf(change, kept), ...forgotten];
  if (edits.length <= roomOf(from, to)) return [renderStep(from, to, edits)];
  const between = planBetween(change);
  const room = Math.min(roomOf(from, between), roomOf(between, to));
  const clusters = clusterEdits(edits);
  // Nothing can be taken apart here, so it takes a blackout.
  if (clusters.some(({ length }) => length > room)) return renderRebuild(change, kept);
  const [first = [], ...packs] = packClusters(clusters, edits, room);
  const last = packs.pop() ?? [];
  return [renderStep(from, between, first), ...packs.map(renderPack), renderStep(between, to, last)];
}

function editsOf({ from, edits, moves }: Change, kept: LiveAndForget): ElementEdit[] {
  return [
    ...edits,
    ...moves.flatMap(({ source, set }) => [
      ...(hasSet(from, set.name) ? editElements("flush", set.name, [{ text: "" }]) : []),
      ...editElements("add", set.name, learnedElements(remembered(source, kept), set.timeoutSeconds)),
    ]),
  ];
}

function renderPack(edits: readonly ElementEdit[]): string {
  return `${renderEdits(edits).join("\n")}\n`;
}

/** Whether `renderPolicyChange` has to be given what the kernel holds. */
export function needsLiveSets(before: PolicyInMode, after: PolicyInMode): boolean {
  return readsLiveSets(planChange(before, after));
}

interface Change {
  readonly before: PolicyInMode;
  readonly after: PolicyInMode;
  readonly from: Ruleset;
  readonly to: Ruleset;
  readonly edits: readonly ElementEdit[];
  /** Learned sets that get their addresses from another set. */
  readonly moves: readonly { readonly source: string; readonly set: LearnedSet }[];
}

type LearnedSet = PlannedSet & { readonly kind: "learned" };

interface LiveAndForget {
  readonly live: LiveSets | undefined;
  readonly forget: NonNullable<ChangeOptions["forget"]>;
}

function planChange(before: PolicyInMode, after: PolicyInMode): Change {
  if (before.policy.revision === after.policy.revision) {
    throw new Error(`a change needs a revision of its own: ${after.policy.revision}`);
  }
  const from = planRuleset(before.policy, before.mode);
  const to = planRuleset(after.policy, after.mode);
  const moves = learnedSetsOf(to)
    .map((set) => ({ source: sourceOf(set, from, to), set }))
    .filter(({ source, set }) => source !== set.name);
  return { before, after, from, to, edits: editsBetween(from, to), moves };
}

function learnedSetsOf({ sets }: Ruleset): LearnedSet[] {
  return sets.filter((set): set is LearnedSet => set.kind === "learned");
}

/** Entering bypass puts aside what was learned; leaving it brings that back in place of what bypass learned. */
function sourceOf({ name }: LearnedSet, from: Ruleset, to: Ruleset): string {
  const twin = twinOf(name);
  const comesFromTwin = isKeptSet(name) ? !hasSet(from, name) : !hasSet(to, twin);
  return comesFromTwin && hasSet(from, twin) ? twin : name;
}

function hasSet({ sets }: Ruleset, name: string): boolean {
  return sets.some((set) => set.name === name);
}

function readsLiveSets(change: Change): boolean {
  return change.moves.length > 0 || isRebuilt(change) || change.edits.length > roomOf(change.from, change.to);
}

function roomOf(from: Ruleset, to: Ruleset): number {
  const { chains, sets } = additions(from, to);
  return roomForEdits(chains, sets);
}

/**
 * A set that stays cannot change its type or timeout. And what leaves a set of single addresses for one of ranges is in the
 * first no more, an instant before the kernel finds it in the second.
 */
function isRebuilt({ from, to }: Change): boolean {
  const losesSingles = from.sets.some((set) => set.kind === "pieces" && set.singles && !hasSet(to, set.name));
  if (losesSingles) return true;
  const headers = new Map(from.sets.map((set) => [set.name, setHeader(set).join()]));
  return to.sets.some((set) => (headers.get(set.name) ?? setHeader(set).join()) !== setHeader(set).join());
}

/** Everything anew, in one transaction where it fits. */
function renderRebuild({ after, from, to }: Change, kept: LiveAndForget): string[] {
  const { family, name } = TABLE;
  const prelude = [
    ...from.chains.filter(isRevision).map((chain) => `delete chain ${family} ${name} ${chain.name}`),
    `delete table ${family} ${name}`,
  ];
  const learned = new Map(
    learnedSetsOf(to).map((set) => [set.name, remembered(sourceOf(set, from, to), kept)]),
  );
  return renderReload(prelude, after, { learned, counters: kept.live?.counters ?? {} });
}

function remembered(set: string, { live, forget }: LiveAndForget): LearnedAddress[] {
  const forgotten = new Set(forget.get(set)?.map(renderIpRange));
  return (live?.learned.get(set) ?? []).filter((address) => !forgotten.has(renderIpRange(address)));
}

/** They may be gone already, and nft deletes none that is not there: added first, each of them is. */
function forgottenElements({ from, to, moves }: Change, forget: LiveAndForget["forget"]): ElementEdit[] {
  return learnedSetsOf(to)
    .filter(({ name }) => hasSet(from, name) && moves.every(({ set }) => set.name !== name))
    .flatMap(({ name }) => {
      const addresses = new Map(forget.get(name)?.map((range) => [renderIpRange(range), range]));
      const elements = [...addresses].map(([text, range]) => ({ text, range }));
      return [...editElements("add", name, elements), ...editElements("delete", name, elements)];
    });
}

/** As many clusters as fit into each transaction, and the edits in their order. */
function packClusters(
  clusters: readonly (readonly ElementEdit[])[],
  edits: readonly ElementEdit[],
  room: number,
): ElementEdit[][] {
  const packs: Set<ElementEdit>[] = [];
  for (const cluster of clusters) {
    const pack = packs.at(-1);
    if (pack === undefined || pack.size + cluster.length > room) packs.push(new Set(cluster));
    else for (const edit of cluster) pack.add(edit);
  }
  return packs.map((pack) => edits.filter((edit) => pack.has(edit)));
}

/**
 * What is in force between several transactions: the rules look at the sets of both policies until the last one. They
 * change at once when the new mode is the narrower one, else at the end.
 */
function planBetween({ before, after, from, to }: Change): Ruleset {
  const { policy, mode } = openness(after.mode) > openness(before.mode) ? before : after;
  const sets = [...to.sets, ...from.sets.filter(({ name }) => !hasSet(to, name))];
  const names = new Set(sets.map(({ name }) => name));
  return { sets, chains: [...planChains(policy, mode, names), revisionChain("partial")] };
}

function openness(mode: ShieldMode): number {
  if (mode.kind !== "down") return mode.kind === "up" ? 1 : 0;
  return (mode.privateRanges === "open" ? 4 : 2) + (mode.remainingSeconds === undefined ? 1 : 0);
}
