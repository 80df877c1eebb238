import type { ShieldEvent } from "@terok-shield/audit";
import pc from "picocolors";
import { EventJoiner, type JoinedLine, joinNeighbours } from "../event-joiner.ts";
import type { Output } from "../host/output.ts";
import { type Clock, dateAndTime, renderEvent, renderForWidth, type Tone, timeOfDay } from "./event.ts";

/** Takes events as they come and prints them. */
export interface EventPrinter {
  print(event: ShieldEvent): Promise<void>;
  /** To be called now and then: prints repeats that have waited long enough. */
  tick(): Promise<void>;
  /** Prints all that waits, and replaces none of the lines that are there. */
  flush(): Promise<void>;
}

/** Lines for people on a terminal and JSON lines elsewhere, unless it is said which. */
export function openPrinter(
  output: Output,
  { json, pretty }: { readonly json?: boolean; readonly pretty?: boolean },
): EventPrinter {
  const isForPeople = json !== true && (pretty === true || output.isTerminal);
  return isForPeople ? linePrinter(output) : jsonPrinter(output);
}

/** One JSON line for each event. */
function jsonPrinter(output: Output): EventPrinter {
  return {
    print: (event) => output.write(renderJson(event)),
    tick: async () => {},
    flush: async () => {},
  };
}

function renderJson(event: ShieldEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** Goes up to the start of the line before and clears it. */
const REPLACE_LINE = "\x1b[1A\r\x1b[2K";

/** One line for a person for each event, repeats joined. */
export function linePrinter(output: Output, now = () => performance.now()): EventPrinter {
  const joiner = new EventJoiner({ canReplace: output.isTerminal });
  const write = async (lines: readonly JoinedLine[]) => {
    if (lines.length === 0) return;
    await output.write(lines.map((line) => renderLine(line, output, timeOfDay)).join(""));
  };
  return {
    print: (event) => write(joiner.push(event, now())),
    tick: () => write(joiner.tick(now())),
    flush: () => write(joiner.flush()),
  };
}

/** Prints events of the past, of any day. */
export async function printEvents(
  output: Output,
  events: readonly ShieldEvent[],
  form: "json" | "lines",
): Promise<void> {
  const texts =
    form === "json"
      ? mapLazily(events, renderJson)
      : mapLazily(joinNeighbours(events), (line) => renderLine(line, output, dateAndTime));
  let chunk = "";
  for (const text of texts) {
    chunk += text;
    if (chunk.length < CHUNK_LENGTH) continue;
    await output.write(chunk);
    chunk = "";
  }
  if (chunk !== "") await output.write(chunk);
}

const CHUNK_LENGTH = 65_536;

function* mapLazily<Item>(items: Iterable<Item>, render: (item: Item) => string): Generator<string> {
  for (const item of items) yield render(item);
}

function renderLine({ kind, event, count }: JoinedLine, output: Output, clock: Clock): string {
  const line = renderEvent(event, { count, clock });
  if (!output.isTerminal) return `${renderForWidth(line)}\n`;
  const text = COLOURS[line.tone](renderForWidth(line, output.columns()));
  return `${kind === "replace" ? REPLACE_LINE : ""}${text}\n`;
}

const COLOURS: Readonly<Record<Tone, (text: string) => string>> = {
  refused: pc.red,
  allowed: pc.green,
  bypass: pc.yellow,
  changed: pc.cyan,
  failed: pc.magenta,
  plain: pc.dim,
};
