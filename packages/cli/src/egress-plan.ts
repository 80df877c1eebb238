import type { DnsTier } from "@terok-shield/dns-tier";
import {
  coversRange,
  type EgressPolicy,
  type IpRange,
  METADATA_ADDRESSES,
  PRIVATE_RANGES,
  parseIpRange,
  subtractRanges,
} from "@terok-shield/nft-ruleset";
import { type ProfileEntry, renderEntry } from "@terok-shield/profiles";
import type { RootlessNetwork } from "./rootless-network.ts";
import { ShieldError } from "./shield-error.ts";

export interface EgressRequest {
  readonly entries: readonly ProfileEntry[];
  readonly tier: DnsTier;
  readonly network: RootlessNetwork;
  readonly published: EgressPolicy["published"];
  readonly loopbackPorts: readonly number[];
  readonly dnsTimeoutSeconds: number;
}

export interface EgressPlan {
  readonly policy: EgressPolicy;
  readonly names: { readonly exact: readonly string[]; readonly wildcards: readonly string[] };
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * What the entries mean for this container's DNS tier and network; a static tier's addresses come with `withResolved`.
 * @throws ShieldError (usage) for entries that cannot be enforced: never widened, never dropped.
 */
export function planEgress(request: EgressRequest): EgressPlan {
  const faults = request.entries.flatMap((entry) => entryFault(entry, request.tier));
  if (faults.length > 0) throw new ShieldError(faults.join("\n"), { code: "usage" });
  const allow = request.entries.flatMap((entry) =>
    entry.kind === "range" ? [parseIpRange(entry.range)] : [],
  );
  const { network, loopbackPorts } = request;
  return {
    policy: {
      allow,
      deny: [],
      learned:
        request.tier === "dnsmasq"
          ? { kind: "by-resolver", timeoutSeconds: request.dnsTimeoutSeconds }
          : { kind: "fixed", ranges: [] },
      ...(request.tier === "dnsmasq" ? { upstream: parseIpRange(network.upstream) } : {}),
      reserved: network.reserved,
      hostLoopback: { addresses: network.hostLoopback, ports: loopbackPorts },
      published: request.published,
    },
    names: {
      exact: request.entries.flatMap((entry) => (entry.kind === "name" ? [entry.name] : [])),
      wildcards: request.entries.flatMap((entry) => (entry.kind === "wildcard" ? [entry.parent] : [])),
    },
    notes: request.entries.flatMap(privateNote),
  };
}

/** The plan with what its names resolved to before the start; private answers are kept out and noted. */
export function withResolved(plan: EgressPlan, resolved: ReadonlyMap<string, readonly string[]>): EgressPlan {
  const ranges: IpRange[] = [];
  const notes: string[] = [];
  for (const [name, addresses] of resolved) {
    for (const address of addresses.map(parseIpRange)) {
      if (coversRange(PRIVATE_RANGES, address))
        notes.push(`${name} answers a private address, which stays closed`);
      else ranges.push(address);
    }
  }
  return {
    ...plan,
    policy: { ...plan.policy, learned: { kind: "fixed", ranges } },
    notes: [...plan.notes, ...new Set(notes)],
  };
}

function entryFault(entry: ProfileEntry, tier: DnsTier): string[] {
  const place = `${entry.source.file}:${entry.source.line}`;
  if (entry.ports !== undefined) {
    return [
      `${place}: ${renderEntry(entry)} names a port, which is not enforced yet. Write it without, or leave it out.`,
    ];
  }
  if (entry.kind === "wildcard" && tier !== "dnsmasq") {
    return [
      `${place}: *.${entry.parent} needs dnsmasq, since the ${tier} tier resolves names before the start. Install dnsmasq (2.87 or later), or write the names out.`,
    ];
  }
  return [];
}

function privateNote(entry: ProfileEntry): string[] {
  if (entry.kind !== "range") return [];
  const range = parseIpRange(entry.range);
  const place = `${entry.source.file}:${entry.source.line}`;
  const publicPart = subtractRanges([range], PRIVATE_RANGES);
  if (coversRange(publicPart, range)) return [];
  const closed =
    range.first === range.last ||
    subtractRanges(METADATA_ADDRESSES, [range]).length === METADATA_ADDRESSES.length;
  return [
    `${place}: ${entry.range} opens private or special addresses${closed ? "" : ", but not the cloud metadata addresses in it"}`,
  ];
}
