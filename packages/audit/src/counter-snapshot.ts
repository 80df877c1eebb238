import { PACKET_VERDICTS, type PacketVerdict, type SampledEvent } from "./shield-event.ts";

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** By the names that the counters have in the ruleset. */
export type Counters = Readonly<Record<string, Count>>;

/** What the kernel had counted at a time, and at the time before it that was written down. */
export interface CounterSnapshot {
  /** UTC, in milliseconds. */
  readonly ts: string;
  readonly counters: Counters;
  readonly before?: Counters;
}

/** Which counters count what has a verdict, and what of it was listed. */
export type VerdictCounters = Readonly<
  Record<PacketVerdict, { readonly counted: string; readonly logged: string }>
> & {
  /** Of queries that were too many to be answered. */
  readonly queries?: string;
};

const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** Reads one line of the log keeper: `{"ts":"…","counters":{"allowed":[packets,bytes],…},"before":{…}}`. */
export function parseCounterLine(line: string): CounterSnapshot | undefined {
  if (!line.startsWith('{"ts":')) return undefined;
  try {
    const { ts, counters, before } = JSON.parse(line) as Partial<Record<string, unknown>>;
    const [now, earlier] = [readCounters(counters), readCounters(before)];
    if (typeof ts !== "string" || now === undefined) return undefined;
    const time = new Date(ts);
    if (Number.isNaN(time.getTime())) return undefined;
    return { ts: time.toISOString(), counters: now, ...(earlier === undefined ? {} : { before: earlier }) };
  } catch {
    return undefined;
  }
}

function readCounters(value: unknown): Counters | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const counters: Record<string, Count> = {};
  for (const [name, count] of Object.entries(value)) {
    const [packets, bytes] = Array.isArray(count) ? count : [];
    if (NAME.test(name) && isCount(packets) && isCount(bytes)) counters[name] = { packets, bytes };
  }
  return counters;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** What was counted and is not listed, since the snapshot before; undefined when all of it is. */
export function findLeftOut(
  { ts, counters, before }: CounterSnapshot,
  container: string,
  names: VerdictCounters,
): SampledEvent | undefined {
  if (before === undefined) return undefined;
  const growth = (name: string | undefined) =>
    name === undefined ? 0 : growthOf(before[name]?.packets ?? 0, counters[name]?.packets ?? 0);
  const leftOut: Partial<Record<PacketVerdict, number>> = {};
  for (const verdict of PACKET_VERDICTS) {
    const count = growth(names[verdict].counted) - growth(names[verdict].logged);
    if (count > 0) leftOut[verdict] = count;
  }
  const queries = growth(names.queries);
  const parts = [
    ...Object.entries(leftOut).map(([verdict, count]) => `${count} ${verdict}`),
    ...(queries > 0 ? [`${queries} DNS ${queries === 1 ? "query" : "queries"} that got no answer`] : []),
  ];
  if (parts.length === 0) return undefined;
  const detail = `too many at once to list: ${parts.join(", ")}`;
  return { v: 1, ts, container, action: "sampled", detail, leftOut };
}

/** Counters that went down began anew. */
function growthOf(before: number, after: number): number {
  return after < before ? after : after - before;
}
