import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import type { Piece } from "./pieces.ts";
import { planChains } from "./plan-chains.ts";
import { planModeSets, planPolicySets } from "./plan-sets.ts";
import type { Family, Statement } from "./statement.ts";

export const TABLE = { family: "inet", name: "terok_shield" } as const;

export type Rule = readonly Statement[];

export interface RuleChain {
  readonly name: string;
  readonly hook?: "input" | "forward" | "output";
  readonly rules: readonly Rule[];
}

export type PlannedSet =
  | {
      readonly kind: "pieces";
      readonly name: string;
      readonly family: Family;
      /** Whether elements name transport and ports too, and whether they have an end. */
      readonly withPorts: boolean;
      readonly timed: boolean;
      /** Whether it takes nothing but single addresses: to add one, nft need not read the others. */
      readonly singles: boolean;
      readonly pieces: readonly Piece[];
    }
  /** The resolver's: what is in it changes by itself. */
  | {
      readonly kind: "learned";
      readonly name: string;
      readonly family: Family;
      readonly timeoutSeconds: number;
    }
  /** Holds `ipv4` and `ipv6` until it ends. */
  | { readonly kind: "lease"; readonly name: string; readonly remainingSeconds: number };

/** The whole table as data: rendered to nft text, and compared with what the kernel lists. */
export interface Ruleset {
  readonly sets: readonly PlannedSet[];
  readonly chains: readonly RuleChain[];
}

/** Plans the table that enforces `policy` in `mode`. */
export function planRuleset(policy: EgressPolicy, mode: ShieldMode): Ruleset {
  return planRulesets(policy)(mode);
}

/** The same for several modes: what they share is planned once. */
export function planRulesets(policy: EgressPolicy): (mode: ShieldMode) => Ruleset {
  const policySets = planPolicySets(policy);
  return (mode) => {
    const sets = [...policySets, ...planModeSets(policy, mode)];
    const chains = planChains(policy, mode, new Set(sets.map(({ name }) => name)));
    return { sets, chains: [...chains, revisionChain(policy.revision)] };
  };
}

/**
 * An empty chain whose name says which revision the kernel enforces: a change begins by deleting the one that it was
 * made for.
 * @param revision `partial` between the transactions of a change that takes more than one
 */
export function revisionChain(revision: number | "partial"): RuleChain {
  return { name: `revision_${revision}`, rules: [] };
}
