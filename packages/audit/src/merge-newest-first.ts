import type { ShieldEvent } from "./shield-event.ts";

/** A step back in time: from here on a source has nothing newer than `time`, in milliseconds since 1970. */
export interface StepBack {
  readonly time: number;
  /** Undefined where there is none: it says only how far back the source is by now. */
  readonly event?: ShieldEvent;
}

/**
 * Merges sources that each go back in time into one that does, and reads of each no more than it takes. Of events of the
 * same millisecond, those of a later source are newer.
 */
export async function* mergeNewestFirst(
  sources: readonly AsyncIterator<StepBack, void>[],
): AsyncGenerator<StepBack & { readonly event: ShieldEvent }, void> {
  const heads: (StepBack | undefined)[] = await Promise.all(sources.map(advance));
  for (;;) {
    let newest = -1;
    for (const [index, head] of heads.entries()) {
      const best = heads[newest];
      if (head !== undefined && (best === undefined || head.time >= best.time)) newest = index;
    }
    const [head, source] = [heads[newest], sources[newest]];
    if (head === undefined || source === undefined) return;
    if (head.event !== undefined) yield { time: head.time, event: head.event };
    heads[newest] = await advance(source);
  }
}

async function advance(source: AsyncIterator<StepBack, void>): Promise<StepBack | undefined> {
  const next = await source.next();
  return next.done === true ? undefined : next.value;
}
