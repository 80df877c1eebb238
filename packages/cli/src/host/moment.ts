import { readFileSync } from "node:fs";

/** A point in time, by the clock on the wall and by one that nobody sets. */
export interface Moment {
  readonly date: Date;
  /** The boot that `monotonicSeconds` counts in. */
  readonly bootId: string;
  /** CLOCK_MONOTONIC. */
  readonly monotonicSeconds: number;
}

export function readMoment(): Moment {
  return {
    date: new Date(),
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    monotonicSeconds: Number(process.hrtime.bigint()) / 1e9,
  };
}
