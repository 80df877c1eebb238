const LONG_NAME = 100;
const LONG_LABEL = 40;
/** Shorter texts say too little about where they come from. */
const SHORTEST_RANDOM = 16;
/** Bits in each character: a word of that length with a number in it stays below. */
const RANDOM_ENTROPY = 3.3;

/** Why a name may carry data out, or pass for another; undefined for most. */
export function suspectName(name: string): string | undefined {
  const labels = name.split(".");
  if (name.length >= LONG_NAME) return "so long a name can carry data out";
  if (labels.some((label) => label.length >= LONG_LABEL)) return "so long a label can carry data out";
  if (labels.some(isRandom)) return "a random label: asking for it can carry data out";
  if (labels.some((label) => label.startsWith("xn--"))) {
    return "a name in another script: it may look like one that you trust";
  }
  return undefined;
}

function isRandom(label: string): boolean {
  return label.split(/[-_]/).some((part) => {
    if (part.length < SHORTEST_RANDOM) return false;
    if (/[bcdfghjklmnpqrstvwxz]{7}/.test(part)) return true;
    const changes = part.match(/[a-z](?=\d)|\d(?=[a-z])/g)?.length ?? 0;
    return changes >= 3 || (changes >= 2 && entropyOf(part) >= RANDOM_ENTROPY);
  });
}

function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  const shares = [...counts.values()].map((count) => count / text.length);
  return shares.reduce((sum, share) => sum - share * Math.log2(share), 0);
}

/** So many different names below one parent are no longer a handful of hosts. */
export const MANY_NAMES = 30;

/** The parents that have many of the names below them, at any depth; each is two labels at least. */
export function findCrowdedParents(names: Iterable<string>): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const name of names) {
    const labels = name.split(".");
    for (let first = 1; first <= labels.length - 2; first++) {
      const parent = labels.slice(first).join(".");
      counts.set(parent, (counts.get(parent) ?? 0) + 1);
    }
  }
  return new Set([...counts].filter(([, count]) => count >= MANY_NAMES).map(([parent]) => parent));
}
