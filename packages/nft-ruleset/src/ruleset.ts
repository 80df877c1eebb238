import type { EgressPolicy, ShieldMode } from "./egress-policy.ts";
import { ownerRanges } from "./egress-policy.ts";
import { type IpRange, mergeRanges } from "./ip-range.ts";
import { PRIVATE_RANGES } from "./special-ranges.ts";
import {
  accept,
  connectionMark,
  connectionState,
  countWith,
  destination,
  destinationPort,
  drop,
  type Family,
  goto,
  hopLimit,
  icmpv6Type,
  inputInterface,
  ipOptionExists,
  isIpv6,
  limitRate,
  logTo,
  multicastReport,
  newConnection,
  outputInterface,
  packetMark,
  protocolIs,
  rejectAsProhibited,
  rejectWithReset,
  replyDirection,
  routingHeaderExists,
  type Statement,
  setConnectionMark,
  source,
  updateElement,
} from "./statement.ts";

export const TABLE = { family: "inet", name: "terok_shield" } as const;
export const LOG_GROUP = 100;

/** Connection marks: which rule last let a packet of the connection through. */
export const MARK = {
  dns: 0x7e530001,
  allowed: 0x7e530002,
  inbound: 0x7e530003,
  bypass: 0x7e530004,
} as const;

/** Sets that the container's resolver fills with what it learned. */
export const LEARNED_SETS = { v4: "dns_v4", v6: "dns_v6" } as const;

const FAMILIES: readonly Family[] = ["v4", "v6"];
/** Kernel-sorted, as listed: 133, 135, 136. A container has no raw socket, so only the kernel sends these. */
const NEIGHBOUR_DISCOVERY = ["nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert"];
const NEIGHBOUR_DISCOVERY_IN = [
  "nd-router-solicit",
  "nd-router-advert",
  "nd-neighbor-solicit",
  "nd-neighbor-advert",
];

type Rule = readonly Statement[];

export interface RuleChain {
  readonly name: string;
  readonly hook?: "input" | "forward" | "output";
  readonly rules: readonly Rule[];
}

export interface AddressSet {
  readonly name: string;
  readonly family: Family;
  readonly content:
    | { readonly kind: "ranges"; readonly ranges: readonly IpRange[] }
    | { readonly kind: "timed"; readonly timeoutSeconds: number };
}

const REJECTIONS: readonly RuleChain[] = [
  // WORKAROUND(icmpv6-lost-in-connect): Linux drops an ICMPv6 error for a socket that is still inside connect(), which
  // then waits a second to send again. Goes when `reject with icmpx` refuses IPv6 at once.
  { name: "reject_ipv6", rules: [[protocolIs("tcp"), rejectWithReset], [rejectAsProhibited]] },
  {
    name: "reject_packet",
    rules: [
      [isIpv6, goto("reject_ipv6")],
      [protocolIs("tcp"), connectionState(["established"]), rejectWithReset],
      [rejectAsProhibited],
    ],
  },
];

/** The whole table as data: rendered to nft text, and compared with what the kernel lists. */
export interface Ruleset {
  readonly counters: readonly string[];
  readonly sets: readonly AddressSet[];
  readonly chains: readonly RuleChain[];
}

/** Plans the table that enforces `policy` in `mode`. */
export function planRuleset(policy: EgressPolicy, mode: ShieldMode): Ruleset {
  return {
    counters: ["allowed", "bypassed", "refused_blocked", "refused_denied", "refused_private"],
    sets: planSets(policy),
    chains: [
      ...REJECTIONS,
      refusal("refuse_blocked", "refused_blocked", "BLOCKED"),
      refusal("refuse_denied", "refused_denied", "DENIED"),
      refusal("refuse_private", "refused_private", "PRIVATE"),
      admission("admit_allowed", MARK.allowed, "allowed", "ALLOWED"),
      admission("admit_bypass", MARK.bypass, "bypassed", "BYPASS"),
      { name: "output", hook: "output", rules: outputRules(policy, mode) },
      { name: "input", hook: "input", rules: inputRules(policy, mode) },
      { name: "forward", hook: "forward", rules: [] },
    ],
  };
}

function planSets({ allow, deny, learned }: EgressPolicy): AddressSet[] {
  const denied = mergeRanges(deny);
  const allowed = ownerRanges(allow);
  return FAMILIES.flatMap((family): AddressSet[] => [
    rangeSet(`private_${family}`, family, PRIVATE_RANGES),
    rangeSet(`deny_${family}`, family, denied),
    rangeSet(`allow_${family}`, family, allowed),
    learned.kind === "fixed"
      ? rangeSet(LEARNED_SETS[family], family, mergeRanges(learned.ranges))
      : {
          name: LEARNED_SETS[family],
          family,
          content: { kind: "timed", timeoutSeconds: learned.timeoutSeconds },
        },
  ]);
}

function rangeSet(name: string, family: Family, ranges: readonly IpRange[]): AddressSet {
  const own = ranges.filter((range) => range.family === (family === "v4" ? 4 : 6));
  return { name, family, content: { kind: "ranges", ranges: own } };
}

/**
 * The order is the policy: deny beats everything, the owner's word beats private ranges, an answer of DNS does not.
 * Every packet's destination is judged, not a connection's first alone. So a flow ends with what allowed it, and a
 * workload gains nothing by steering conntrack: it may send from any IPv6 address (IPV6_FREEBIND), and so make its
 * packet to a closed address look like the answer in a connection that an open one began.
 */
function outputRules(policy: EgressPolicy, mode: ShieldMode): Rule[] {
  if (mode.kind === "block") return [[outputInterface("lo"), accept], [goto("refuse_blocked")]];
  return [
    [ipOptionExists("lsrr"), goto("refuse_blocked")],
    [ipOptionExists("ssrr"), goto("refuse_blocked")],
    [routingHeaderExists(), goto("refuse_blocked")],
    ...queriesToResolver(policy),
    [outputInterface("lo"), accept],
    [hopLimit(255), icmpv6Type(NEIGHBOUR_DISCOVERY), accept],
    // The kernel reports its multicast groups unasked: nothing that the container tried.
    [multicastReport, drop],
    ...FAMILIES.map((family): Rule => [destination(family, `@deny_${family}`), goto("refuse_denied")]),
    ...queriesToUpstream(policy),
    // Answers in connections that came in through a published port.
    [replyDirection(), connectionState(["established", "related"]), connectionMark([MARK.inbound]), accept],
    ...hostLoopbackRules(policy),
    ...policy.reserved.map((range): Rule => [destination(familyOf(range), range), goto("refuse_private")]),
    ...FAMILIES.map((family): Rule => [destination(family, `@allow_${family}`), goto("admit_allowed")]),
    ...(mode.kind === "down" && mode.privateRanges === "open"
      ? []
      : FAMILIES.map((family): Rule => [destination(family, `@private_${family}`), goto("refuse_private")])),
    ...FAMILIES.map((family): Rule => learnedRule(policy, family)),
    [goto(mode.kind === "down" ? "admit_bypass" : "refuse_blocked")],
  ];
}

/** dnsmasq copies this mark from the query it got to the query it sends (its option `conntrack`). */
function queriesToResolver({ upstream }: EgressPolicy): Rule[] {
  if (upstream === undefined) return [];
  return (["tcp", "udp"] as const).map((protocol) => [
    outputInterface("lo"),
    destinationPort(protocol, [53]),
    setConnectionMark(MARK.dns),
    accept,
  ]);
}

/** Only the resolver can set the packet mark: for that a process needs NET_ADMIN or NET_RAW. */
function queriesToUpstream({ upstream }: EgressPolicy): Rule[] {
  if (upstream === undefined) return [];
  return (["tcp", "udp"] as const).map((protocol) => [
    destination(familyOf(upstream), upstream),
    destinationPort(protocol, [53]),
    packetMark(MARK.dns),
    setConnectionMark(MARK.dns),
    accept,
  ]);
}

function hostLoopbackRules({ hostLoopback }: EgressPolicy): Rule[] {
  if (hostLoopback === undefined || hostLoopback.ports.length === 0) return [];
  return hostLoopback.addresses.map((address) => [
    destination(familyOf(address), address),
    destinationPort("tcp", hostLoopback.ports),
    goto("admit_allowed"),
  ]);
}

function learnedRule({ learned }: EgressPolicy, family: Family): Rule {
  const set = LEARNED_SETS[family];
  const renew = learned.kind === "by-resolver" ? [updateElement(family, set)] : [];
  return [destination(family, `@${set}`), ...renew, goto("admit_allowed")];
}

function inputRules(policy: EgressPolicy, mode: ShieldMode): Rule[] {
  const own: Rule[] = [
    [inputInterface("lo"), accept],
    [hopLimit(255), icmpv6Type(NEIGHBOUR_DISCOVERY_IN), accept],
    // A refused flow's own side has to hear the peer, else it is never reset and hangs.
    [protocolIs("tcp"), connectionState(["established"]), accept],
  ];
  if (mode.kind === "block") return own;
  const marks = [MARK.allowed, MARK.inbound, ...(mode.kind === "down" ? [MARK.bypass] : [])];
  return [
    ...own,
    ...FAMILIES.map((family): Rule => [source(family, `@deny_${family}`), drop]),
    ...answersOfUpstream(policy),
    [connectionState(["established", "related"]), connectionMark(marks), accept],
    ...(["tcp", "udp"] as const).flatMap((protocol): Rule[] => {
      const ports = policy.published
        .filter((entry) => entry.protocol === protocol)
        .map((entry) => entry.port);
      if (ports.length === 0) return [];
      return [[destinationPort(protocol, ports), newConnection(), setConnectionMark(MARK.inbound), accept]];
    }),
  ];
}

/** Of the upstream alone: a query that the workload binds to `lo` carries this mark with any address in it. */
function answersOfUpstream({ upstream }: EgressPolicy): Rule[] {
  if (upstream === undefined) return [];
  return [
    [
      source(familyOf(upstream), upstream),
      connectionState(["established", "related"]),
      connectionMark([MARK.dns]),
      accept,
    ],
  ];
}

function refusal(name: string, counter: string, verdict: string): RuleChain {
  return { name, rules: [[countWith(counter)], [...sampledLog(verdict)], [goto("reject_packet")]] };
}

/** Counts and logs a connection once: its mark says that it has been here. */
function admission(name: string, mark: number, counter: string, verdict: string): RuleChain {
  return {
    name,
    rules: [
      [connectionMark([mark]), accept],
      [setConnectionMark(mark), countWith(counter)],
      [...sampledLog(verdict)],
      [accept],
    ],
  };
}

/** The counters stay exact; the log is a sample, so that a flood cannot fill the disk. */
function sampledLog(verdict: string): Rule {
  return [limitRate(50, 200), logTo(LOG_GROUP, `TEROK_SHIELD_${verdict}: `)];
}

function familyOf(range: IpRange): Family {
  return range.family === 4 ? "v4" : "v6";
}
