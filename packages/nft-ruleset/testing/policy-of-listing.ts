import type { Destination, EgressPolicy, LearnedScope, TimedDestination } from "../src/egress-policy.ts";
import { coversRange, type IpRange, parseListedElement } from "../src/ip-range.ts";
import { parseListedPiece } from "../src/listing.ts";
import { areaOf, EVERY_PORT, NO_PORT, type PortArea, type Transport, unionAreas } from "../src/port-area.ts";
import { METADATA_ADDRESSES } from "../src/special-ranges.ts";

type Json = Readonly<Record<string, unknown>>;
type Match = { readonly match?: { readonly op: string; readonly left: Json; readonly right: unknown } };

/** What of a policy can be told from what `nft -j list ruleset` printed, in its shortest words. */
export function policyOfListing(json: string): Omit<EgressPolicy, "published" | "hostLoopback"> {
  const { nftables } = JSON.parse(json) as { nftables: Record<string, Json>[] };
  const sets = new Map(nftables.flatMap(({ set }) => (set === undefined ? [] : [[String(set.name), set]])));
  const rules = nftables.flatMap(({ rule }) =>
    rule?.chain === "output" ? [rule.expr as readonly (Match & Json)[]] : [],
  );
  const elementsOf = (name: string) =>
    ["v4", "singles_v4", "ports_v4", "v6", "singles_v6", "ports_v6"].flatMap(
      (end) => (sets.get(`${name}_${end}`)?.elem ?? []) as unknown[],
    );
  const resolver = sets.get("dns_v4")?.timeout;
  const upstream = rules.find((rule) => rule.some(({ match }) => isMeta(match?.left, "mark")));
  return {
    revision: Number(/"revision_(\d+)"/.exec(json)?.[1]),
    allow: elementsOf("allow").map(destinationOf).flatMap(asOwnerWrote),
    deny: elementsOf("deny").map(destinationOf),
    timed: {
      allow: elementsOf("timed_allow").map(timedDestinationOf).flatMap(asOwnerWrote),
      deny: elementsOf("timed_deny").map(timedDestinationOf),
      lift: [],
    },
    learned:
      resolver === undefined
        ? { kind: "fixed", destinations: elementsOf("dns").map(destinationOf) }
        : {
            kind: "by-resolver",
            timeoutSeconds: Number(resolver),
            scopes: scopesOf(sets, rules),
            queryGeneration:
              Number(upstream?.find(({ match }) => isMeta(match?.left, "mark"))?.match?.right) & 0xffff,
            flowGeneration: flowGenerationOf(nftables),
          },
    ...(upstream === undefined ? {} : { upstream: addressOf(upstream) as IpRange }),
    reserved: rules.flatMap((rule) => {
      const range = addressOf(rule);
      return rule.length === 2 && targetOf(rule) === "refuse_private" && range !== undefined ? [range] : [];
    }),
  };
}

function destinationOf(element: unknown): Destination {
  const { range, ports } = parseListedPiece(element) ?? failed(element);
  if (ports === undefined) return { range };
  return { range, ports: { first: ports.first, last: ports.last, protocol: ports.transport } };
}

/** The time that it was given, not the one that is left. */
function timedDestinationOf(element: unknown): TimedDestination {
  const { val, timeout } = (element as { elem: { val: unknown; timeout: number } }).elem;
  return { ...destinationOf(val), remainingSeconds: timeout };
}

/** Only an entry that is exactly a metadata address opens it. */
function asOwnerWrote<Entry extends Destination>(entry: Entry): Entry[] {
  const named = METADATA_ADDRESSES.filter((address) => coversRange([entry.range], address));
  return [entry, ...named.map((range) => ({ ...entry, range }))];
}

function scopesOf(sets: ReadonlyMap<string, Json>, rules: readonly (readonly Match[])[]): LearnedScope[] {
  const ids = [...sets.keys()].flatMap((name) => /^dns_(\d+)_v4$/.exec(name)?.[1] ?? []).map(Number);
  return ids.map((id) => {
    const updating = new RegExp(`"@(dns|kept)_${id}_v4"`);
    const areas = rules
      .filter((rule) =>
        rule.some((statement) => "set" in statement && updating.test(JSON.stringify(statement))),
      )
      .map(areaOfRule);
    const [lease] = (sets.get(`active_${id}`)?.elem ?? []) as { elem: { timeout: number } }[];
    return {
      id,
      area: areas.reduce(unionAreas, NO_PORT),
      ...(lease === undefined ? {} : { remainingSeconds: lease.elem.timeout }),
    };
  });
}

function areaOfRule(rule: readonly Match[]): PortArea {
  const matches = rule.flatMap(({ match }) => match ?? []);
  const ports = matches.find(({ left }) => (left.payload as Json | undefined)?.field === "dport");
  if (ports !== undefined) {
    const protocol = (ports.left.payload as Json).protocol as Transport;
    const values = ((ports.right as { set?: unknown[] }).set ?? [ports.right]) as unknown[];
    return values
      .map((value) => (value as { range?: [number, number] }).range ?? [Number(value), Number(value)])
      .map(([first = 0, last = 0]) => areaOf({ first, last, protocol }))
      .reduce(unionAreas, NO_PORT);
  }
  const transports = matches.filter(({ left }) => isMeta(left, "l4proto"));
  if (transports.length === 0) return EVERY_PORT;
  const [{ op, right } = failed(rule)] = transports;
  if (op === "!=") return { ...NO_PORT, other: true };
  return { ...NO_PORT, [right as Transport]: EVERY_PORT[right as Transport] };
}

/** Of a rule that names one destination, in no set. */
function addressOf(rule: readonly Match[]): IpRange | undefined {
  const match = rule
    .map(({ match }) => match)
    .find((each) => (each?.left.payload as Json | undefined)?.field === "daddr");
  return parseListedElement(match?.right);
}

function targetOf(rule: readonly Json[]): unknown {
  return (rule.at(-1)?.goto as Json | undefined)?.target;
}

function isMeta(left: Json | undefined, key: string): boolean {
  return (left?.meta as Json | undefined)?.key === key;
}

function failed(element: unknown): never {
  throw new Error(`nobody here can read ${JSON.stringify(element)}`);
}

/** From the mark that learned connections on every port get. */
function flowGenerationOf(nftables: readonly Record<string, Json>[]): number {
  const rules = nftables.flatMap(({ rule }) =>
    rule?.chain === "admit_learned" ? [rule.expr as readonly Json[]] : [],
  );
  const set = rules.flat().find(({ mangle }) => mangle !== undefined)?.mangle as
    | { value: number }
    | undefined;
  return (set?.value ?? 0) & 0xffff;
}
