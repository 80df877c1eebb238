import { findContainers, readLogs } from "./commands/logs.ts";
import { follow } from "./commands/watch.ts";
import { parseEventFilter } from "./event-filter.ts";
import type { Host } from "./host/host.ts";
import { openOutput, untilStopped } from "./host/output.ts";
import { parsePointInTime } from "./point-in-time.ts";
import { openPrinter, printEvents } from "./print/event-stream.ts";

export interface LogsOptions {
  readonly container?: string;
  readonly lines?: number;
  readonly since?: string;
  readonly until?: string;
  readonly follow?: true;
  readonly only?: readonly string[];
  readonly pretty?: true;
}

const USUAL_LINES = 20;

/** What `terok-shield logs` does. */
export async function showLogs(host: Host, options: LogsOptions): Promise<void> {
  const isWanted = parseEventFilter(options.only);
  const { container, pretty } = options;
  const now = host.now();
  const since = options.since === undefined ? undefined : parsePointInTime(options.since, now);
  const until = options.until === undefined ? undefined : parsePointInTime(options.until, now);
  const count = options.lines ?? (since === undefined && until === undefined ? USUAL_LINES : undefined);
  const output = openOutput();
  const request = {
    ...{
      isWanted,
      ...(container === undefined ? {} : { container }),
      ...(count === undefined ? {} : { count }),
    },
    ...{ ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) },
  };
  if (options.follow === undefined) {
    return printEvents(output, await readLogs(host, request), pretty === true ? "lines" : "json");
  }
  const signal = untilStopped();
  // What is followed from the oldest of the newest on, begins with them.
  const oldest = count === undefined ? undefined : (await readLogs(host, request)).at(0);
  const begin = oldest === undefined ? (since ?? now) : new Date(oldest.ts);
  const containers = await findContainers(host, container);
  await follow(host, containers, {
    ...{
      isWanted,
      since: begin,
      signal,
      printer: openPrinter(output, pretty === true ? { pretty } : { json: true }),
    },
    onEnd: (name) =>
      void process.stderr.write(`terok-shield: ${name} does not run, so nothing more comes.\n`),
  });
}
