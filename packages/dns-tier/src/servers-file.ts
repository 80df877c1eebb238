import { assertDomainName } from "./domain-name.ts";
import { parseUpstream } from "./upstream.ts";

/** Canonical names that policy allows. */
export interface AllowedNames {
  /** Exactly these names. */
  readonly exact: readonly string[];
  /** Every name below these, at any depth, and not these themselves: `wild.example` for `*.wild.example`. */
  readonly wildcards: readonly string[];
}

/**
 * Renders the servers file: dnsmasq forwards the allowed names to `upstream` ("ADDRESS" or "ADDRESS#PORT"),
 * answers NXDOMAIN below an exact name and REFUSED for the rest, without asking anybody.
 *
 * For dnsmasq `/x/` is x and all below it, `/*.x/` is what ends in ".x", and the longest text that matches
 * decides. So an exact name needs a line that closes what is below it, which a longer line may open again.
 * A name that a wildcard covers gets no line: the closing one would be longer than the wildcard and beat it.
 */
export function renderServersFile({ exact, wildcards }: AllowedNames, upstream: string): string {
  for (const name of [...exact, ...wildcards]) assertDomainName(name);
  parseUpstream(upstream);
  const open = new Set(wildcards);
  const lines = [
    ...unique(exact)
      .filter((name) => !isBelowAny(name, open))
      .flatMap((name) => [`server=/${name}/${upstream}`, ...(open.has(name) ? [] : [`server=/*.${name}/`])]),
    ...unique(wildcards)
      .filter((name) => !isBelowAny(name, open))
      .map((name) => `server=/*.${name}/${upstream}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** Renders the servers file of a bypass: every name is forwarded. */
export function renderOpenServersFile(upstream: string): string {
  parseUpstream(upstream);
  return `server=${upstream}\n`;
}

function isBelowAny(name: string, parents: ReadonlySet<string>): boolean {
  const labels = name.split(".");
  return labels.some((_, index) => index > 0 && parents.has(labels.slice(index).join(".")));
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
