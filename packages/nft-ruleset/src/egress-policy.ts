import { type IpRange, isSingleAddress, subtractRanges } from "./ip-range.ts";
import type { PortArea, PortSpan } from "./port-area.ts";
import { METADATA_ADDRESSES } from "./special-ranges.ts";

/** Addresses, on some ports of TCP and UDP; without `ports`, on every protocol and port. */
export interface Destination {
  readonly range: IpRange;
  readonly ports?: PortSpan;
}

/**
 * A destination for a time, from now on. What has ended is still listed, with nothing or less left, until the revision
 * that drops it: then its sets and rules go too.
 */
export interface TimedDestination extends Destination {
  readonly remainingSeconds: number;
}

/** A group of names that open the same ports: their addresses are learned into sets of their own. */
export interface LearnedScope {
  /** From 1; 0 stands for the names that open every port. */
  readonly id: number;
  readonly area: PortArea;
  /** Of temporary names. */
  readonly remainingSeconds?: number;
}

/** What a container may reach. Destinations may overlap; planning makes them disjoint. */
export interface EgressPolicy {
  /** Goes up with every change, in the kernel too: a change that was made for another revision fails as a whole. */
  readonly revision: number;
  /** Written by the owner: beats private ranges, loses to `deny`. */
  readonly allow: readonly Destination[];
  readonly deny: readonly Destination[];
  readonly timed?: {
    readonly allow: readonly TimedDestination[];
    readonly deny: readonly TimedDestination[];
    /** Each is one of `deny`, same range and ports, that is not in force meanwhile; other denials there still are. */
    readonly lift: readonly TimedDestination[];
  };
  /** Addresses that names led to: filled by the resolver while it runs, or resolved before the start. */
  readonly learned:
    | {
        readonly kind: "by-resolver";
        readonly timeoutSeconds: number;
        readonly scopes: readonly LearnedScope[];
        /** Another one makes queries and answers lose their way that were begun before; 16 bits count. */
        readonly queryGeneration: number;
        /** Another one judges anew the flows whose address is not learned any more; 16 bits count. */
        readonly flowGeneration: number;
      }
    | { readonly kind: "fixed"; readonly destinations: readonly Destination[] };
  /** Where the container's own resolver asks, port 53; absent when it has none. */
  readonly upstream?: IpRange;
  /** Addresses that the rootless network itself uses: never opened by an entry. */
  readonly reserved: readonly IpRange[];
  /** Granted ports of the host's loopback, at the addresses where the network shows it. */
  readonly hostLoopback?: { readonly addresses: readonly IpRange[]; readonly ports: readonly number[] };
  /** Published container ports, the only inbound. */
  readonly published: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[];
}

export type ShieldMode =
  | { readonly kind: "up" }
  | {
      readonly kind: "down";
      readonly privateRanges: "closed" | "open";
      /** When it ends by itself: what is left. */
      readonly remainingSeconds?: number;
    }
  | { readonly kind: "block" };

export interface PolicyInMode {
  readonly policy: EgressPolicy;
  readonly mode: ShieldMode;
}

/**
 * The destinations that an owner's entries open: without the cloud metadata addresses, unless an entry names exactly
 * that address.
 */
export function ownerDestinations<Entry extends Destination>(entries: readonly Entry[]): Entry[] {
  return entries.flatMap((entry) =>
    isSingleAddress(entry.range)
      ? [entry]
      : subtractRanges([entry.range], METADATA_ADDRESSES).map((range) => ({ ...entry, range })),
  );
}
