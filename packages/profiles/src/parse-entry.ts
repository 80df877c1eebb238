import { EntryError } from "./entry-error.ts";
import { isPublicSuffix } from "./is-public-suffix.ts";
import { parseDomainName } from "./parse-domain-name.ts";
import { type PortScope, parsePortScope } from "./parse-port-scope.ts";
import { HIDDEN_CHARACTER, quoteValue } from "./quote-value.ts";

/**
 * What one line of an allowlist opens: a name, every name below a parent (not
 * the parent), or a range of addresses; on every port unless `ports` says which.
 */
export type AllowlistEntry =
  | { readonly kind: "name"; readonly name: string; readonly ports?: PortScope }
  | { readonly kind: "wildcard"; readonly parent: string; readonly ports?: PortScope }
  | { readonly kind: "range"; readonly range: string; readonly ports?: PortScope };

/** What parsing an entry needs from outside. */
export interface EntryOptions {
  /** Gives the only spelling of an address or CIDR range, or throws an Error of one sentence that names the text. */
  readonly canonicaliseRange: (text: string) => string;
  /** Accepts wildcards such as `*.com` and `*.github.io`, which open the names of everybody. */
  readonly allowPublicSuffixWildcards?: boolean;
}

const LONGEST_WILDCARD_PARENT = 251;

/** Parses one entry, without comment or surrounding space, or throws an EntryError. */
export function parseEntry(text: string, options: EntryOptions): AllowlistEntry {
  refuseWhatIsNoEntry(text);
  const { host, port } = splitPort(text);
  const ports = port === undefined ? {} : { ports: parsePortScope(port) };
  if (isAddressLike(host)) return { kind: "range", range: parseRange(host, options), ...ports };
  if (host.includes("*")) return { kind: "wildcard", parent: parseWildcard(host, options), ...ports };
  return { kind: "name", name: parseHostName(host), ...ports };
}

function refuseWhatIsNoEntry(text: string): void {
  if (text === "") {
    throw new EntryError(`${quoteValue(text)} is empty. Write a name, an address or a CIDR range.`);
  }
  if (HIDDEN_CHARACTER.test(text)) {
    throw new EntryError(`${quoteValue(text)} has a control character in it. Write visible text only.`);
  }
  if (/^[^./:[\]]+:\/\//.test(text)) {
    throw new EntryError(`${quoteValue(text)} is a URL. Write only its host name.`);
  }
}

/** A bare IPv6 address is all colons, so one colon alone, or one after a bracket, begins a port. */
function splitPort(text: string): { host: string; port: string | undefined } {
  if (text.startsWith("[")) {
    const [, host, port] = /^\[([^[\]]*:[^[\]]*)\](?::(.*))?$/.exec(text) ?? [];
    if (host !== undefined) return { host, port };
    throw new EntryError(
      `${quoteValue(text)} is not an IPv6 address in brackets. Write it as in [2001:db8::1]:443 or [2001:db8::/32]:443.`,
    );
  }
  const [host = "", port, ...rest] = text.split(":");
  return rest.length === 0 ? { host, port } : { host: text, port: undefined };
}

/**
 * Decides address or name as the URL standard does, by the last label: so no
 * octal, short or broken address passes for a name.
 */
function isAddressLike(host: string): boolean {
  return host.includes(":") || /^(?:[^/]*\.)?(?:\d+|0x[0-9a-f]*)\.?(?:\/|$)/i.test(host);
}

function parseRange(text: string, { canonicaliseRange }: EntryOptions): string {
  try {
    return canonicaliseRange(text);
  } catch (cause) {
    throw new EntryError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function parseWildcard(text: string, { allowPublicSuffixWildcards = false }: EntryOptions): string {
  const below = /^\*\.([^*]+)$/.exec(text)?.[1];
  if (below === undefined) {
    throw new EntryError(
      `${quoteValue(text)} is not a wildcard. Write one star as the whole first label, as in *.example.com.`,
    );
  }
  const parent = parseDomainName(below);
  if (parent.length > LONGEST_WILDCARD_PARENT) {
    throw new EntryError(`${quoteValue(text)} is too long to have a name below it. Write a shorter name.`);
  }
  if (isPublicSuffix(parent) && !allowPublicSuffixWildcards) {
    throw new EntryError(
      `${quoteValue(text)} opens the names of everybody who registers below ${parent}. Write the names that you mean.`,
    );
  }
  return parent;
}

function parseHostName(text: string): string {
  const name = parseDomainName(text);
  if (name.includes(".")) return name;
  throw new EntryError(
    `${quoteValue(text)} is a single label, which each machine resolves in its own way. Write the full name, as in api.example.com.`,
  );
}
