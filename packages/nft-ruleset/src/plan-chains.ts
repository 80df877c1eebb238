import { ANSWER_COUNTERS, ASKED_COUNTER, QUERY_COUNTER, VERDICT_COUNTERS } from "./counters.ts";
import type { EgressPolicy, LearnedScope, ShieldMode } from "./egress-policy.ts";
import type { IpRange } from "./ip-range.ts";
import { learnedMark, MARK, queryMark } from "./marks.ts";
import {
  EVERY_PORT,
  EVERY_PORT_RANGE,
  type PortArea,
  type PortRange,
  sameArea,
  type Transport,
} from "./port-area.ts";
import type { Rule, RuleChain } from "./ruleset.ts";
import { activeSet, BYPASS_LEASE, keptSets, learnedSets } from "./set-names.ts";
import {
  accept,
  address,
  addressIn,
  addressNotIn,
  answerSays,
  connectionDirection,
  connectionMark,
  connectionState,
  countWith,
  destinationPort,
  drop,
  type End,
  FAMILIES,
  type Family,
  goto,
  hopLimit,
  icmpv6Type,
  inputInterface,
  ipOptionExists,
  isIpv6,
  lasts,
  limitRate,
  logTo,
  multicastReport,
  outputInterface,
  overRate,
  packetMark,
  portIn,
  protocolIs,
  protocolIsNot,
  rejectAsProhibited,
  rejectWithReset,
  routingHeaderExists,
  type Statement,
  serviceIn,
  serviceNotIn,
  setConnectionMark,
  updateElement,
} from "./statement.ts";

export const LOG_GROUP = 100;

type Verdict = keyof typeof VERDICT_COUNTERS;

const TRANSPORTS: readonly Transport[] = ["tcp", "udp"];

/** Kernel-sorted, as listed: 133, 135, 136. A container has no raw socket, so only the kernel sends these. */
const NEIGHBOUR_DISCOVERY = ["nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert"];
const NEIGHBOUR_DISCOVERY_IN = [
  "nd-router-solicit",
  "nd-router-advert",
  "nd-neighbor-solicit",
  "nd-neighbor-advert",
];

const REJECTIONS: readonly RuleChain[] = [
  // WORKAROUND(icmpv6-lost-in-connect): Linux drops an ICMPv6 error for a socket that is still inside connect(), which
  // then waits a second to send again. Goes when `reject with icmpx` refuses IPv6 at once.
  { name: "reject_ipv6", rules: [[protocolIs("tcp"), rejectWithReset], [rejectAsProhibited]] },
  {
    name: "reject_packet",
    rules: [
      [isIpv6, goto("reject_ipv6")],
      [protocolIs("tcp"), connectionState("established"), rejectWithReset],
      [rejectAsProhibited],
    ],
  },
];

/** What the rules are made from; they look only at sets that are there. */
interface Plan {
  readonly policy: EgressPolicy;
  readonly mode: ShieldMode;
  readonly sets: ReadonlySet<string>;
  readonly keepsUsed: boolean;
}

/**
 * @param sets the names of the table's sets
 * @param keepsUsed whether a learned address that is used gets its time again
 */
export function planChains(
  policy: EgressPolicy,
  mode: ShieldMode,
  sets: ReadonlySet<string>,
  { keepsUsed = true } = {},
): RuleChain[] {
  const plan = { policy, mode, sets, keepsUsed };
  return [
    ...REJECTIONS,
    refusal("refuse_blocked", "blocked"),
    refusal("refuse_denied", "denied"),
    refusal("refuse_private", "private"),
    admission("admit_allowed", MARK.allowed, "allowed"),
    ...learnedAdmissions(policy),
    ...(opensForATime(plan) ? [admission("admit_temporary", MARK.temporary, "allowed")] : []),
    admission("admit_bypass", MARK.bypass, "bypass"),
    { name: "output", hook: "output", rules: outputRules(plan) },
    { name: "input", hook: "input", rules: inputRules(plan) },
    { name: "forward", hook: "forward", rules: [] },
  ];
}

/**
 * The order is the policy: deny beats everything, the owner's word beats private ranges, an answer of DNS does not.
 * Every packet's destination is judged, not a connection's first alone. So a flow ends with what allowed it, and a
 * workload gains nothing by steering conntrack: it may send from any IPv6 address (IPV6_FREEBIND), and so make its
 * packet to a closed address look like the answer in a connection that an open one began.
 */
function outputRules(plan: Plan): Rule[] {
  const { policy, mode, sets } = plan;
  if (mode.kind === "block") {
    return [
      ...limitQueries(policy),
      ...forwardedRules(policy),
      [outputInterface("lo"), accept],
      [goto("refuse_blocked")],
    ];
  }
  return [
    [ipOptionExists("lsrr"), goto("refuse_blocked")],
    [ipOptionExists("ssrr"), goto("refuse_blocked")],
    [routingHeaderExists(), goto("refuse_blocked")],
    ...limitQueries(policy),
    ...queriesToResolver(policy),
    [outputInterface("lo"), accept],
    [hopLimit(255), icmpv6Type(NEIGHBOUR_DISCOVERY), accept],
    // The kernel reports its multicast groups unasked: nothing that the container tried.
    [multicastReport, drop],
    ...deniedRules(plan, "destination", goto("refuse_denied")),
    ...queriesToUpstream(plan),
    // Answers in connections that came in through a published port.
    [
      connectionDirection("reply"),
      connectionState("established", "related"),
      connectionMark(MARK.inbound),
      accept,
    ],
    ...hostLoopbackRules(policy),
    ...policy.reserved.map((range): Rule => [toRange(range), goto("refuse_private")]),
    ...lookUps(sets, "destination", "allow").map((found): Rule => [found, goto("admit_allowed")]),
    ...lookUps(sets, "destination", "timed_allow").map((found): Rule => [found, goto("admit_temporary")]),
    ...privateRules(plan),
    ...learnedRules(plan),
    ...lastRules(plan),
  ];
}

/** Whoever comes in by a published port comes over `lo`, from a forwarder that sits in this network namespace. */
function forwardedRules({ published }: EgressPolicy): Rule[] {
  return TRANSPORTS.flatMap((protocol) =>
    publishedPorts(published, protocol).flatMap((ports): Rule[] => [
      [outputInterface("lo"), portIn("destination", protocol, ports), goto("refuse_blocked")],
      [outputInterface("lo"), portIn("source", protocol, ports), goto("refuse_blocked")],
    ]),
  );
}

/** As one match's worth; none when no port is published. */
function publishedPorts(published: EgressPolicy["published"], protocol: Transport): PortRange[][] {
  const ports = published.filter((entry) => entry.protocol === protocol).map(({ port }) => port);
  const sorted = [...new Set(ports)].sort((left, right) => left - right);
  return sorted.length === 0 ? [] : [sorted.map((port) => ({ first: port, last: port }))];
}

/** The resolver works for the container at its owner's expense: so many queries a second, and TCP connections for them. */
function limitQueries({ upstream }: EgressPolicy): Rule[] {
  if (upstream === undefined) return [];
  const refused = [countWith(QUERY_COUNTER), drop];
  return [
    [outputInterface("lo"), destinationPort("udp", [53]), overRate(100, 2000), ...refused],
    [outputInterface("lo"), destinationPort("udp", [53]), countWith(ASKED_COUNTER)],
    // Each makes dnsmasq fork, and may ask a hundred times.
    [
      outputInterface("lo"),
      destinationPort("tcp", [53]),
      connectionState("new"),
      overRate(20, 1000),
      ...refused,
    ],
  ];
}

/**
 * dnsmasq copies this mark from the query it got to the query it sends (its option `conntrack`). Of a TCP connection
 * only the beginning is marked, since the process that dnsmasq forks for it goes on with the names of that time.
 */
function queriesToResolver(policy: EgressPolicy): Rule[] {
  if (policy.upstream === undefined) return [];
  const [toPort, mark] = [(protocol: "tcp" | "udp") => destinationPort(protocol, [53]), queryMarkOf(policy)];
  return [
    [outputInterface("lo"), toPort("tcp"), connectionState("new"), setConnectionMark(mark), accept],
    [outputInterface("lo"), toPort("udp"), setConnectionMark(mark), accept],
  ];
}

/** Only the resolver can set the packet mark: for that a process needs NET_ADMIN or NET_RAW. */
function queriesToUpstream({ policy, mode }: Plan): Rule[] {
  const { upstream } = policy;
  if (upstream === undefined) return [];
  // When bypass ends by itself, the resolver still forwards every name.
  const [gate, mark] = [leaseOf(mode) ? [lasts(BYPASS_LEASE)] : [], queryMarkOf(policy)];
  return (["tcp", "udp"] as const).map((protocol) => [
    toRange(upstream),
    destinationPort(protocol, [53]),
    packetMark(mark),
    ...gate,
    setConnectionMark(mark),
    accept,
  ]);
}

function queryMarkOf({ learned }: EgressPolicy): number {
  return queryMark(learned.kind === "fixed" ? 0 : learned.queryGeneration);
}

function hostLoopbackRules({ hostLoopback }: EgressPolicy): Rule[] {
  if (hostLoopback === undefined || hostLoopback.ports.length === 0) return [];
  return hostLoopback.addresses.map((range) => [
    toRange(range),
    destinationPort("tcp", hostLoopback.ports),
    goto("admit_allowed"),
  ]);
}

function deniedRules({ sets }: Plan, end: End, verdict: Statement): Rule[] {
  const ifThere = (set: string, ...rule: Rule) => (sets.has(set) ? [rule] : []);
  return FAMILIES.flatMap((family) => {
    const [deny, singles, ports] = [`deny_${family}`, `deny_singles_${family}`, `deny_ports_${family}`];
    const [lift, liftPorts] = [`lift_${family}`, `lift_ports_${family}`];
    const [timed, timedPorts] = [`timed_deny_${family}`, `timed_deny_ports_${family}`];
    const unlessLifted = ifThere(lift, addressNotIn(end, family, lift)).flat();
    const unlessPortsLifted = ifThere(liftPorts, serviceNotIn(end, family, liftPorts)).flat();
    return [
      ...ifThere(deny, addressIn(end, family, deny), ...unlessLifted, verdict),
      ...ifThere(singles, addressIn(end, family, singles), ...unlessLifted, verdict),
      ...ifThere(ports, serviceIn(end, family, ports), ...unlessPortsLifted, verdict),
      ...ifThere(timed, addressIn(end, family, timed), verdict),
      ...ifThere(timedPorts, serviceIn(end, family, timedPorts), verdict),
    ];
  });
}

/** The look-ups by which a packet is found in the sets of that name, of both families, with ports and without. */
function lookUps(sets: Plan["sets"], end: End, name: string): Statement[] {
  return FAMILIES.flatMap((family) => [
    ...[`${name}_${family}`, `${name}_singles_${family}`]
      .filter((set) => sets.has(set))
      .map((set) => addressIn(end, family, set)),
    ...(sets.has(`${name}_ports_${family}`) ? [serviceIn(end, family, `${name}_ports_${family}`)] : []),
  ]);
}

/** Where bypass opens them, never as learned addresses: they are closed again as bypass is over. */
function privateRules({ mode }: Plan): Rule[] {
  const opens = mode.kind === "down" && mode.privateRanges === "open";
  const whileOpen = leaseOf(mode) ? [lasts(BYPASS_LEASE)] : [];
  return FAMILIES.flatMap((family): Rule[] => {
    const found = addressIn("destination", family, `private_${family}`);
    return [
      ...(opens ? [[found, ...whileOpen, goto("admit_bypass")]] : []),
      ...(opens && !leaseOf(mode) ? [] : [[found, goto("refuse_private")]]),
    ];
  });
}

/** In bypass, what was learned before it: its own answers open nothing that would be allowed later. */
function learnedRules({ policy, mode, sets, keepsUsed }: Plan): Rule[] {
  const { learned } = policy;
  if (learned.kind === "fixed") {
    return lookUps(sets, "destination", "dns").map((found) => [found, goto("admit_allowed")]);
  }
  const names = mode.kind === "down" ? keptSets : learnedSets;
  const scopes = [EVERY_PORT_SCOPE, ...learned.scopes];
  return [
    ...FAMILIES.flatMap((family) =>
      scopes.flatMap((scope) =>
        areaMatches(scope.area).map((match) => [
          addressIn("destination", family, names(scope.id)[family]),
          ...match,
          ...whileActive(scope),
          ...(keepsUsed ? [updateElement(family, names(scope.id)[family])] : []),
          goto(learnedAdmission(scope)),
        ]),
      ),
    ),
    // A connection may be silent for longer than its address is remembered. This way of it leads where it always did.
    ...separateScopes(learned.scopes).map((scope) => [
      connectionDirection("original"),
      connectionState("established"),
      connectionMark(learnedMark(learned.flowGeneration, scope)),
      ...whileActive(scope),
      accept,
    ]),
  ];
}

const EVERY_PORT_SCOPE: LearnedScope = { id: 0, area: EVERY_PORT };

/** Scopes whose connections have marks of their own: those that end by themselves, and one for all others. */
function separateScopes(scopes: readonly LearnedScope[]): LearnedScope[] {
  return [EVERY_PORT_SCOPE, ...scopes.filter(({ remainingSeconds }) => remainingSeconds !== undefined)];
}

function whileActive({ id, remainingSeconds }: LearnedScope): Rule {
  return remainingSeconds === undefined ? [] : [lasts(activeSet(id))];
}

function learnedAdmission({ id, remainingSeconds }: LearnedScope): string {
  return remainingSeconds === undefined ? "admit_learned" : `admit_learned_${id}`;
}

/** The ways in which a packet can be to that area. */
function areaMatches(area: PortArea): Rule[] {
  if (sameArea(area, EVERY_PORT)) return [[]];
  return [
    ...(["tcp", "udp"] as const).flatMap((protocol): Rule[] => {
      const ranges = area[protocol];
      if (ranges.length === 0) return [];
      const [first] = ranges;
      const isEvery = first?.first === EVERY_PORT_RANGE.first && first.last === EVERY_PORT_RANGE.last;
      return [[isEvery ? protocolIs(protocol) : portIn("destination", protocol, ranges)]];
    }),
    ...(area.other ? [[protocolIsNot("tcp"), protocolIsNot("udp")]] : []),
  ];
}

function lastRules({ mode }: Plan): Rule[] {
  if (mode.kind !== "down") return [[goto("refuse_blocked")]];
  if (!leaseOf(mode)) return [[goto("admit_bypass")]];
  return [[lasts(BYPASS_LEASE), goto("admit_bypass")], [goto("refuse_blocked")]];
}

function inputRules(plan: Plan): Rule[] {
  const { policy, mode } = plan;
  const own: Rule[] = [
    ...countedAnswers(policy),
    [inputInterface("lo"), accept],
    [hopLimit(255), icmpv6Type(NEIGHBOUR_DISCOVERY_IN), accept],
    // A refused flow's own side has to hear the peer, else it is never reset and hangs.
    [protocolIs("tcp"), connectionState("established"), accept],
  ];
  if (mode.kind === "block") return own;
  return [
    ...own,
    ...deniedRules(plan, "source", drop),
    ...answersOfUpstream(policy),
    ...answers(plan),
    ...temporaryAnswers(plan),
    ...TRANSPORTS.flatMap((protocol) =>
      publishedPorts(policy.published, protocol).map(
        (ports): Rule => [
          portIn("destination", protocol, ports),
          connectionState("new"),
          setConnectionMark(MARK.inbound),
          accept,
        ],
      ),
    ),
  ];
}

/** Counted and not judged. A process that answers in the resolver's place deceives nobody but its own container. */
function countedAnswers({ upstream }: EgressPolicy): Rule[] {
  if (upstream === undefined) return [];
  return Object.values(ANSWER_COUNTERS).map(({ counter, responseCode }) => [
    inputInterface("lo"),
    portIn("source", "udp", [{ first: 53, last: 53 }]),
    answerSays(responseCode),
    countWith(counter),
  ]);
}

/** Of the upstream alone: a query that the workload binds to `lo` carries this mark with any address in it. */
function answersOfUpstream(policy: EgressPolicy): Rule[] {
  const { upstream } = policy;
  if (upstream === undefined) return [];
  const fromUpstream = address("source", familyOf(upstream), upstream);
  return [
    [fromUpstream, connectionState("established", "related"), connectionMark(queryMarkOf(policy)), accept],
  ];
}

function answers({ policy: { learned }, mode }: Plan): Rule[] {
  const state = connectionState("established", "related");
  const [held, ...temporary] =
    learned.kind === "fixed"
      ? []
      : separateScopes(learned.scopes).map((scope) => ({
          mark: learnedMark(learned.flowGeneration, scope),
          gate: whileActive(scope),
        }));
  const marks = [
    ...(held === undefined ? [] : [held.mark]),
    MARK.allowed,
    MARK.inbound,
    ...(mode.kind === "down" && !leaseOf(mode) ? [MARK.bypass] : []),
  ];
  return [
    [state, connectionMark(...marks), accept],
    ...temporary.map(({ mark, gate }) => [state, connectionMark(mark), ...gate, accept]),
    ...(leaseOf(mode) ? [[state, connectionMark(MARK.bypass), lasts(BYPASS_LEASE), accept]] : []),
  ];
}

/** A peer may go on by itself: it is heard as long as what opened the way to it lasts. Errors come from anywhere on it. */
function temporaryAnswers(plan: Plan): Rule[] {
  if (!opensForATime(plan)) return [];
  return [
    [connectionState("related"), connectionMark(MARK.temporary), accept],
    ...lookUps(plan.sets, "source", "timed_allow").map((found) => [
      connectionState("established"),
      connectionMark(MARK.temporary),
      found,
      accept,
    ]),
  ];
}

function opensForATime({ sets }: Plan): boolean {
  return sets.has("timed_allow_v4") || sets.has("timed_allow_ports_v4");
}

function refusal(name: string, verdict: Verdict): RuleChain {
  return {
    name,
    rules: [[countWith(VERDICT_COUNTERS[verdict].counted)], sampledLog(verdict), [goto("reject_packet")]],
  };
}

/** Counts and logs a connection once: its mark says that it has been here. */
function admission(name: string, mark: number, verdict: Verdict): RuleChain {
  return {
    name,
    rules: [
      [connectionMark(mark), accept],
      [setConnectionMark(mark), countWith(VERDICT_COUNTERS[verdict].counted)],
      sampledLog(verdict),
      [accept],
    ],
  };
}

/**
 * The mark of learned connections opens their way after their address is forgotten: so only a packet that goes this way
 * may set it, not one that looks like its answer.
 */
function learnedAdmissions({ learned }: EgressPolicy): RuleChain[] {
  if (learned.kind === "fixed") return [];
  return separateScopes(learned.scopes).map((scope) => {
    const mark = learnedMark(learned.flowGeneration, scope);
    const { name, rules } = admission(learnedAdmission(scope), mark, "allowed");
    return { name, rules: [[connectionDirection("reply"), goto("admit_allowed")], ...rules] };
  });
}

/** The counters stay exact; the log is a sample, so that a flood cannot fill the disk. What it leaves out is counted, too. */
function sampledLog(verdict: Verdict): Rule {
  return [
    limitRate(50, 1000),
    countWith(VERDICT_COUNTERS[verdict].logged),
    logTo(LOG_GROUP, `TEROK_SHIELD_${verdict.toUpperCase()}: `),
  ];
}

/** Whether bypass ends by itself. */
function leaseOf(mode: ShieldMode): boolean {
  return mode.kind === "down" && mode.remainingSeconds !== undefined;
}

function toRange(range: IpRange): Statement {
  return address("destination", familyOf(range), range);
}

function familyOf(range: IpRange): Family {
  return range.family === 4 ? "v4" : "v6";
}
