import {
  type AskedQuery,
  BackwardQueryReader,
  findLeftOut,
  linesFromEnd,
  nameEvent,
  parseAuditLine,
  parseCounterLine,
  parsePacketLine,
  parseResolverLine,
  type ResolverLine,
  resolveClock,
  type StepBack,
} from "@terok-shield/audit";
import { MARKER_ZONE } from "@terok-shield/hook-entrypoint/contract";
import { QUERY_COUNTER, VERDICT_COUNTERS } from "@terok-shield/nft-ruleset";
import type { OpenLog } from "./event-source-files.ts";

/** A log and where to begin in it. */
export interface LogEnd {
  readonly log: OpenLog;
  /** In bytes; the file's end unless given. */
  readonly end?: number | undefined;
}

/** The lines of several files of one log, the newest file first. */
async function* linesBack(ends: readonly LogEnd[]): AsyncGenerator<string[], void> {
  for (const { log, end } of ends) yield* linesFromEnd(log, end === undefined ? {} : { end });
}

/** audit.jsonl, from its end. */
export async function* lifecycleBack(ends: readonly LogEnd[]): AsyncGenerator<StepBack, void> {
  for await (const lines of linesBack(ends)) {
    for (const line of lines) {
      const event = parseAuditLine(line);
      if (event !== undefined) yield { time: Date.parse(event.ts), event };
    }
  }
}

/** The names of the counters, for what was left out. */
export const COUNTED = { ...VERDICT_COUNTERS, queries: QUERY_COUNTER };

/** packets.jsonl, from its end. */
export async function* packetsBack(
  ends: readonly LogEnd[],
  container: string,
): AsyncGenerator<StepBack, void> {
  for await (const lines of linesBack(ends)) {
    for (const line of lines) {
      const snapshot = parseCounterLine(line);
      const event =
        snapshot === undefined ? parsePacketLine(line, container) : findLeftOut(snapshot, container, COUNTED);
      if (event !== undefined) yield { time: Date.parse(event.ts), event };
      else if (snapshot !== undefined) yield { time: Date.parse(snapshot.ts) };
    }
  }
}

/** dnsmasq's log, from its end: the refused names in it. */
export async function* namesBack(ends: readonly LogEnd[], container: string): AsyncGenerator<StepBack, void> {
  const reader = new BackwardQueryReader();
  const own = new OwnQuestions();
  for await (const { lines, time } of resolverLinesBack(ends)) {
    for (const { line, time: at } of lines) {
      const query = reader.read(line);
      if (query === undefined || !query.isRefused || own.has(query)) continue;
      yield { time: at, event: nameEvent(query, new Date(at).toISOString(), container) };
    }
    yield { time };
  }
}

export interface DatedLine {
  readonly line: ResolverLine;
  readonly time: number;
}

/** A block's lines of dnsmasq's log, newest first, and the time of the oldest: nothing that follows is newer. */
export async function* resolverLinesBack(
  ends: readonly LogEnd[],
  maximumBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<{ lines: DatedLine[]; time: number }, void> {
  let room = maximumBytes;
  for (const { log, end } of ends) {
    if (room <= 0) return;
    const date = datesBack(log.modifiedAt);
    const size = end ?? (await log.size());
    for await (const texts of linesFromEnd(log, {
      end: size,
      ...(Number.isFinite(room) ? { maximumBytes: room } : {}),
    })) {
      const lines = texts.flatMap((text) => {
        const line = parseResolverLine(text);
        const time = line === undefined ? undefined : date(line.clock);
        return line === undefined || time === undefined ? [] : [{ line, time }];
      });
      const oldest = lines.at(-1);
      if (oldest !== undefined) yield { lines, time: oldest.time };
    }
    room -= size;
  }
}

/** Times of lines that go back from a file's last. */
function datesBack(modifiedAt: number): (clock: string) => number | undefined {
  let last: { readonly clock: string; readonly time: number | undefined } | undefined;
  let notAfter = modifiedAt;
  return (clock) => {
    if (last?.clock !== clock) {
      last = { clock, time: resolveClock(clock, notAfter) };
      notAfter = last.time ?? notAfter;
    }
    return last.time;
  };
}

/**
 * Tells the shield's own questions from the container's: of its marker, the one at each start that has to be refused, and
 * the names that `explain` asks for between two questions for the marker, in one connection. Only dnsmasq's files have
 * the marker, and only it is a name of its zone that there is not: so no other process can pass its questions off as ours.
 */
export class OwnQuestions {
  readonly #askers = new Set<string>();

  has({ name, asker, isListed }: AskedQuery): boolean {
    const lower = name.toLowerCase();
    if (/^not-allowed\.[0-9a-f]{24}$/.test(lower)) return true;
    if (!lower.endsWith(`.${MARKER_ZONE}`)) return this.#askers.has(asker);
    if (isListed) this.#askers.add(asker);
    return true;
  }
}
