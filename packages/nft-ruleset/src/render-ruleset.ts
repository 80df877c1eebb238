import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { type IpRange, renderIpRange } from "./ip-range.ts";
import { type AddressSet, planRuleset, type RuleChain, type Ruleset, TABLE } from "./ruleset.ts";

const NAME = `${TABLE.family} ${TABLE.name}`;
const ELEMENTS_PER_LINE = 8;
const RANGES_PER_TRANSACTION = 2000;

/**
 * Renders the container's whole table as one `nft -f` transaction: the kernel
 * keeps the old rules in force until it commits the new ones.
 */
export function renderRuleset(policy: EgressPolicy, mode: ShieldMode): string {
  return renderTable(planRuleset(policy, mode));
}

/**
 * Renders the same table for a container that has not started, as the `nft -f` transactions that it takes: one
 * message each, no longer than the socket's buffer, which only the host's root may widen (net.core.wmem_default,
 * 212992 bytes; a range takes up to 64, measured). The first part lets nothing through, the next fill the sets, the
 * last enters `mode`: whichever fails, nothing is open that policy closes.
 */
export function renderRulesetInParts(policy: EgressPolicy, mode: ShieldMode): string[] {
  const ruleset = planRuleset(policy, mode);
  const size = ruleset.sets.reduce((total, { content }) => total + rangesOf(content).length, 0);
  if (size <= RANGES_PER_TRANSACTION) return [renderTable(ruleset)];
  const sets = ruleset.sets.map((set) =>
    set.content.kind === "ranges" ? { ...set, content: { ...set.content, ranges: [] } } : set,
  );
  return [
    renderTable({ ...planRuleset(policy, { kind: "block" }), sets }),
    ...ruleset.sets.flatMap(({ name, content }) =>
      inChunks(rangesOf(content), RANGES_PER_TRANSACTION).map(
        (ranges) => `add element ${NAME} ${name} { ${ranges.map(renderIpRange).join(", ")} }\n`,
      ),
    ),
    renderModeChange(policy, mode),
  ];
}

function rangesOf(content: AddressSet["content"]): readonly IpRange[] {
  return content.kind === "ranges" ? content.ranges : [];
}

function inChunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function renderTable({ counters, sets, chains }: Ruleset): string {
  return [
    `table ${NAME}`, // `delete` fails on a missing table, so declare it first.
    `delete table ${NAME}`,
    `table ${NAME} {`,
    ...counters.map((counter) => `\tcounter ${counter} { }`),
    ...sets.flatMap(renderSet),
    ...chains.flatMap(renderChain),
    "}\n",
  ].join("\n");
}

/**
 * Renders the change to `mode` as one transaction that keeps sets, counters and what the resolver learned:
 * no instant in which anything is open that should not be, or closed that should be open.
 */
export function renderModeChange(policy: EgressPolicy, mode: ShieldMode): string {
  const hooked = planRuleset(policy, mode).chains.filter((chain) => chain.hook !== undefined);
  return [
    ...hooked.map((chain) => `flush chain ${NAME} ${chain.name}`),
    `table ${NAME} {`,
    ...hooked.flatMap(renderChain),
    "}\n",
  ].join("\n");
}

function renderSet({ name, family, content }: AddressSet): string[] {
  const type = `\t\ttype ip${family}_addr`;
  if (content.kind === "timed") {
    return [
      `\tset ${name} {`,
      type,
      "\t\tsize 65536",
      "\t\tflags dynamic,timeout",
      `\t\ttimeout ${content.timeoutSeconds}s`,
      "\t}",
    ];
  }
  return [
    `\tset ${name} {`,
    type,
    "\t\tflags interval",
    ...renderElements(content.ranges.map(renderIpRange)),
    "\t}",
  ];
}

function renderElements(elements: readonly string[]): string[] {
  if (elements.length === 0) return [];
  const lines: string[] = [];
  for (let start = 0; start < elements.length; start += ELEMENTS_PER_LINE) {
    lines.push(`\t\t\t${elements.slice(start, start + ELEMENTS_PER_LINE).join(", ")}`);
  }
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
