import { type IpRange, parseIpRange } from "@terok-shield/nft-ruleset";
import type { AllowlistEntry } from "@terok-shield/profiles";

const parsed = new WeakMap<AllowlistEntry, IpRange>();

/** The addresses of an entry, read once: a command composes its policy several times, and that may have 100 000 of them. */
export function rangeOfEntry(entry: AllowlistEntry & { readonly kind: "range" }): IpRange {
  const known = parsed.get(entry);
  if (known !== undefined) return known;
  const range = parseIpRange(entry.range);
  parsed.set(entry, range);
  return range;
}
