export { type EgressPolicy, ownerRanges, type ShieldMode } from "./egress-policy.ts";
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
export { renderModeChange, renderRuleset, renderRulesetInParts } from "./render-ruleset.ts";
export { LEARNED_SETS, LOG_GROUP, MARK, TABLE } from "./ruleset.ts";
export { renderSetEdit } from "./set-edit.ts";
export { readShieldState, type ShieldState } from "./shield-state.ts";
export { METADATA_ADDRESSES, PRIVATE_RANGES } from "./special-ranges.ts";
