import { parseContainerName } from "../container-name.ts";
import { readEvents } from "../host/event-source.ts";
import { writeFileAtomically } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { parsePointInTime } from "../point-in-time.ts";
import { type Report, summariseEvents } from "../report.ts";
import { renderReport } from "../report-page.ts";
import { ShieldError } from "../shield-error.ts";
import { readContainerState } from "./read-state.ts";
import { readStats } from "./stats.ts";
import { readStatus } from "./status.ts";

export interface ReportRequest {
  readonly container: string;
  /** `-` and nothing are standard output. */
  readonly output?: string;
  readonly since?: string;
  /** Whether standard output is one. */
  readonly isTerminal: boolean;
  readonly print: (text: string) => void;
}

/**
 * Writes a page about a container, whether it runs or not.
 * @throws ShieldError when the container is unknown or its state damaged, and when a page would go to a terminal.
 */
export async function writeReport(
  host: Host,
  { container, output = "-", since, isTerminal, print }: ReportRequest,
): Promise<void> {
  if (output === "-" && isTerminal) {
    throw new ShieldError(
      `The report is a page for a browser. Name a file for it: terok-shield report ${container} -o ${container}.html`,
      { code: "usage" },
    );
  }
  const begin = since === undefined ? undefined : parsePointInTime(since, host.now());
  const page = renderReport(await readReport(host, container, begin));
  if (output === "-") print(page);
  else await writeFileAtomically(output, page, 0o600);
}

async function readReport(host: Host, name: string, since: Date | undefined): Promise<Report> {
  const container = parseContainerName(name);
  const state = readContainerState(host, container);
  const [status, [stats]] = [await readStatus(host, container), await readStats(host, [container])];
  const events = await readEvents(host, container, since === undefined ? {} : { since });
  return {
    container,
    at: host.now(),
    ...(since === undefined ? {} : { since }),
    status,
    ...(stats === undefined ? {} : { stats }),
    state,
    ...summariseEvents(events, { ...(since === undefined ? {} : { since }), until: host.now() }),
  };
}
