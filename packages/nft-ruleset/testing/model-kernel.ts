import type { PolicyInMode } from "../src/egress-policy.ts";
import { plannedElements } from "../src/elements.ts";
import { type Ruleset, TABLE } from "../src/ruleset.ts";

/** What transactions make of a table, as far as its sets and its revision go; what nft refuses throws. */
export interface ModelKernel {
  /** Elements without their times, by the name of the set. */
  readonly sets: Map<string, Set<string>>;
  revision: string;
  /** Text of the chains that are not as they were loaded, by name. */
  readonly chains: Map<string, string>;
}

const IN_TABLE = `${TABLE.family} ${TABLE.name}`;

/** The kernel after a ruleset was loaded, with what the resolver has learned since. */
export function modelOf(
  { policy }: PolicyInMode,
  { sets }: Ruleset,
  learned: ReadonlyMap<string, readonly string[]> = new Map(),
): ModelKernel {
  const elements = sets.map(
    (set) => [set.name, new Set([...texts(plannedElements(set)), ...(learned.get(set.name) ?? [])])] as const,
  );
  return { sets: new Map(elements), revision: `revision_${policy.revision}`, chains: new Map() };
}

export function texts(elements: readonly { readonly text: string }[]): string[] {
  return elements.map(({ text }) => withoutTime(text));
}

/** @throws Error where nft would refuse the transaction. */
export function applyTransaction(kernel: ModelKernel, transaction: string): void {
  let set: string | undefined;
  let chain: string | undefined;
  for (const line of transaction.split("\n")) {
    const [verb = "", kind, , , name = ""] = line.split(" ");
    const braced = /\{ (.*) \}$/.exec(line)?.[1]?.split(", ") ?? [];
    const opened = /^\t(set|chain) (\S+) \{$/.exec(line);
    if (line === `delete table ${IN_TABLE}`) {
      kernel.sets.clear();
      kernel.chains.clear();
    } else if (verb === "delete" && kind === "chain") {
      if (name.startsWith("revision_")) refuseUnless(kernel.revision === name, line);
    } else if (verb === "delete" && kind === "set") {
      refuseUnless(kernel.sets.delete(name), line);
    } else if (verb === "flush" && kind === "set") {
      elementsOf(kernel, name, line).clear();
    } else if (verb === "add" && kind === "element") {
      for (const text of braced) elementsOf(kernel, name, line).add(withoutTime(text));
    } else if (verb === "delete" && kind === "element") {
      for (const text of braced) refuseUnless(elementsOf(kernel, name, line).delete(withoutTime(text)), line);
    } else if (opened?.[1] === "set") {
      set = opened[2] ?? "";
      if (!kernel.sets.has(set)) kernel.sets.set(set, new Set());
    } else if (opened?.[1] === "chain") {
      chain = opened[2] ?? "";
      if (chain.startsWith("revision_")) kernel.revision = chain;
      kernel.chains.set(chain, "");
    } else if (line === "\t}") {
      set = undefined;
      chain = undefined;
    } else if (chain !== undefined) {
      kernel.chains.set(chain, `${kernel.chains.get(chain)}${line.trim()}\n`);
    } else if (set !== undefined && /^\t\t\t/.test(line)) {
      for (const text of line.trim().replace(/,$/, "").split(", "))
        kernel.sets.get(set)?.add(withoutTime(text));
    }
  }
}

function elementsOf(kernel: ModelKernel, name: string, line: string): Set<string> {
  const elements = kernel.sets.get(name);
  if (elements === undefined) throw new Error(`there is no set for: ${line}`);
  return elements;
}

function refuseUnless(isThere: boolean, line: string): void {
  if (!isThere) throw new Error(`there is nothing for: ${line}`);
}

function withoutTime(text: string): string {
  return text.replace(/ timeout .*/, "");
}
