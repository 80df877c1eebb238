import type { ContainerState } from "./container-state.ts";
import type { Decision } from "./decision.ts";
import type { Moment } from "./host/moment.ts";
import { type Lease, remainingSeconds } from "./lease.ts";

/**
 * The state without what has ended: leases that are over, and what belongs to another run of the container.
 * The same object when nothing has.
 * @param run as `runIdOf` names the present one; undefined when the container does not run
 */
export function withoutExpired(
  state: ContainerState,
  moment: Moment,
  run: string | undefined,
): ContainerState {
  return withoutOver(withoutOtherRuns(state, run), moment);
}

/** The state without leases that are over. The same object when none is. */
export function withoutOver(state: ContainerState, moment: Moment): ContainerState {
  const isOver = (lease: Lease | undefined) => lease !== undefined && remainingSeconds(lease, moment) === 0;
  const { mode } = state;
  return keep(state, ({ lease }) => !isOver(lease), !(mode.kind === "down" && isOver(mode.lease)));
}

/**
 * The state without what belongs to another run: temporary allows and bypass end with theirs, everything else outlives it.
 * The same object when there is nothing.
 */
export function withoutOtherRuns(state: ContainerState, run: string | undefined): ContainerState {
  const { mode } = state;
  return keep(
    state,
    ({ verdict, lease }) =>
      verdict === "deny" || lease === undefined || (run !== undefined && lease.run === run),
    mode.kind !== "down" || mode.run === run,
  );
}

/** What the container's next start begins with. */
export function forNextStart(state: ContainerState, moment: Moment): ContainerState {
  return withoutExpired(state, moment, undefined);
}

/** Seconds until the first lease ends, 0 when one is over; undefined when there is none. */
export function secondsToNextEnd({ decisions, mode }: ContainerState, moment: Moment): number | undefined {
  const leases = [...decisions.map(({ lease }) => lease), mode.kind === "down" ? mode.lease : undefined];
  const left = leases.flatMap((lease) => (lease === undefined ? [] : [remainingSeconds(lease, moment)]));
  return left.length === 0 ? undefined : Math.min(...left);
}

function keep(
  state: ContainerState,
  isKept: (decision: Decision) => boolean,
  keepsMode: boolean,
): ContainerState {
  const decisions = state.decisions.filter(isKept);
  if (keepsMode && decisions.length === state.decisions.length) return state;
  return { ...state, decisions, mode: keepsMode ? state.mode : { kind: "up" } };
}
