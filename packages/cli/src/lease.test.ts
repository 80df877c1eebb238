import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Moment } from "./host/moment.ts";
import {
  compareLeaseEnds,
  type Lease,
  remainingSeconds,
  runIdOf,
  secondsSinceEnd,
  startLease,
} from "./lease.ts";

const START: Moment = {
  date: new Date("2026-12-01T10:00:00.000Z"),
  bootId: "boot-1",
  monotonicSeconds: 1000.5,
};
const LEASE = startLease(600, START, "run-1");

/** The moment when so much time has passed by either clock. */
function later({
  monotonic,
  wall = monotonic,
  bootId = "boot-1",
}: {
  monotonic: number;
  wall?: number;
  bootId?: string;
}): Moment {
  return {
    date: new Date(START.date.getTime() + wall * 1000),
    bootId,
    monotonicSeconds: START.monotonicSeconds + monotonic,
  };
}

test("a lease says when it ends by both clocks, and with which run", () => {
  expect(LEASE).toEqual({
    until: "2026-12-01T10:10:00.000Z",
    seconds: 600,
    bootId: "boot-1",
    deadline: 1600.5,
    run: "run-1",
  });
  expect(startLease(1, START)).not.toHaveProperty("run");
});

describe("within a boot the monotonic clock decides, whatever the wall clock does", () => {
  test.each([
    ["no time passed", later({ monotonic: 0 }), 600],
    ["some time passed", later({ monotonic: 100.25 }), 499.75],
    ["all of it passed", later({ monotonic: 600 }), 0],
    ["more of it passed", later({ monotonic: 10_000 }), 0],
    ["the wall clock jumped ahead", later({ monotonic: 100, wall: 1e6 }), 500],
    ["the wall clock was set back", later({ monotonic: 600, wall: -1e6 }), 0],
  ])("%s", (_, moment, left) => expect(remainingSeconds(LEASE, moment)).toBe(left));
});

describe("after a reboot the wall clock decides, and never adds to the length", () => {
  const reboot = (wall: number) => later({ monotonic: -1000, wall, bootId: "boot-2" });
  test.each([
    ["some time passed", reboot(100), 500],
    ["all of it passed", reboot(600), 0],
    ["the clock was set back", reboot(-1e6), 600],
  ])("%s", (_, moment, left) => expect(remainingSeconds(LEASE, moment)).toBe(left));
});

test("since its end time passes by the same clocks", () => {
  const since = (moment: Moment) => secondsSinceEnd(LEASE, moment);
  expect([since(later({ monotonic: 599 })), since(later({ monotonic: 603, wall: 5 }))]).toEqual([0, 3]);
  expect(since(later({ monotonic: 1, wall: 607, bootId: "boot-2" }))).toBe(7);
});

test("whatever a file says, what is left lies between nothing and the whole length", () => {
  const lease: fc.Arbitrary<Lease> = fc.record({
    until: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    seconds: fc.double({ min: 1e-3, max: 1e7, noNaN: true }),
    bootId: fc.constantFrom("boot-1", "boot-2"),
    deadline: fc.double({ noNaN: true, noDefaultInfinity: true }),
  });
  fc.assert(
    fc.property(lease, fc.integer(), (hostile, monotonic) => {
      const left = remainingSeconds(hostile, later({ monotonic, wall: 0 }));
      expect(left).toBeGreaterThanOrEqual(0);
      expect(left).toBeLessThanOrEqual(hostile.seconds);
    }),
  );
});

test("leases are sorted by their end", () => {
  const leases = [600, 5, 60].map((seconds) => startLease(seconds, START));
  expect([...leases].sort(compareLeaseEnds).map(({ seconds }) => seconds)).toEqual([5, 60, 600]);
  const afterReboot = startLease(1, later({ monotonic: 0, wall: 3600, bootId: "boot-2" }));
  expect([afterReboot, LEASE].sort(compareLeaseEnds)).toEqual([LEASE, afterReboot]);
});

test("a run is another one when podman restarts the same container, or the kernel gives the pid again", () => {
  const record = { containerId: "5fd1b8", pid: 7, startTime: "100", networkNamespace: 1, ownerPid: 2 };
  const ids = [
    record,
    { ...record, pid: 8 },
    { ...record, startTime: "200" },
    { ...record, containerId: "c0" },
  ];
  expect(new Set(ids.map(runIdOf)).size).toBe(4);
  expect(runIdOf({ ...record, hostsFile: "/hosts" })).toBe(runIdOf(record));
});
