import { cleanText } from "./clean-text.ts";
import type { ResolverLine } from "./resolver-line.ts";
import type { NameEvent } from "./shield-event.ts";

const MAXIMUM_NAME_LENGTH = 255;
const MAXIMUM_TYPE_LENGTH = 32;
const CUT = "...";
/** Queries whose other lines are still to come. */
const MAXIMUM_OPEN = 4096;

export interface Query {
  readonly name: string;
  readonly type: string;
}

/** A query that was read from the log. */
export interface AskedQuery extends Query {
  /** The same for all queries of one TCP connection, and for no others. */
  readonly asker: string;
  /** The policy has this name, or one above it, on a line of its own that says no. */
  readonly isListed: boolean;
}

/** Renders the name event of a query that was refused. `ts`: UTC, in milliseconds. */
export function nameEvent({ name, type }: Query, ts: string, container: string): NameEvent {
  const queryType = cutText(cleanText(type.replace(/^type=/, "TYPE")), MAXIMUM_TYPE_LENGTH);
  return { v: 1, ts, container, action: "name", verdict: "refused", name: cleanName(name), queryType };
}

/** A name as events have it: in lower case, of characters that a terminal shows, at most 255 of them. */
export function cleanName(name: string): string {
  const clean = cleanText(name.toLowerCase());
  return clean.length <= MAXIMUM_NAME_LENGTH
    ? clean
    : `${cutText(clean, MAXIMUM_NAME_LENGTH - CUT.length)}${CUT}`;
}

/** Without half a character at its end. */
function cutText(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}

/** Puts together the lines of each query, as they are written. */
export class QueryReader {
  readonly #asked = new Map<string, Omit<AskedQuery, "isListed">>();

  /** What became of a query: it was refused, or one more address answers it. */
  read(line: ResolverLine): (AskedQuery & { readonly address?: string }) | undefined {
    if (line.kind === "started") this.#asked.clear();
    if (line.kind === "query") {
      const { name, type, asker } = line;
      remember(this.#asked, line.query, { name, type, asker });
    }
    if (line.kind !== "refused" && line.kind !== "answer") return undefined;
    const query = this.#asked.get(line.query);
    if (query === undefined) return undefined;
    if (line.kind === "refused") return { ...query, isListed: line.isListed };
    return asksForAddresses(query) ? { ...query, isListed: false, address: line.address } : undefined;
  }
}

/** The same from the end of the log, where a query comes after what became of it. */
export class BackwardQueryReader {
  readonly #outcomes = new Map<string, { isRefused: boolean; isListed: boolean; addresses: string[] }>();

  /** A query with what became of it. */
  read(line: ResolverLine): (AskedQuery & { isRefused: boolean; addresses: readonly string[] }) | undefined {
    if (line.kind === "started") this.#outcomes.clear();
    if (line.kind === "refused" || line.kind === "answer") {
      const none = { isRefused: false, isListed: false, addresses: [] };
      const outcome = this.#outcomes.get(line.query) ?? none;
      if (line.kind === "answer") outcome.addresses.push(line.address);
      else Object.assign(outcome, { isRefused: true, isListed: line.isListed });
      remember(this.#outcomes, line.query, outcome);
    }
    if (line.kind !== "query") return undefined;
    const outcome = this.#outcomes.get(line.query);
    if (outcome === undefined) return undefined;
    this.#outcomes.delete(line.query);
    const query = { name: line.name, type: line.type, asker: line.asker };
    return { ...query, ...outcome, ...(asksForAddresses(query) ? {} : { addresses: [] }) };
  }
}

/** A TXT record may say an address, and leads nowhere. */
function asksForAddresses({ type }: Query): boolean {
  return type === "A" || type === "AAAA";
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAXIMUM_OPEN && oldest !== undefined) map.delete(oldest);
}
