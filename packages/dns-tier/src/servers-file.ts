import { assertDomainName } from "./domain-name.ts";
import {
  type ClosedNames,
  domainsOf,
  findParent,
  isClosedBelow,
  isInMarkerZone,
  isNameClosed,
  isNameOpen,
  MARKER_ZONE,
  type NamePolicy,
  scopesBelow,
} from "./name-policy.ts";
import { parseUpstream } from "./upstream.ts";

/**
 * Renders the servers file: dnsmasq forwards the open names to `upstream` ("ADDRESS" or "ADDRESS#PORT") and
 * asks nobody for the others: it answers REFUSED where no entry is near, else NXDOMAIN.
 *
 * A marker is a name of MARKER_ZONE. It is NXDOMAIN as soon as dnsmasq goes by this file, and 0.0.0.0 before.
 * @throws Error when a name is not canonical, the upstream no address of a resolver or the marker no marker.
 */
export function renderServersFile(policy: NamePolicy, upstream: string, marker?: string): string {
  const lines = serverLines(domainsOf(policy), upstream, {
    anywhere: false,
    at: (domain) => isNameOpen(policy, domain),
    below: (domain) => scopesBelow(policy, domain).length > 0,
  });
  return renderLines(upstream, marker, lines);
}

/** The same for a bypass: every name is forwarded but the closed ones. */
export function renderOpenServersFile(closed: ClosedNames, upstream: string, marker?: string): string {
  const lines = serverLines(domainsOf(closed), upstream, {
    anywhere: true,
    at: (domain) => !isNameClosed(closed, domain),
    below: (domain) => !isClosedBelow(closed, domain),
  });
  return renderLines(upstream, marker, [`server=${upstream}`, ...lines]);
}

/** Which names are forwarded: each domain that an entry is about, the names below it, and all the rest. */
interface Forwarding {
  readonly anywhere: boolean;
  readonly at: (domain: string) => boolean;
  readonly below: (domain: string) => boolean;
}

/**
 * For dnsmasq `/x/` is x and all below it, `/*.x/` is what ends in ".x", and the longest text that matches
 * decides. So both lines of a domain beat those of its parents, and a line that would only say again what a
 * parent's line says is left out.
 */
function serverLines(domains: readonly string[], upstream: string, forwarding: Forwarding): string[] {
  for (const domain of domains) assertDomainName(domain);
  const listed = new Set(domains);
  return domains.flatMap((domain) => {
    const parent = findParent(domain, listed);
    const around = parent === undefined ? forwarding.anywhere : forwarding.below(parent);
    const [at, below] = [forwarding.at(domain), forwarding.below(domain)];
    const line = (text: string, isOpen: boolean) => `server=/${text}/${isOpen ? upstream : ""}`;
    return [
      ...(at === around ? [] : [line(domain, at)]),
      ...(below === at ? [] : [line(`*.${domain}`, below)]),
    ];
  });
}

function renderLines(upstream: string, marker: string | undefined, lines: readonly string[]): string {
  parseUpstream(upstream);
  return [...lines, ...(marker === undefined ? [] : [markerLine(marker)])]
    .map((line) => `${line}\n`)
    .join("");
}

function markerLine(marker: string): string {
  assertDomainName(marker);
  if (!isInMarkerZone(marker) || marker === MARKER_ZONE) {
    throw new Error(`${JSON.stringify(marker)} is not a name in ${MARKER_ZONE}`);
  }
  return `server=/${marker}/`;
}
