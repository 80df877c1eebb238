import { COUNTERS } from "./counters.ts";
import type { EgressPolicy, PolicyInMode, ShieldMode } from "./egress-policy.ts";
import {
  type Element,
  type ElementEdit,
  editElements,
  learnedElements,
  plannedElements,
  renderEdits,
} from "./elements.ts";
import type { LiveSets } from "./live-sets.ts";
import { planChains } from "./plan-chains.ts";
import {
  type PlannedSet,
  planRuleset,
  type RuleChain,
  type Ruleset,
  revisionChain,
  TABLE,
} from "./ruleset.ts";
import { MOST_EDITS, roomForEdits } from "./transaction-room.ts";

const NAME = `${TABLE.family} ${TABLE.name}`;
const ELEMENTS_PER_LINE = 8;
const NOTHING_LIVE = { learned: new Map(), counters: {} };

/** What a table that is loaded anew takes over from the one before. */
export type KeptState = Pick<LiveSets, "learned" | "counters">;

/**
 * Renders the container's whole table as one `nft -f` transaction: the kernel
 * keeps the old rules in force until it commits the new ones.
 */
export function renderRuleset(policy: EgressPolicy, mode: ShieldMode): string {
  return renderTable(REPLACE, planRuleset(policy, mode), NOTHING_LIVE);
}

/**
 * Renders the same table for a container that has not started, as the `nft -f` transactions that it takes. If there is
 * more than one, the first lets nothing through, the next fill the sets, the last enters `mode`: whichever
 * fails, nothing is open that policy closes. The first fails where the table is there.
 */
export function renderRulesetInParts(policy: EgressPolicy, mode: ShieldMode): string[] {
  return renderLoad(CREATE, { policy, mode }, NOTHING_LIVE);
}

/**
 * Renders the same table, in as many transactions, for a kernel whose rules may be anything: all others go.
 * @param keep addresses that names of the policy led to, by the name of the set, and the counters so far
 */
export function renderRepair(policy: EgressPolicy, mode: ShieldMode, keep: KeptState): string[] {
  return renderReload(["flush ruleset"], { policy, mode }, keep);
}

/** `delete` fails on a missing table, so declare it first. */
const REPLACE = [`table ${NAME}`, `delete table ${NAME}`];
/** An nft that deletes anything, if only what it declared itself, waits for the kernel to dispose of it: 10 of 15 ms. */
const CREATE = [`create table ${NAME}`];

/**
 * The table anew below a container that runs. The kernel makes new rules visible an instant before the elements of new
 * sets: where the rules let pass what no set names, what is denied would pass in between, so they come last.
 */
export function renderReload(prelude: readonly string[], target: PolicyInMode, keep: KeptState): string[] {
  return target.mode.kind === "down"
    ? renderInParts(prelude, target, keep)
    : renderLoad(prelude, target, keep);
}

/** The table from nothing; `prelude` clears the way in the first transaction. */
function renderLoad(prelude: readonly string[], target: PolicyInMode, keep: KeptState): string[] {
  const ruleset = planRuleset(target.policy, target.mode);
  const count = ruleset.sets.reduce((sum, set) => sum + elementsOf(set, keep).length, 0);
  return count <= roomForEdits(ruleset.chains, ruleset.sets)
    ? [renderTable(prelude, ruleset, keep)]
    : renderInParts(prelude, target, keep);
}

/** A blackout with empty sets, their elements, and then the rules. */
function renderInParts(
  prelude: readonly string[],
  { policy, mode }: PolicyInMode,
  keep: KeptState,
): string[] {
  const ruleset = planRuleset(policy, mode);
  const elements = ruleset.sets.flatMap((set) => editElements("add", set.name, elementsOf(set, keep)));
  const blackout = {
    sets: ruleset.sets,
    chains: [
      ...planChains(policy, { kind: "block" }, new Set(ruleset.sets.map(({ name }) => name))),
      revisionChain("partial"),
    ],
  };
  return [
    renderTable(prelude, blackout, { counters: keep.counters }),
    ...inChunks(elements, MOST_EDITS).map((chunk) => `${renderEdits(chunk).join("\n")}\n`),
    renderStep(blackout, ruleset),
  ];
}

/** One transaction that leads from one table to the other; `edits` are of the sets of both. */
export function renderStep(from: Ruleset, to: Ruleset, edits: readonly ElementEdit[] = []): string {
  const { chains, sets } = additions(from, to);
  const [oldChains, newChains, newSets] = [byName(from.chains), byName(to.chains), byName(to.sets)];
  const gone = from.chains.filter(({ name }) => !newChains.has(name));
  const flushed = [...chains.filter(({ name }) => oldChains.has(name)), ...gone];
  return [
    // First of all, the revision that this was made for.
    ...gone.filter(isRevision).map(({ name }) => `delete chain ${NAME} ${name}`),
    ...flushed.filter((chain) => !isRevision(chain)).map(({ name }) => `flush chain ${NAME} ${name}`),
    ...gone.filter((chain) => !isRevision(chain)).map(({ name }) => `delete chain ${NAME} ${name}`),
    `table ${NAME} {`,
    ...sets.flatMap((set) => renderSet(set, [])),
    ...chains.flatMap(renderChain),
    "}",
    ...renderEdits(edits),
    ...from.sets.filter(({ name }) => !newSets.has(name)).map(({ name }) => `delete set ${NAME} ${name}`),
    "",
  ].join("\n");
}

/** The chains that the step fills anew, and the sets that it makes. */
export function additions(from: Ruleset, to: Ruleset): Ruleset {
  const [chains, sets] = [byName(from.chains), byName(from.sets)];
  return {
    chains: to.chains.filter((chain) => !isSameChain(chain, chains.get(chain.name))),
    sets: to.sets.filter(({ name }) => !sets.has(name)),
  };
}

function byName<Item extends { readonly name: string }>(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.name, item]));
}

function isSameChain(left: RuleChain, right: RuleChain | undefined): boolean {
  return right !== undefined && renderChain(left).join("\n") === renderChain(right).join("\n");
}

export function isRevision({ name }: RuleChain): boolean {
  return name.startsWith("revision_");
}

function inChunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** @param keep without `learned`, the sets stay empty */
function renderTable(
  prelude: readonly string[],
  { sets, chains }: Ruleset,
  keep: Partial<KeptState> & Pick<KeptState, "counters">,
): string {
  const { learned } = keep;
  return [
    ...prelude,
    `table ${NAME} {`,
    ...COUNTERS.map((name) => `\tcounter ${name} { ${renderCount(keep.counters[name])}}`),
    ...sets.flatMap((set) =>
      renderSet(set, learned === undefined ? [] : elementsOf(set, { ...keep, learned })),
    ),
    ...chains.flatMap(renderChain),
    "}\n",
  ].join("\n");
}

function renderCount(count: { packets: number; bytes: number } | undefined): string {
  return count === undefined ? "" : `packets ${count.packets} bytes ${count.bytes} `;
}

function elementsOf(set: PlannedSet, { learned }: KeptState): Element[] {
  return set.kind === "learned"
    ? learnedElements(learned.get(set.name) ?? [], set.timeoutSeconds)
    : plannedElements(set);
}

function renderSet(set: PlannedSet, elements: readonly Element[]): string[] {
  return [
    `\tset ${set.name} {`,
    ...setHeader(set).map((line) => `\t\t${line}`),
    ...renderElements(elements.map(({ text }) => text)),
    "\t}",
  ];
}

/** A set's type and flags: what an existing set cannot change. */
export function setHeader(set: PlannedSet): string[] {
  if (set.kind === "lease") return ["type nf_proto", "flags timeout"];
  const address = `ip${set.family}_addr`;
  if (set.kind === "learned") {
    return [`type ${address}`, "size 65536", "flags dynamic,timeout", `timeout ${set.timeoutSeconds}s`];
  }
  return [
    `type ${address}${set.withPorts ? " . inet_proto . inet_service" : ""}`,
    ...(set.singles ? [] : [`flags interval${set.timed ? ",timeout" : ""}`]),
  ];
}

function renderElements(elements: readonly string[]): string[] {
  if (elements.length === 0) return [];
  const lines = inChunks(elements, ELEMENTS_PER_LINE).map((chunk) => `\t\t\t${chunk.join(", ")}`);
  return ["\t\telements = {", lines.join(",\n"), "\t\t}"];
}

function renderChain({ name, hook, rules }: RuleChain): string[] {
  return [
    `\tchain ${name} {`,
    ...(hook === undefined ? [] : [`\t\ttype filter hook ${hook} priority filter; policy drop;`]),
    ...rules.map((rule) => `\t\t${rule.map((statement) => statement.text).join(" ")}`),
    "\t}",
  ];
}
