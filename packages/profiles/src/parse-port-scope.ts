import { EntryError } from "./entry-error.ts";
import { quoteValue } from "./quote-value.ts";

/** The transport protocols that an entry can name. */
export type Protocol = "tcp" | "udp";

/** The ports `first` to `last` inclusive, of one protocol or of both. */
export interface PortScope {
  readonly first: number;
  readonly last: number;
  readonly protocol?: Protocol;
}

const HIGHEST_PORT = 65535;

/** Parses what stands after an entry's port colon: `443`, `443/tcp`, `8000-8010/udp`. */
export function parsePortScope(text: string): PortScope {
  const [, ports = "", protocol] = /^([^/]*)(?:\/(.*))?$/s.exec(text) ?? [];
  const [, first = ports, last = first] = /^([^-]*)-(.*)$/s.exec(ports) ?? [];
  const scope = { first: parsePort(first), last: parsePort(last) };
  if (scope.first > scope.last) {
    throw new EntryError(`${quoteValue(ports)} is not a port range. Write the lower port first.`);
  }
  return protocol === undefined ? scope : { ...scope, protocol: parseProtocol(protocol) };
}

/** Writes a scope as `parsePortScope` reads it. */
export function renderPortScope({ first, last, protocol }: PortScope): string {
  const ports = first === last ? `${first}` : `${first}-${last}`;
  return protocol === undefined ? ports : `${ports}/${protocol}`;
}

function parsePort(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= HIGHEST_PORT) return port;
  throw new EntryError(`${quoteValue(text)} is not a port. Write 1-65535, without leading zeros.`);
}

function parseProtocol(text: string): Protocol {
  if (text === "tcp" || text === "udp") return text;
  throw new EntryError(`${quoteValue(text)} is not a protocol that an entry can name. Write tcp or udp.`);
}
