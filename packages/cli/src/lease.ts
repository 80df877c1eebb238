import type { RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import type { Moment } from "./host/moment.ts";

/** The end of something temporary. */
export interface Lease {
  /** Wall clock, ISO 8601. */
  readonly until: string;
  /** Its whole length. */
  readonly seconds: number;
  readonly bootId: string;
  /** CLOCK_MONOTONIC of that boot, in seconds. */
  readonly deadline: number;
  /** The run of the container that it ends with, as `runIdOf` names it; absent when it outlives restarts. */
  readonly run?: string;
}

/** A lease that begins now. */
export function startLease(seconds: number, moment: Moment, run?: string): Lease {
  return {
    until: new Date(moment.date.getTime() + seconds * 1000).toISOString(),
    seconds,
    bootId: moment.bootId,
    deadline: moment.monotonicSeconds + seconds,
    ...(run === undefined ? {} : { run }),
  };
}

/**
 * The seconds that are left, 0 when it is over. Within a boot nobody can set the clock that decides; after a reboot the
 * wall clock has to do, which never adds to the lease's length.
 */
export function remainingSeconds(lease: Lease, moment: Moment): number {
  const left =
    lease.bootId === moment.bootId
      ? lease.deadline - moment.monotonicSeconds
      : (Date.parse(lease.until) - moment.date.getTime()) / 1000;
  return Math.min(Math.max(left, 0), lease.seconds);
}

/** The seconds since it was over, 0 while it is not. */
export function secondsSinceEnd(lease: Lease, moment: Moment): number {
  const over =
    lease.bootId === moment.bootId
      ? moment.monotonicSeconds - lease.deadline
      : (moment.date.getTime() - Date.parse(lease.until)) / 1000;
  return Math.max(over, 0);
}

/** Sorts the lease that ends first to the front. */
export function compareLeaseEnds(left: Lease, right: Lease): number {
  return left.bootId === right.bootId
    ? left.deadline - right.deadline
    : Date.parse(left.until) - Date.parse(right.until);
}

/** Tells one run of a container from the next: podman keeps the id of a container that it restarts. */
export function runIdOf({ containerId, pid, startTime }: RuntimeRecord): string {
  return `${containerId}:${pid}:${startTime}`;
}
