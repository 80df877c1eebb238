import type { ShieldEvent } from "@terok-shield/audit";
import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { listBundles } from "../host/bundles.ts";
import { findContainerRun } from "../host/container-run.ts";
import { followEvents } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import type { EventPrinter } from "../print/event-stream.ts";
import { ShieldError } from "../shield-error.ts";
import { readContainerState } from "./read-state.ts";

export interface WatchRequest {
  /** By name; "all" are those that run now and those that start later. */
  readonly containers: readonly string[] | "all";
  readonly isWanted: (event: ShieldEvent) => boolean;
  readonly printer: EventPrinter;
  readonly signal: AbortSignal;
  /** Also what came after that. */
  readonly since?: Date;
  /** Called when one of the containers does not run any more, and all that it did is printed. */
  readonly onEnd?: (container: ContainerName) => void;
}

/** How often repeats that wait, and containers that have started, are looked after. */
const TICK_MILLISECONDS = 1000;

/**
 * Prints what comes, until `signal` aborts or none of the containers runs any more.
 * @throws ShieldError when one of those named is unknown or does not run.
 */
export async function watch(host: Host, request: WatchRequest): Promise<void> {
  if (request.containers === "all") return watchAll(host, request);
  const containers = [...new Set(request.containers.map(parseContainerName))];
  for (const container of containers) refuseStopped(host, container);
  await follow(host, containers, request);
}

/** As `watch`, of containers that need not run: what there is of them since `since` is printed all the same. */
export async function follow(
  host: Host,
  containers: readonly ContainerName[],
  request: Omit<WatchRequest, "containers">,
): Promise<void> {
  const { printer } = request;
  const ticking = setInterval(() => void printer.tick(), TICK_MILLISECONDS);
  try {
    await Promise.all(containers.map((container) => followOne(host, container, request)));
    await printer.flush();
  } finally {
    clearInterval(ticking);
  }
}

async function watchAll(host: Host, { signal, ...request }: WatchRequest): Promise<void> {
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  if (signal.aborted) stop.abort();
  const followed = new Map<ContainerName, Promise<void>>();
  /** Up to when each has been told. */
  const toldUntil = new Map<ContainerName, Date>();
  let failure: unknown;
  let lookedAt: Date | undefined;
  while (!stop.signal.aborted) {
    const now = host.now();
    for (const container of (await listBundles(host.places)).map(parseContainerName)) {
      if (followed.has(container) || !isRunning(host, container)) continue;
      // Of one that has started since the last look, nothing is left out, and nothing of the run before is told again.
      const since = toldUntil.get(container) ?? lookedAt;
      toldUntil.set(container, since ?? now);
      const isWanted = (event: ShieldEvent) => {
        const next = new Date(Date.parse(event.ts) + 1);
        if (next > (toldUntil.get(container) ?? now)) toldUntil.set(container, next);
        return request.isWanted(event);
      };
      const end = followOne(host, container, {
        ...{ ...request, isWanted, signal: stop.signal },
        ...(since === undefined ? {} : { since }),
      })
        .catch((cause) => {
          // Whoever watches all must not believe that he sees all.
          failure = cause;
          stop.abort();
        })
        .finally(() => followed.delete(container));
      followed.set(container, end);
    }
    lookedAt = now;
    await request.printer.tick();
    await pause(TICK_MILLISECONDS, stop.signal);
  }
  await Promise.all(followed.values());
  await request.printer.flush();
  if (failure !== undefined) throw failure;
}

async function followOne(
  host: Host,
  container: ContainerName,
  { isWanted, printer, signal, since, onEnd }: Omit<WatchRequest, "containers">,
): Promise<void> {
  const events = followEvents(host, container, { signal, ...(since === undefined ? {} : { since }) });
  for await (const event of events) {
    if (signal.aborted) return;
    if (isWanted(event)) await printer.print(event);
  }
  if (signal.aborted) return;
  // What is said of the end must not stand where a line is going to be replaced.
  await printer.flush();
  onEnd?.(container);
}

function refuseStopped(host: Host, container: ContainerName): void {
  readContainerState(host, container);
  if (isRunning(host, container)) return;
  throw new ShieldError(
    `The container ${container} does not run, so nothing more comes. What it tried before: terok-shield logs --container ${container}`,
  );
}

function isRunning({ places }: Host, container: ContainerName): boolean {
  return findContainerRun(bundleDirectory(places, container), container).kind === "running";
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
  });
}
