import { isDomainName } from "./domain-name.ts";
import { isIpText } from "./ip-text.ts";

/** The addresses of one name and when they were asked for. */
export interface CachedResolution {
  readonly addresses: readonly string[];
  readonly resolvedAtMilliseconds: number;
}

/** What the static tiers resolved earlier. Holds no name that did not resolve. */
export type ResolutionCache = ReadonlyMap<string, CachedResolution>;

const VERSION = 1;
const LIFETIME_MILLISECONDS = 60 * 60 * 1000;

/** True within the hour. An entry from the future is not: the clock was set back, and nobody knows its age. */
export function isFresh(entry: CachedResolution, nowMilliseconds: number): boolean {
  const age = nowMilliseconds - entry.resolvedAtMilliseconds;
  return age >= 0 && age < LIFETIME_MILLISECONDS;
}

/** Renders the cache as JSON, its names sorted. Entries without an address are left out. */
export function renderResolutionCache(cache: ResolutionCache): string {
  const entries = [...cache]
    .filter(([, { addresses }]) => addresses.length > 0)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, { addresses, resolvedAtMilliseconds }]) => ({ name, addresses, resolvedAtMilliseconds }));
  return `${JSON.stringify({ v: VERSION, entries }, undefined, 2)}\n`;
}

/** Reads a cache file. One that is torn, of another version or wrong in any entry counts as empty: asking again is cheap. */
export function parseResolutionCache(text: string): ResolutionCache {
  const file = parseJson(text);
  if (!isObject(file) || file.v !== VERSION || !Array.isArray(file.entries)) return new Map();
  const entries: readonly unknown[] = file.entries;
  return entries.every(isEntry)
    ? new Map(entries.map(({ name, ...resolution }) => [name, resolution]))
    : new Map();
}

interface CacheFileEntry extends CachedResolution {
  readonly name: string;
}

function isEntry(value: unknown): value is CacheFileEntry {
  return (
    isObject(value) &&
    typeof value.name === "string" &&
    isDomainName(value.name) &&
    Number.isSafeInteger(value.resolvedAtMilliseconds) &&
    Array.isArray(value.addresses) &&
    value.addresses.length > 0 &&
    value.addresses.every((address) => typeof address === "string" && isIpText(address))
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
