import { describe, expect, test } from "vitest";
import { decisionOf, later, MOMENT, makeState, RUN } from "../testing/test-state.ts";
import type { ContainerMode, ContainerState } from "./container-state.ts";
import { forNextStart, secondsToNextEnd, withoutExpired, withoutOtherRuns, withoutOver } from "./expiry.ts";
import { startLease } from "./lease.ts";

const FOREVER = ["allow a.test", "deny b.test"].map((text) => decisionOf(text));
const ALLOW_MINUTE = decisionOf("allow c.test --for 1m");
const DENY_HOUR = decisionOf("deny d.test --for 1h");
const BYPASS: ContainerMode = { kind: "down", privateRanges: "closed", run: RUN };
const STATE = makeState({ decisions: [...FOREVER, ALLOW_MINUTE, DENY_HOUR], mode: BYPASS });

const what = ({ decisions, mode }: ContainerState) => ({ decisions, mode: mode.kind });

describe("while the container runs", () => {
  test("all that lasts stays, and the state is the same object", () => {
    expect(withoutExpired(STATE, later(59.9), RUN)).toBe(STATE);
    expect(withoutOver(STATE, later(59.9))).toBe(STATE);
  });

  test("a lease that is over leaves", () => {
    expect(what(withoutExpired(STATE, later(60), RUN))).toEqual({
      decisions: [...FOREVER, DENY_HOUR],
      mode: "down",
    });
    expect(what(withoutExpired(STATE, later(3600), RUN))).toEqual({ decisions: FOREVER, mode: "down" });
  });

  test("bypass for a time ends in up", () => {
    const state = { ...STATE, mode: { ...BYPASS, lease: startLease(30, MOMENT, RUN) } };
    expect(what(withoutExpired(state, later(29), RUN)).mode).toBe("down");
    expect(what(withoutExpired(state, later(30), RUN))).toEqual({ decisions: STATE.decisions, mode: "up" });
  });
});

describe("another run", () => {
  test.each([
    ["of the same container", "5fd1b8:8:200"],
    ["that never came", undefined],
  ])("%s has no temporary allow and no bypass of the last one; denies last", (_, run) => {
    const rest = { decisions: [...FOREVER, DENY_HOUR], mode: "up" };
    expect(what(withoutExpired(STATE, MOMENT, run))).toEqual(rest);
    expect(what(withoutOtherRuns(STATE, run))).toEqual(rest);
    expect(what(forNextStart(STATE, MOMENT))).toEqual(rest);
  });

  test("a temporary allow that says nothing of a run belongs to none", () => {
    const { run: _, ...lease } = startLease(60, MOMENT, RUN);
    const state = makeState({ decisions: [{ ...ALLOW_MINUTE, lease }] });
    for (const run of [RUN, undefined]) expect(withoutOtherRuns(state, run).decisions).toEqual([]);
  });

  test("stays blocked", () => {
    const state = makeState({ mode: { kind: "block" } });
    expect(forNextStart(state, MOMENT)).toBe(state);
  });

  test("what is merely over is not looked at by its run", () => {
    expect(withoutOtherRuns(STATE, RUN)).toBe(STATE);
  });
});

describe("the first end", () => {
  test.each<[string, Parameters<typeof makeState>[0], number | undefined]>([
    ["is none without leases", { decisions: FOREVER, mode: BYPASS }, undefined],
    ["is that of a decision", { decisions: [...FOREVER, ALLOW_MINUTE, DENY_HOUR], mode: BYPASS }, 50],
    [
      "is that of bypass",
      { decisions: [ALLOW_MINUTE], mode: { ...BYPASS, lease: startLease(20, MOMENT, RUN) } },
      10,
    ],
    ["has come", { decisions: [decisionOf("deny a.test --for 5s"), DENY_HOUR] }, 0],
  ])("%s", (_, state, seconds) => expect(secondsToNextEnd(makeState(state), later(10))).toBe(seconds));
});
