import type { ShieldEvent } from "@terok-shield/audit";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { listBundles } from "../host/bundles.ts";
import { type EventQuery, readEvents } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";

export interface LogRequest extends Omit<EventQuery, "last"> {
  /** All together when absent. */
  readonly container?: string;
  /** The newest so many; all that are kept when absent. */
  readonly count?: number;
}

/**
 * The newest events of one container, or of all together, oldest first.
 * @throws ShieldError when there is no such container: an empty log would look as if nothing had happened to it.
 */
export async function readLogs(
  host: Host,
  { container, count, ...query }: LogRequest,
): Promise<ShieldEvent[]> {
  const wanted = count === undefined ? query : { ...query, last: count };
  const events: ShieldEvent[] = [];
  for (const name of await findContainers(host, container)) {
    for (const event of await readEvents(host, name, wanted)) events.push(event);
  }
  events.sort(byTime);
  return count === undefined ? events : events.slice(-count);
}

/**
 * The container named, or all that have a log.
 * @throws ShieldError when there is no such container.
 */
export async function findContainers(
  { places }: Pick<Host, "places">,
  container?: string,
): Promise<ContainerName[]> {
  const known = await listBundles(places);
  if (container === undefined) return known.map(parseContainerName);
  const name = parseContainerName(container);
  if (known.includes(name)) return [name];
  throw new ShieldError(
    `There is no shielded container ${name}. ${known.length === 0 ? "There is none at all." : `There are ${known.join(", ")}.`}`,
  );
}

function byTime(left: ShieldEvent, right: ShieldEvent): number {
  return left.ts < right.ts ? -1 : left.ts > right.ts ? 1 : 0;
}
