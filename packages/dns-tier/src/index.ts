export { attributeAnswers } from "./attribute-answers.ts";
export { type AvailableResolvers, chooseTier, type DnsTier, type TierChoice } from "./choose-tier.ts";
export { type DigAnswers, digArguments, parseDigAnswers, type RecordType } from "./dig.ts";
export { type DnsmasqConfig, type LearnedSets, renderDnsmasqConfig } from "./dnsmasq-config.ts";
export { type DnsmasqFacts, parseDnsmasqVersion } from "./dnsmasq-facts.ts";
export { getentArguments, parseGetentAnswers } from "./getent.ts";
export { renderHostsEntries, renderHostsFile } from "./hosts-entries.ts";
export {
  type ClosedNames,
  isNameOpen,
  MARKER_ZONE,
  type NamePolicy,
  scopesOfName,
} from "./name-policy.ts";
export {
  type CachedResolution,
  isFresh,
  parseResolutionCache,
  type ResolutionCache,
  renderResolutionCache,
} from "./resolution-cache.ts";
export {
  type Resolution,
  type ResolveOptions,
  type ResolverCommand,
  type RunResolver,
  resolveNames,
} from "./resolve-names.ts";
export { findScopeConflict, MOST_SCOPES, type ScopeConflict } from "./scope-conflict.ts";
export { renderOpenServersFile, renderServersFile } from "./servers-file.ts";
export { type ContainerNetwork, upstreamFor } from "./upstream.ts";
