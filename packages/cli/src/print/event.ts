import { cleanText, type NameEvent, type PacketEvent, type ShieldEvent } from "@terok-shield/audit";

/** What a line is about, for its colour. */
export type Tone = "refused" | "allowed" | "bypass" | "changed" | "failed" | "plain";

/** Writes an ISO time for people. */
export type Clock = (ts: string) => string;

export interface EventLine {
  /** Without a newline, and without a character that a terminal obeys, hides or reorders. */
  readonly text: string;
  readonly tone: Tone;
  /** Of the entry and its container, `web example.org:443/tcp`: what `terok-shield allow` takes to let it through. */
  readonly hint?: string;
}

/**
 * One line for a person: `10:15:02  web  blocked      tcp/443   example.org (198.18.1.1)`, and `blocked ×37` of 37 events.
 * @param clock writes the local time of day when absent
 */
export function renderEvent(
  event: ShieldEvent,
  { count = 1, clock = timeOfDay }: { readonly count?: number; readonly clock?: Clock } = {},
): EventLine {
  const { verdict, what, tone, entry } = describe(event);
  const times = count > 1 ? ` ×${count}` : "";
  const parts = [clock(event.ts), event.container, `${verdict}${times}`.padEnd(LONGEST_VERDICT), ...what];
  const text = parts.map(cleanText).join("  ");
  return entry === undefined
    ? { text, tone }
    : { text, tone, hint: `${cleanText(event.container)} ${quoteForShell(entry)}` };
}

/** So that what comes after it stands in one column; `blocked ×99` is as long. */
const LONGEST_VERDICT = "shield down".length;
const USUAL_SERVICE = "tcp/8080".length;

interface Described {
  readonly verdict: string;
  readonly what: readonly string[];
  readonly tone: Tone;
  /** That would let it through. */
  readonly entry?: string;
}

const TONES = {
  allowed: "allowed",
  bypass: "bypass",
  blocked: "refused",
  denied: "refused",
  private: "refused",
} as const;

function describe(event: ShieldEvent): Described {
  switch (event.action) {
    case "packet": {
      const { verdict, protocol, port, address, name } = event;
      const service = port === undefined ? protocol : `${protocol}/${port}`;
      const what = [service.padEnd(USUAL_SERVICE), name === undefined ? address : `${name} (${address})`];
      const tone = TONES[verdict];
      // What was denied stays so, unless that decision is undone, which may be about more.
      return { verdict, what, tone, ...(tone === "refused" && verdict !== "denied" ? entryOf(event) : {}) };
    }
    case "name":
      return {
        verdict: event.verdict,
        what: [describeQuery(event.queryType).padEnd(USUAL_SERVICE), event.name],
        tone: "refused",
        ...entryOfName(event.name),
      };
    case "sampled":
      return { verdict: "left out", what: [event.detail], tone: "plain" };
    case "error":
      return { verdict: "error", what: [event.detail], tone: "failed" };
    case "note":
      return { verdict: "note", what: [event.detail], tone: "plain" };
    default:
      return { verdict: event.action.replace("_", " "), what: [event.detail], tone: "changed" };
  }
}

/** What was asked of a name: of whoever wants its addresses, of which kind is no news. */
export function describeQuery(queryType: string): string {
  return queryType === "A" || queryType === "AAAA" ? "name" : `name ${queryType}`;
}

/** A name that means nothing to a shell: the line may be copied there. */
const PLAIN_NAME = /^[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_][a-z0-9_-]*)+$/i;

/** Of a private address only itself, since no name opens it. */
function entryOf({ verdict, protocol, address, port, name }: PacketEvent): { entry?: string } {
  const isNamed = verdict !== "private" && name !== undefined && PLAIN_NAME.test(name);
  if (port === undefined || (protocol !== "tcp" && protocol !== "udp"))
    return { entry: isNamed ? name : address };
  const host = isNamed ? name : address.includes(":") ? `[${address}]` : address;
  return { entry: `${host}:${port}/${protocol}` };
}

/** The entry that would let a refused packet or name through, names before addresses; undefined when none can. */
export function suggestEntry(event: PacketEvent | NameEvent): string | undefined {
  return (event.action === "packet" ? entryOf(event) : entryOfName(event.name)).entry;
}

/** Brackets mean something to a shell. */
function quoteForShell(entry: string): string {
  return entry.startsWith("[") ? `'${entry}'` : entry;
}

function entryOfName(name: string): { entry?: string } {
  return PLAIN_NAME.test(name) ? { entry: name } : {};
}

export const timeOfDay: Clock = (ts) => {
  const at = new Date(ts);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
};

export const dateAndTime: Clock = (ts) => {
  const at = new Date(ts);
  return `${[at.getFullYear(), at.getMonth() + 1, at.getDate()].map(twoDigits).join("-")} ${timeOfDay(ts)}`;
};

function twoDigits(part: number): string {
  return String(part).padStart(2, "0");
}

/** The line with as much of its hint as fits: all, or without the program's name, or none; half a command would be worse. */
export function renderForWidth({ text, hint }: EventLine, columns = Number.POSITIVE_INFINITY): string {
  const forms =
    hint === undefined ? [] : [`${text}  (terok-shield allow ${hint})`, `${text}  (allow ${hint})`];
  return forms.find((form) => fitLine(form, columns) === form) ?? fitLine(text, columns);
}

/** Shortens a line to a terminal's width: a longer one would take two rows there. */
export function fitLine(text: string, columns: number): string {
  let width = 0;
  const fitted: string[] = [];
  for (const character of text) {
    // Some characters are two columns wide. Which, terminals do not agree on.
    width += /[\x20-\x7e×]/.test(character) ? 1 : 2;
    if (width > columns) return `${fitted.slice(0, -1).join("")}~`;
    fitted.push(character);
  }
  return text;
}
