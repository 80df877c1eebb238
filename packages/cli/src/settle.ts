import type { ContainerState } from "./container-state.ts";
import { areaOfParts, indexNameRules, isWithin, type OpenPart, type Point } from "./name-rules.ts";
import { planOpenNames, viewNames } from "./open-names.ts";
import { numberScopes } from "./scope-numbers.ts";

const GENERATIONS = 0x10000;

/**
 * Completes a changed state: the next revision, numbers for the scopes that its names need, and new generations where what
 * flows already has to be judged anew.
 * @param before as it was on disk, with whatever has ended since
 */
export function settle(before: ContainerState | undefined, after: ContainerState): ContainerState {
  const scopes =
    after.tier === "dnsmasq"
      ? numberScopes(after.scopes, planOpenNames(indexNameRules(after)))
      : after.scopes;
  if (before === undefined) return { ...after, revision: after.revision + 1, scopes };
  const isNarrower = narrowsNames(before, after);
  const endsBypass = before.mode.kind === "down" && after.mode.kind !== "down";
  return {
    ...after,
    revision: before.revision + 1,
    scopes,
    queryGeneration: (before.queryGeneration + Number(isNarrower || endsBypass)) % GENERATIONS,
    flowGeneration: (before.flowGeneration + Number(isNarrower)) % GENERATIONS,
  };
}

/** The same policy once more, under which queries, their answers and flows of before are judged anew. */
export function judgeAnew(state: ContainerState): ContainerState {
  return {
    ...state,
    revision: state.revision + 1,
    queryGeneration: (state.queryGeneration + 1) % GENERATIONS,
    flowGeneration: (state.flowGeneration + 1) % GENERATIONS,
  };
}

/** True when a name loses a port, or has one for a time only that it had for good. */
export function narrowsNames(before: ContainerState, after: ContainerState): boolean {
  if (before.tier !== "dnsmasq" || after.tier !== "dnsmasq") return false;
  const [rulesBefore, rulesAfter] = [indexNameRules(before), indexNameRules(after)];
  const [viewBefore, viewAfter] = [viewNames(rulesBefore), viewNames(rulesAfter)];
  const exact = new Set([...rulesBefore.exact, ...rulesAfter.exact]);
  const parents = new Set([...rulesBefore.parents, ...rulesAfter.parents]);
  // A name that no rule names is open as those below its nearest parent are, so these are all that matter. Conflicts close
  // the domains themselves.
  const domains = new Set([...exact, ...parents]);
  return [...domains].some((domain) =>
    (["exact", "below"] as const).some((kind) => {
      const point: Point = { kind, domain };
      const [old, now] = [viewBefore.partsAt(point), viewAfter.partsAt(point)];
      return !isPartOf(old, now) || !isPartOf(old.filter(isPermanent), now.filter(isPermanent));
    }),
  );
}

function isPartOf(inner: readonly OpenPart[], outer: readonly OpenPart[]): boolean {
  return isWithin(areaOfParts(inner), areaOfParts(outer));
}

function isPermanent({ lease }: OpenPart): boolean {
  return lease === undefined;
}
