import {
  areaOf,
  coversRange,
  type IpRange,
  type Judgement,
  METADATA_ADDRESSES,
  type PortArea,
  PRIVATE_RANGES,
  parseIpRange,
  renderIpRange,
  TABLE,
} from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, renderEntry, type SourceLine } from "@terok-shield/profiles";
import type { ContainerState } from "./container-state.ts";
import type { Decision } from "./decision.ts";
import { lifts } from "./decision.ts";
import { renderDuration } from "./duration.ts";
import type { Moment } from "./host/moment.ts";
import { remainingSeconds } from "./lease.ts";
import { indexNameRules, openParts, type Rule, rulesAtPoint } from "./name-rules.ts";

/** What decided: of what passes up to `unprotected`, of what is refused from `deny` on. */
type DecidedBy =
  | "entry"
  | "decision"
  | "name"
  | "loopback"
  | "local"
  | "bypass"
  | "unprotected"
  | "deny"
  | "private"
  | "network"
  | "block"
  | "nothing"
  | "resolver"
  | "foreign rule"
  | "unknown";

/** Why something passes or does not, as a sentence and as data. */
export interface Cause {
  readonly verdict: "passes" | "refused" | "unknown";
  readonly by: DecidedBy;
  readonly text: string;
  /** Of an entry of a profile or a decision: how it is written. */
  readonly entry?: string;
  readonly source?: SourceLine;
  /** Of what is for a time. */
  readonly remainingSeconds?: number;
  /** Where kernel or resolver do something else than the policy says. */
  readonly disagreement?: string;
}

/** What is known beside the kernel's word. */
export interface Policy {
  /** What is in force at the moment. */
  readonly state: ContainerState;
  readonly moment: Moment;
  /** The name that was explained, and just now led there. */
  readonly name?: string;
  /** The names whose answers led to an address, as far as is known, the likeliest first. */
  namesOf(address: string): readonly string[];
}

/** One way that a packet may go. */
export interface Service {
  readonly address: IpRange;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly port: number;
  readonly isLocal: boolean;
}

/** Who is behind what the kernel's rules do with a packet. */
export function explainService(judged: Judgement, service: Service, policy: Policy): Cause {
  switch (judged.verdict) {
    case "unknown":
      return { verdict: "unknown", by: "unknown", text: `cannot tell: ${judged.reason ?? "no reason"}` };
    case "accepted":
      return explainPassing(judged, service, policy);
    default:
      return explainRefused(judged, service, policy);
  }
}

function explainPassing(judged: Judgement, service: Service, policy: Policy): Cause {
  const { trail } = judged;
  const chain = ownChain(judged, "admit_");
  if (trail.length === 0) {
    return passes("unprotected", "allowed: the kernel has none of the shield's rules, so everything passes");
  }
  if (service.isLocal && chain === undefined) return passes("local", "allowed: it is the container itself");
  const cause = explainAdmission(chain, judged, service, policy);
  const [deny] = denialsOf(service, policy);
  if (deny === undefined) return cause;
  return disagreeing(cause, `policy denies it: ${describeRule(ruleOf(deny), policy)}`);
}

function explainAdmission(
  chain: string | undefined,
  { trail }: Judgement,
  service: Service,
  policy: Policy,
): Cause {
  if (chain === "admit_bypass") return explainBypass(policy);
  if (chain?.startsWith("admit_learned")) return explainLearned(service, policy);
  if (chain !== "admit_allowed" && chain !== "admit_temporary") {
    return disagreeing(
      passes("foreign rule", "allowed: a rule that is not the shield's lets it pass"),
      "no entry lets it pass so",
    );
  }
  if (trail[0]?.found.length === 0 && isGrantedLoopback(service, policy)) {
    const text = `allowed: loopback port ${service.port} of the host, granted by loopback_ports in config.yml`;
    return passes("loopback", text);
  }
  const [rule] = allowingRanges(service, policy);
  if (rule !== undefined) return passesBy(rule, policy);
  const { resolved } = policy.state;
  const address = renderIpRange(service.address);
  const names = [...resolved].filter(([, list]) => list.includes(address)).map(([name]) => name);
  const named = findNamed(names, service, policy);
  if (named !== undefined) return passesBy(named.rule, policy, named.name);
  return disagreeing(
    passes("foreign rule", "allowed: it is in a set of what is allowed"),
    "no entry and no decision names it",
  );
}

function explainLearned(service: Service, policy: Policy): Cause {
  const named = findNamed(policy.namesOf(renderIpRange(service.address)), service, policy);
  if (named !== undefined) return passesBy(named.rule, policy, named.name);
  return passes(
    "name",
    "allowed: an address that an allowed name led to; which one, the log does not say any more",
  );
}

function explainBypass({ state: { mode }, moment }: Policy): Cause {
  if (mode.kind !== "down") {
    return disagreeing(
      passes("bypass", "bypass: the kernel's rules are those of down"),
      "policy is not down",
    );
  }
  const command = mode.privateRanges === "open" ? "down --all" : "down";
  if (mode.lease === undefined)
    return passes("bypass", `bypass: no entry names it (${command}, until terok-shield up)`);
  const left = remainingSeconds(mode.lease, moment);
  return {
    ...passes("bypass", `bypass: no entry names it (${command}, ${renderDuration(left)} left)`),
    remainingSeconds: Math.ceil(left),
  };
}

function explainRefused(judged: Judgement, service: Service, policy: Policy): Cause {
  const { mode } = policy.state;
  switch (ownChain(judged, "refuse_")) {
    case "refuse_denied": {
      const [deny] = denialsOf(service, policy);
      if (deny !== undefined) return refusedBy(deny, policy);
      return disagreeing(refused("deny", "refused: the kernel has it denied"), "no decision denies it");
    }
    case "refuse_private":
      return explainPrivate(service, policy);
    case "refuse_blocked":
      return mode.kind === "block" ? BLOCKED : explainUnnamed(service, policy);
    default:
      return disagreeing(
        refused("foreign rule", "refused: a rule that is not the shield's refuses it"),
        "the shield's rules are not asked",
      );
  }
}

const BLOCKED = refused("block", "refused: blocked, nothing passes until up");

function explainUnnamed(service: Service, policy: Policy): Cause {
  const cause = refused("nothing", "refused: no entry names it");
  const [rule] = isReserved(service, policy) ? [] : allowingRanges(service, policy);
  if (rule !== undefined && denialsOf(service, policy).length === 0) {
    return disagreeing(cause, `policy lets it pass: ${describeRule(rule, policy)}`);
  }
  if (policy.name === undefined) return cause;
  const index = indexNameRules(policy.state);
  const point = { kind: "exact", domain: policy.name } as const;
  const rules = rulesAtPoint(index, point);
  const deny = rules.find(({ entry, decision }) => decision?.verdict === "deny" && hasPort(entry, service));
  const allow = rules.find(({ entry, decision }) => decision?.verdict !== "deny" && hasPort(entry, service));
  const isOpen = openParts(index, point).some(({ area }) => isInArea(area, service));
  if (isOpen && allow !== undefined) {
    return disagreeing(cause, `policy lets it pass: ${describeRule(allow, policy)}`);
  }
  if (deny?.decision !== undefined) return refusedBy(deny.decision, policy);
  const [other] = rules.filter(({ decision }) => decision?.verdict !== "deny");
  return other === undefined
    ? cause
    : refused(
        "nothing",
        `refused: no entry names this port of it, ${describeRule(other, policy)} is for others`,
      );
}

function explainPrivate(service: Service, policy: Policy): Cause {
  const { address } = service;
  if (isReserved(service, policy)) {
    return refused(
      "network",
      "refused: an address of the container's own network, where no entry opens anything; ports of the host are granted by loopback_ports in config.yml",
    );
  }
  const isMetadata = coversRange(METADATA_ADDRESSES, address);
  const range = PRIVATE_RANGES.find((candidate) => coversRange([candidate], address));
  const where = range === undefined ? "private or special address" : `private range ${renderIpRange(range)}`;
  const cause = refused(
    "private",
    isMetadata
      ? "refused: a cloud metadata address, only an entry of exactly that address would open it"
      : `refused: ${where}, an entry that names it exactly would open it`,
  );
  const [rule] = allowingRanges(service, policy).filter(
    ({ entry }) =>
      !isMetadata ||
      entry.kind !== "range" ||
      parseIpRange(entry.range).first === parseIpRange(entry.range).last,
  );
  return rule === undefined
    ? cause
    : disagreeing(cause, `policy lets it pass: ${describeRule(rule, policy)}`);
}

/** What the resolver says to a name that has no address to judge. */
export interface NameWord {
  readonly name: string;
  readonly kind: "none" | "no such name" | "refused" | "failed" | "not asked";
}

/** Why a name leads nowhere. */
export function explainName({ name, kind }: NameWord, policy: Policy): Cause {
  const { state } = policy;
  const rules = rulesAtPoint(indexNameRules(state), { kind: "exact", domain: name });
  const isOpen = openParts(indexNameRules(state), { kind: "exact", domain: name }).length > 0;
  const allow = rules.find(({ decision }) => decision?.verdict !== "deny");
  const deny = rules.find(({ decision }) => decision?.verdict === "deny");
  if (state.mode.kind === "block") return BLOCKED;
  // Below an exact name, dnsmasq says by itself that there is none.
  if (kind === "refused" || (kind === "no such name" && !isOpen && state.mode.kind !== "down")) {
    // Bypass knows no ports, so there a name that is denied in part is closed.
    if (state.mode.kind === "down" && deny?.decision !== undefined) return refusedBy(deny.decision, policy);
    if (isOpen && allow !== undefined) {
      return disagreeing(
        refused("resolver", "refused: the resolver refuses the name"),
        `policy lets it be looked up: ${describeRule(allow, policy)}`,
      );
    }
    if (deny?.decision !== undefined) return refusedBy(deny.decision, policy);
    return refused("nothing", "refused: no entry names it");
  }
  if (kind === "not asked") {
    if (state.mode.kind === "down") {
      return {
        verdict: "unknown",
        by: "bypass",
        text: "cannot tell: names are open in bypass, but to ask for this one would send it out of the host; explain its address",
      };
    }
    return {
      verdict: "unknown",
      by: "resolver",
      text: "cannot tell: the resolver was not seen to follow the policy, so a name that no entry names is not asked for",
    };
  }
  const said = {
    none: "it has no public address",
    "no such name": "there is no such name",
    failed: "the resolver gave no answer",
  }[kind];
  if (!isOpen || allow === undefined) {
    const cause = refused("resolver", `refused: ${said}`);
    return state.mode.kind === "down"
      ? cause
      : disagreeing(cause, "the resolver asks for a name that no entry names");
  }
  const cause = refused("resolver", `refused: ${describeRule(allow, policy)} allows the name, but ${said}`);
  return kind === "failed"
    ? { ...cause, verdict: "unknown", text: cause.text.replace("refused", "cannot tell") }
    : cause;
}

/** What is odd about a name that the resolver answers; undefined when policy opens it. */
export function findNameFault(name: string, { state }: Policy): string | undefined {
  const isOpen = openParts(indexNameRules(state), { kind: "exact", domain: name }).length > 0;
  return isOpen || state.mode.kind !== "up" || state.tier !== "dnsmasq"
    ? undefined
    : `the resolver answers ${name}, which no entry names`;
}

/** The command that turns the verdict round, without its container; undefined where none does. */
export function hintFor(
  causes: readonly Cause[],
  target: string,
): { readonly to: "open" | "close" | "repair" | "end"; readonly command: readonly string[] } | undefined {
  const [cause] = causes;
  if (cause === undefined) return undefined;
  if (causes.some(({ disagreement }) => disagreement !== undefined)) {
    return { to: "repair", command: ["up", "--repair"] };
  }
  const refusal = causes.find(({ verdict }) => verdict === "refused");
  switch ((refusal ?? cause).by) {
    case "entry":
    case "decision":
    case "name":
      return { to: "close", command: ["deny", target] };
    case "bypass":
      return cause.verdict === "passes" ? { to: "end", command: ["up"] } : undefined;
    case "deny":
      return refusal?.entry === undefined ? undefined : { to: "open", command: ["allow", refusal.entry] };
    case "private":
    case "nothing":
      return { to: "open", command: ["allow", target] };
    case "block":
      return { to: "end", command: ["up"] };
    default:
      return undefined;
  }
}

/** The ports at which another entry or decision may be behind what the kernel does: the first one of each run. */
export function rulePorts({ entries, decisions }: ContainerState): number[] {
  const spans = [...entries, ...decisions.map(({ entry }) => entry)].flatMap(({ ports }) =>
    ports === undefined ? [] : [ports.first, ports.last + 1],
  );
  return [...new Set(spans)].sort((left, right) => left - right);
}

/** The chain of ours in which the packet's way through the output rules ended. */
function ownChain({ trail }: Judgement, prefix: string): string | undefined {
  return trail.find(({ table, chain }) => table === TABLE.name && chain.startsWith(prefix))?.chain;
}

function isReserved({ address }: Service, { state }: Policy): boolean {
  return coversRange(state.network.reserved, address);
}

function isGrantedLoopback({ address, protocol, port }: Service, { state }: Policy): boolean {
  const { hostLoopback } = state.network;
  return (
    hostLoopback !== undefined &&
    protocol === "tcp" &&
    hostLoopback.ports.includes(port) &&
    coversRange(hostLoopback.addresses, address)
  );
}

/** Entries and decisions of ranges that open it, the narrowest first; metadata addresses by their exact entry alone. */
function allowingRanges(service: Service, { state }: Policy): Rule[] {
  const rules: Rule[] = [
    ...state.decisions.filter(({ verdict }) => verdict === "allow").map(ruleOf),
    ...state.entries.map(({ source, ...entry }): Rule => ({ entry, source })),
  ];
  return rules
    .filter(({ entry }) => entry.kind === "range" && isAbout(entry, service))
    .sort((left, right) => (sizeOf(left.entry) < sizeOf(right.entry) ? -1 : 1));
}

/** The denies in force of ranges that it is in. */
function denialsOf(service: Service, { state }: Policy): Decision[] {
  return state.decisions.filter(
    (deny) =>
      deny.verdict === "deny" &&
      deny.entry.kind === "range" &&
      isAbout(deny.entry, service) &&
      !state.decisions.some((allow) => allow.verdict === "allow" && lifts(allow, deny)),
  );
}

/** The first of the names that a rule opens for it, and that rule. */
function findNamed(
  names: readonly string[],
  service: Service,
  { state }: Policy,
): { readonly name: string; readonly rule: Rule } | undefined {
  const index = indexNameRules(state);
  for (const name of names) {
    const rule = rulesAtPoint(index, { kind: "exact", domain: name }).find(
      ({ entry, decision }) => decision?.verdict !== "deny" && hasPort(entry, service),
    );
    if (rule !== undefined) return { name, rule };
  }
  return undefined;
}

function isAbout(entry: AllowlistEntry, service: Service): boolean {
  return (
    entry.kind === "range" &&
    coversRange([parseIpRange(entry.range)], service.address) &&
    hasPort(entry, service)
  );
}

function hasPort({ ports }: AllowlistEntry, service: Service): boolean {
  return isInArea(areaOf(ports), service);
}

function isInArea(area: PortArea, { protocol, port }: Service): boolean {
  if (protocol === "icmp") return area.other;
  return area[protocol].some(({ first, last }) => first <= port && port <= last);
}

function sizeOf(entry: AllowlistEntry): bigint {
  if (entry.kind !== "range") return 0n;
  const { first, last } = parseIpRange(entry.range);
  return last - first;
}

function ruleOf(decision: Decision): Rule {
  return { entry: decision.entry, decision };
}

function passes(by: DecidedBy, text: string): Cause {
  return { verdict: "passes", by, text };
}

function refused(by: DecidedBy, text: string): Cause {
  return { verdict: "refused", by, text };
}

function disagreeing(cause: Cause, disagreement: string): Cause {
  return { ...cause, disagreement };
}

function passesBy(rule: Rule, policy: Policy, name?: string): Cause {
  const through = name === undefined || name === renderEntry(rule.entry) ? "" : `, as ${name}`;
  return {
    ...passes(
      rule.decision === undefined ? "entry" : "decision",
      `allowed: ${describeRule(rule, policy)}${through}`,
    ),
    ...dataOf(rule, policy),
  };
}

function refusedBy(deny: Decision, policy: Policy): Cause {
  const rule = ruleOf(deny);
  return { ...refused("deny", `refused: ${describeRule(rule, policy)}`), ...dataOf(rule, policy) };
}

function dataOf(rule: Rule, { moment }: Policy): Partial<Cause> {
  const lease = rule.decision?.lease;
  return {
    entry: renderEntry(rule.entry),
    ...("source" in rule ? { source: rule.source } : {}),
    ...(lease === undefined ? {} : { remainingSeconds: Math.ceil(remainingSeconds(lease, moment)) }),
  };
}

/** `entry "*.example.org:443" (profile dev, /…/dev.txt:12)`, `deny 198.51.100.0/24 by the operator, 4m left`. */
function describeRule(rule: Rule, { moment }: Policy): string {
  const entry = renderEntry(rule.entry);
  if (rule.decision === undefined) {
    const { file, line } = rule.source;
    const profile = /([^/]*?)(?:\.txt)?$/.exec(file)?.[1] ?? file;
    return `entry "${entry}" (profile ${profile}, ${file}:${line})`;
  }
  const { verdict, lease } = rule.decision;
  const left = lease === undefined ? "" : `, ${renderDuration(remainingSeconds(lease, moment))} left`;
  return `${verdict} ${entry} by the operator${left}`;
}
