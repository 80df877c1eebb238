import { type IpRange, isSingleAddress, parseListedElement } from "./ip-range.ts";
import { listedObjects } from "./listing.ts";
import { TABLE } from "./ruleset.ts";
import { LEARNED_SET_NAME } from "./set-names.ts";

/** An address that the resolver learned, and when it will be forgotten unless it is used. */
export interface LearnedAddress extends IpRange {
  readonly expiresSeconds: number;
}

/** What lives in the kernel alone. */
export interface LiveSets {
  /** Absent when there is no table, or a change of it was cut off half-way. */
  readonly revision?: number;
  /** By the name of the set. */
  readonly learned: ReadonlyMap<string, readonly LearnedAddress[]>;
  readonly counters: Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;
}

/**
 * Reads what `nft -j list ruleset` shows of our table; whatever is not as we made it is left out.
 * @throws Error when the text is not such a listing.
 */
export function readLiveSets(json: string): LiveSets {
  const learned = new Map<string, LearnedAddress[]>();
  const counters: Record<string, { packets: number; bytes: number }> = {};
  const revisions: number[] = [];
  for (const object of listedObjects(json)) {
    const { set, counter, chain } = object as Record<string, Listed | undefined>;
    if (isOurs(set) && LEARNED_SET_NAME.test(set.name) && set.timeout !== undefined) {
      learned.set(set.name, addressesOf(set.elem));
    }
    if (isOurs(counter) && isCount(counter.packets) && isCount(counter.bytes)) {
      counters[counter.name] = { packets: counter.packets, bytes: counter.bytes };
    }
    const revision = isOurs(chain) ? /^revision_(\d{1,15})$/.exec(chain.name)?.[1] : undefined;
    if (revision !== undefined) revisions.push(Number(revision));
  }
  const [revision, second] = revisions;
  return {
    ...(revision === undefined || second !== undefined ? {} : { revision }),
    learned,
    counters,
  };
}

interface Listed {
  readonly family?: unknown;
  readonly table?: unknown;
  readonly name?: unknown;
  readonly timeout?: unknown;
  readonly elem?: unknown;
  readonly packets?: unknown;
  readonly bytes?: unknown;
}

function isOurs(object: Listed | undefined): object is Listed & { readonly name: string } {
  return object?.family === TABLE.family && object.table === TABLE.name && typeof object.name === "string";
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function addressesOf(elements: unknown): LearnedAddress[] {
  if (!Array.isArray(elements)) return [];
  return elements.flatMap((element) => {
    const { val, expires } = (element as { elem?: { val?: unknown; expires?: unknown } } | null)?.elem ?? {};
    const range = parseListedElement(val);
    if (range === undefined || !isSingleAddress(range) || !isCount(expires)) return [];
    return [{ ...range, expiresSeconds: expires }];
  });
}
