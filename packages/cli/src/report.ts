import type { AuditEvent, PacketEvent, PacketVerdict, ShieldEvent } from "@terok-shield/audit";
import type { StatusReport } from "./commands/status.ts";
import type { ContainerState } from "./container-state.ts";
import { type ContainerStats, REFUSAL_REASONS, type RefusalReason } from "./stats.ts";

/** All that a report says of a container. */
export interface Report extends EventSummary {
  readonly container: string;
  readonly at: Date;
  /** What was before is left out. */
  readonly since?: Date;
  readonly status: StatusReport;
  readonly stats?: ContainerStats;
  readonly state: ContainerState;
}

export interface EventSummary {
  /** Most often first. */
  readonly reached: readonly Destination[];
  readonly refused: readonly Destination[];
  readonly refusedNames: readonly RefusedName[];
  /** How many there were of each in all, listed or not. */
  readonly totals: Readonly<Record<PacketVerdict | "names", number>>;
  readonly timeline: Timeline;
  /** What happened to the shield, newest first. */
  readonly decisions: readonly AuditEvent[];
}

/** What packets of the same verdict went to. */
export interface Destination {
  readonly verdict: PacketVerdict;
  readonly name?: string;
  readonly address: string;
  /** `443/tcp`, `icmp`. */
  readonly service: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

export interface RefusedName {
  readonly name: string;
  readonly queryTypes: readonly string[];
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

/** Kinds of what was refused, as the picture stacks them. */
export const TIMELINE_KINDS = [...REFUSAL_REASONS, "names", "unlisted"] as const;
export type TimelineKind = (typeof TIMELINE_KINDS)[number];

export interface Timeline {
  readonly start: Date;
  readonly end: Date;
  /** Of equal length, oldest first. */
  readonly spans: readonly Readonly<Record<TimelineKind, number>>[];
}

const SPANS = 60;

/** @param range the time that the report is about; from the first event when it has no beginning */
export function summariseEvents(
  events: readonly ShieldEvent[],
  range: { readonly since?: Date; readonly until: Date },
): EventSummary {
  const [reached, refused] = [new Map<string, Destination>(), new Map<string, Destination>()];
  const names = new Map<string, RefusedName>();
  const totals = { allowed: 0, bypass: 0, blocked: 0, denied: 0, private: 0, names: 0 };
  const timeline = openTimeline(events, range);
  const decisions: AuditEvent[] = [];
  for (const event of events) {
    if (event.action === "packet") {
      totals[event.verdict]++;
      if (isReason(event.verdict)) timeline.add(event.ts, event.verdict, 1);
      addDestination(isReason(event.verdict) ? refused : reached, event);
    } else if (event.action === "name") {
      totals.names++;
      timeline.add(event.ts, "names", 1);
      addName(names, event);
    } else if (event.action === "sampled") {
      for (const [verdict, count] of Object.entries(event.leftOut) as [PacketVerdict, number][]) {
        totals[verdict] += count;
        if (isReason(verdict)) timeline.add(event.ts, "unlisted", count);
      }
    } else {
      decisions.push(event);
    }
  }
  return {
    reached: mostOften(reached),
    refused: mostOften(refused),
    refusedNames: mostOften(names),
    totals,
    timeline: timeline.close(),
    decisions: decisions.reverse(),
  };
}

function isReason(verdict: PacketVerdict): verdict is RefusalReason {
  return verdict !== "allowed" && verdict !== "bypass";
}

function addDestination(
  found: Map<string, Destination>,
  { verdict, name, address, protocol, port, ts }: PacketEvent,
): void {
  const service = port === undefined ? protocol : `${port}/${protocol}`;
  const key = JSON.stringify([verdict, name, address, service]);
  const { count = 0, first = ts } = found.get(key) ?? {};
  const named = name === undefined ? {} : { name };
  found.set(key, { verdict, ...named, address, service, count: count + 1, first, last: ts });
}

function addName(
  found: Map<string, RefusedName>,
  { name, queryType, ts }: { readonly name: string; readonly queryType: string; readonly ts: string },
): void {
  const { count = 0, first = ts, queryTypes = [] } = found.get(name) ?? {};
  const types = queryTypes.includes(queryType) ? queryTypes : [...queryTypes, queryType];
  found.set(name, { name, queryTypes: types, count: count + 1, first, last: ts });
}

/** Those of the same count, newest first. */
function mostOften<Item extends { readonly count: number; readonly last: string }>(
  found: ReadonlyMap<string, Item>,
): Item[] {
  return [...found.values()].sort(
    (left, right) =>
      right.count - left.count || (left.last < right.last ? 1 : left.last > right.last ? -1 : 0),
  );
}

function openTimeline(
  events: readonly ShieldEvent[],
  { since, until }: { readonly since?: Date; readonly until: Date },
) {
  const end = until.getTime();
  const begin = since?.getTime() ?? Date.parse(events[0]?.ts ?? until.toISOString());
  // In whole seconds, so the picture may begin a little earlier.
  const spanSeconds = Math.max(1, Math.ceil((end - begin) / 1000 / SPANS));
  const start = end - SPANS * spanSeconds * 1000;
  const spans = Array.from({ length: SPANS }, () => ({
    blocked: 0,
    denied: 0,
    private: 0,
    names: 0,
    unlisted: 0,
  }));
  return {
    add(ts: string, kind: TimelineKind, count: number): void {
      const index = Math.floor((Date.parse(ts) - start) / 1000 / spanSeconds);
      const span = spans[Math.min(Math.max(index, 0), SPANS - 1)];
      if (span !== undefined) span[kind] += count;
    },
    close: (): Timeline => ({ start: new Date(start), end: new Date(end), spans }),
  };
}
