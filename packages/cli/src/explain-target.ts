import { type IpRange, isSingleAddress, parseIpRange } from "@terok-shield/nft-ruleset";
import { renderEntry } from "@terok-shield/profiles";
import { parseTarget } from "./decision.ts";
import { ShieldError } from "./shield-error.ts";

/** A destination to explain: one name or address, and one port of TCP, UDP or both, or every port. */
export type ExplainTarget = {
  /** Its only spelling. */
  readonly text: string;
  readonly port?: number;
  readonly protocols: readonly ("tcp" | "udp")[];
} & (
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "address"; readonly address: IpRange }
);

/**
 * Reads `example.com`, `198.51.100.7:443` or `[2001:db8::1]:53/udp`.
 * @throws ShieldError (usage) for any other text.
 */
export function parseExplainTarget(text: string): ExplainTarget {
  const entry = parseTarget(text, { allowPublicSuffixWildcards: true });
  const { ports } = entry;
  const one = (what: string) =>
    new ShieldError(`${renderEntry(entry)} is more than one destination. Write one ${what} of it.`, {
      code: "usage",
    });
  if (entry.kind === "wildcard") throw one("name");
  if (ports !== undefined && ports.first !== ports.last) throw one("port");
  const rest = {
    text: renderEntry(entry),
    ...(ports === undefined ? {} : { port: ports.first }),
    protocols: ports?.protocol === undefined ? (["tcp", "udp"] as const) : [ports.protocol],
  };
  if (entry.kind === "name") return { kind: "name", name: entry.name, ...rest };
  const address = parseIpRange(entry.range);
  if (!isSingleAddress(address)) throw one("address");
  return { kind: "address", address, ...rest };
}
