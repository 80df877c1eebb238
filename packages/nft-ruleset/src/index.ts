export { ANSWER_COUNTERS, ASKED_COUNTER, QUERY_COUNTER, VERDICT_COUNTERS } from "./counters.ts";
export type {
  Destination,
  EgressPolicy,
  LearnedScope,
  PolicyInMode,
  ShieldMode,
  TimedDestination,
} from "./egress-policy.ts";
export {
  type JudgedPorts,
  type Judgement,
  judgeEveryPort,
  judgePacket,
  type ListedRuleset,
  type MetRule,
  readListedRuleset,
} from "./evaluate-listing.ts";
export type { FirstPacket, FoundElement } from "./evaluate-listing-match.ts";
export {
  coversRange,
  type IpRange,
  isSingleAddress,
  mergeRanges,
  parseIpRange,
  renderIpRange,
  subtractRanges,
} from "./ip-range.ts";
export { differingObjects, expectedListing, type Listing, readListing, sameListing } from "./listing.ts";
export { type LearnedAddress, type LiveSets, readLiveSets } from "./live-sets.ts";
export { learnedMark, MARK, queryMark } from "./marks.ts";
export { LOG_GROUP } from "./plan-chains.ts";
export { type ChangeOptions, needsLiveSets, renderPolicyChange } from "./policy-change.ts";
export {
  areaOf,
  EVERY_PORT,
  NO_PORT,
  type PortArea,
  type PortRange,
  type PortSpan,
  parseArea,
  renderArea,
  sameArea,
  subtractAreas,
  type Transport,
  unionAreas,
} from "./port-area.ts";
export { type KeptState, renderRepair, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";
export { TABLE } from "./ruleset.ts";
export { isKeptSet, keptSets, learnedSets, twinOf } from "./set-names.ts";
export { readSetSizes, type SetSize } from "./set-sizes.ts";
export { readShieldState, type ShieldState } from "./shield-state.ts";
export { METADATA_ADDRESSES, PRIVATE_RANGES } from "./special-ranges.ts";
export { isWithinLimits } from "./transaction-room.ts";
