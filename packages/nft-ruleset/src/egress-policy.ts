import type { IpRange } from "./ip-range.ts";
import { isSingleAddress, mergeRanges, subtractRanges } from "./ip-range.ts";
import { METADATA_ADDRESSES } from "./special-ranges.ts";

/** What a container may reach. All ranges may overlap; rendering merges them. */
export interface EgressPolicy {
  /** Written by the owner: beats private ranges, loses to `deny`. */
  readonly allow: readonly IpRange[];
  readonly deny: readonly IpRange[];
  /** Addresses that names led to: filled by the resolver while it runs, or resolved before the start. */
  readonly learned:
    | { readonly kind: "by-resolver"; readonly timeoutSeconds: number }
    | { readonly kind: "fixed"; readonly ranges: readonly IpRange[] };
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
  | { readonly kind: "down"; readonly privateRanges: "closed" | "open" }
  | { readonly kind: "block" };

/**
 * The ranges that go into the allow sets: merged, and without the cloud metadata addresses
 * unless an entry names exactly that address.
 */
export function ownerRanges(ranges: readonly IpRange[]): IpRange[] {
  const named = ranges.filter(isSingleAddress);
  return mergeRanges([...subtractRanges(ranges, METADATA_ADDRESSES), ...named]);
}
