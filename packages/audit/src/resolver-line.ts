/** What a line of dnsmasq's log says; `query` is one for all lines of a query, as long as dnsmasq runs. */
export type ResolverLine = { /** `Nov 24 06:06:07`: UTC, but of no year. */ readonly clock: string } & (
  | {
      readonly kind: "query";
      readonly query: string;
      readonly name: string;
      readonly type: string;
      /** The same for all queries of one TCP connection, and for no others. */
      readonly asker: string;
    }
  /** The policy said no: the name was not forwarded. */
  | {
      readonly kind: "refused";
      readonly query: string;
      /** It says so of just this name, or of those below one. */
      readonly isListed: boolean;
    }
  | { readonly kind: "answer"; readonly query: string; readonly address: string }
  /** dnsmasq was started, and counts its queries from the beginning. */
  | { readonly kind: "started" }
  | { readonly kind: "other" }
);

/** With `log-queries=extra` what belongs to a query begins with its number and who asked it. */
const LINE = /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) dnsmasq\[(\d+)\]: (?:(\d+) ([\d.]+\/\d+) )?(.*)$/;
const QUERY = /^query\[([^\]]+)\] (.*) from [\d.]+$/;
const REFUSED = /^config (?:error is REFUSED|(.*) is N(?:XDOMAIN|ODATA)(?:-IPv[46])?$)/;
/** Names here are the upstream's: they may have spaces, and one of two lines that run into each other has another's head. */
const ANSWER = /^(?:reply|cached) (?!.*\]: ).* is ([0-9a-f.:]+)$/;

/** Reads one line of dnsmasq's log; undefined when it is torn or not dnsmasq's. */
export function parseResolverLine(line: string): ResolverLine | undefined {
  const [, clock, process, number, address, text = ""] = LINE.exec(line) ?? [];
  if (clock === undefined) return undefined;
  if (number === undefined)
    return { clock, kind: text.startsWith("started, version ") ? "started" : "other" };
  // A connection over TCP has a process of its own.
  const query = `${process} ${number}`;
  const [, type, name] = QUERY.exec(text) ?? [];
  if (type !== undefined && name !== undefined)
    return { clock, kind: "query", query, name, type, asker: `${process} ${address}` };
  const refused = REFUSED.exec(text);
  if (refused !== null) return { clock, kind: "refused", query, isListed: refused[1] !== undefined };
  const answer = ANSWER.exec(text)?.[1];
  return answer === undefined ? { clock, kind: "other" } : { clock, kind: "answer", query, address: answer };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MILLISECONDS = 86_400_000;
/** The 29th of February comes round after four years, or eight. */
const MOST_YEARS_BACK = 8;

/**
 * The time that a clock without a year shows, in milliseconds since 1970: the newest that is at most a day after
 * `notAfter`. Undefined when no year has that day.
 */
export function resolveClock(clock: string, notAfter: number): number | undefined {
  const month = MONTHS.indexOf(clock.slice(0, 3));
  const [day, hour, minute, second] = [4, 7, 10, 13].map((at) => Number(clock.slice(at, at + 2)));
  const latest = new Date(notAfter).getUTCFullYear() + 1;
  for (let year = latest; year >= latest - MOST_YEARS_BACK - 1; year--) {
    const time = Date.UTC(year, month, day, hour, minute, second);
    if (time > notAfter + DAY_MILLISECONDS) continue;
    const date = new Date(time);
    if (date.getUTCMonth() === month && date.getUTCDate() === day) return time;
  }
  return undefined;
}
