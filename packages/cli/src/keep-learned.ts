import { type NamePolicy, scopesOfName } from "@terok-shield/dns-tier";
import {
  keptSets,
  type LearnedAddress,
  type LiveSets,
  learnedSets,
  renderIpRange,
} from "@terok-shield/nft-ruleset";

/** What the kernel's learned sets hold, by set name. */
export interface SortedAddresses {
  /** Brought by a name that is open, in a set that this name fills. */
  readonly keep: LiveSets["learned"];
  /** Brought by closed names alone, or by nobody that is known. */
  readonly forget: LiveSets["learned"];
}

/**
 * Parts what the learned sets hold by whether a name that is open still leads to it.
 * @param answers which addresses each name's answers brought since the container started
 */
export function sortLearned(
  learned: LiveSets["learned"],
  answers: ReadonlyMap<string, ReadonlySet<string>>,
  names: NamePolicy,
): SortedAddresses {
  const open = addressesBySet(answers, names);
  const isOpen = (set: string) => (address: LearnedAddress) =>
    open.get(set)?.has(renderIpRange(address)) === true;
  const pick = (isWanted: (set: string) => (address: LearnedAddress) => boolean) =>
    new Map([...learned].map(([set, addresses]) => [set, addresses.filter(isWanted(set))] as const));
  return {
    keep: pick(isOpen),
    forget: withoutEmpty(pick((set) => (address) => !isOpen(set)(address))),
  };
}

function addressesBySet(
  answers: ReadonlyMap<string, ReadonlySet<string>>,
  names: NamePolicy,
): ReadonlyMap<string, ReadonlySet<string>> {
  const bySet = new Map<string, Set<string>>();
  for (const [name, addresses] of answers) {
    for (const scope of scopesOfName(names, name)) {
      for (const { v4, v6 } of [learnedSets(scope), keptSets(scope)]) {
        for (const address of addresses) {
          const set = address.includes(":") ? v6 : v4;
          bySet.set(set, (bySet.get(set) ?? new Set()).add(address));
        }
      }
    }
  }
  return bySet;
}

function withoutEmpty(sets: LiveSets["learned"]): LiveSets["learned"] {
  return new Map([...sets].filter(([, addresses]) => addresses.length > 0));
}
