import { PACKET_VERDICTS, type PacketVerdict } from "@terok-shield/audit";
import {
  ANSWER_COUNTERS,
  ASKED_COUNTER,
  QUERY_COUNTER,
  type SetSize,
  VERDICT_COUNTERS,
} from "@terok-shield/nft-ruleset";
import type { ContainerStatus } from "./commands/status.ts";

/** What the kernel counted in one run of a container. */
export interface TrafficCounts {
  /** Counted at a connection's first packet. */
  readonly allowedConnections: number;
  /** Those that policy would have refused, but for bypass. */
  readonly bypassedConnections: number;
  readonly refusedPackets: Readonly<Record<RefusalReason, number>>;
  readonly refusedBytes: Readonly<Record<RefusalReason, number>>;
  /** Of all these, what was too much at once to be listed as events. */
  readonly unlisted: Readonly<Record<PacketVerdict, number>>;
  readonly dns: DnsCounts;
}

/** Of the container's resolver, over UDP; the shield's own checks of it are among them. */
export interface DnsCounts {
  /** Queries that went on to it. What is neither of the next three had no answer, or told of a failure. */
  readonly asked: number;
  readonly answered: number;
  /** No such name. */
  readonly missing: number;
  /** By policy. */
  readonly refused: number;
  /** Queries that were too many to go on to it. */
  readonly overLimit: number;
}

export const REFUSAL_REASONS = ["blocked", "denied", "private"] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface ContainerStats {
  readonly container: string;
  readonly status: ContainerStatus;
  readonly tier: string;
  /** Of the policy on disk, and what it says of the whole container; absent where it cannot be read. */
  readonly revision?: number;
  readonly mode?: string;
  /** Of its present run. */
  readonly startedAt?: Date;
  readonly uptimeSeconds?: number;
  /** Absent before the first run. */
  readonly counted?: {
    readonly at: Date;
    /** False for those of its last run, as they were written down last. */
    readonly isLive: boolean;
    readonly traffic: TrafficCounts;
  };
  /** In the kernel; none while it does not run. */
  readonly sets: readonly SetSize[];
}

type Counters = Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;

/** What the ruleset's counters say. One that is not there counts nothing. */
export function summariseCounters(counters: Counters): TrafficCounts {
  const packets = (name: string) => counters[name]?.packets ?? 0;
  const counted = (verdict: PacketVerdict) => packets(VERDICT_COUNTERS[verdict].counted);
  const refused = (unit: "packets" | "bytes") =>
    Object.fromEntries(
      REFUSAL_REASONS.map((reason) => [reason, counters[VERDICT_COUNTERS[reason].counted]?.[unit] ?? 0]),
    ) as Record<RefusalReason, number>;
  return {
    allowedConnections: counted("allowed"),
    bypassedConnections: counted("bypass"),
    refusedPackets: refused("packets"),
    refusedBytes: refused("bytes"),
    unlisted: Object.fromEntries(
      PACKET_VERDICTS.map((verdict) => {
        // Rules of before this version log without counting it.
        const listed = counters[VERDICT_COUNTERS[verdict].logged]?.packets ?? counted(verdict);
        return [verdict, Math.max(0, counted(verdict) - listed)];
      }),
    ) as Record<PacketVerdict, number>,
    dns: {
      asked: packets(ASKED_COUNTER),
      answered: packets(ANSWER_COUNTERS.answered.counter),
      missing: packets(ANSWER_COUNTERS.missing.counter),
      refused: packets(ANSWER_COUNTERS.refused.counter),
      overLimit: packets(QUERY_COUNTER),
    },
  };
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
