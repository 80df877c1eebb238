import { watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import {
  cleanName,
  findLeftOut,
  linesFromEnd,
  mergeNewestFirst,
  nameEvent,
  parseAuditLine,
  parseCounterLine,
  parsePacketLine,
  parseResolverLine,
  QueryReader,
  resolveClock,
  type ShieldEvent,
  type StepBack,
} from "@terok-shield/audit";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { readLiveSets } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import type { ContainerName } from "../container-name.ts";
import { findContainerRun } from "./container-run.ts";
import {
  COUNTED,
  type LogEnd,
  lifecycleBack,
  namesBack,
  OwnQuestions,
  packetsBack,
} from "./event-source-backward.ts";
import { openLog } from "./event-source-files.ts";
import { LogFollower } from "./event-source-follower.ts";
import { type FindName, namesOfHosts, namesOfRuns } from "./event-source-names.ts";
import { readTextFile } from "./files.ts";
import { listHelperProcesses } from "./helper-processes.ts";
import type { Host } from "./host.ts";
import { CommandFailedError } from "./run-command.ts";
import { runNft } from "./running-container.ts";

export interface EventQuery {
  /** Names are logged by the second: of the present run, all of that second are given. */
  readonly since?: Date;
  readonly until?: Date;
  /** The newest so many of those that are wanted; at most `MOST_EVENTS`. */
  readonly last?: number;
  readonly isWanted?: (event: ShieldEvent) => boolean;
}

/** What one answer holds at most. */
const MOST_EVENTS = 200_000;

/**
 * The events of a container, oldest first, in one order in time. Reads the logs from their ends and no further back than
 * it takes; none when there are no logs.
 */
export async function readEvents(
  { places }: Pick<Host, "places">,
  container: ContainerName,
  query: EventQuery,
): Promise<ShieldEvent[]> {
  const logs = await openLogs(bundleDirectory(places, container));
  try {
    return await collect(logs, container, query);
  } finally {
    await logs.close();
  }
}

async function collect(
  logs: ContainerLogs,
  container: ContainerName,
  { since, until, last = MOST_EVENTS, isWanted = () => true }: EventQuery,
): Promise<ShieldEvent[]> {
  const count = Math.min(last, MOST_EVENTS);
  const newestFirst: ShieldEvent[] = [];
  if (count <= 0) return [];
  const start = since?.getTime() ?? Number.NEGATIVE_INFINITY;
  const sources = [
    backTo(start, lifecycleBack(logs.lifecycle)),
    backTo(Math.floor(start / 1000) * 1000, namesBack(logs.names, container)),
    backTo(start, namesBack(logs.namesBefore, container)),
    backTo(start, packetsBack(logs.packets, container)),
  ];
  for await (const { time, event } of mergeNewestFirst(sources)) {
    if (until !== undefined && time > until.getTime()) continue;
    const named = await withName(event, time, logs.findName);
    if (isWanted(named)) newestFirst.push(named);
    if (newestFirst.length >= count) break;
  }
  return newestFirst.reverse();
}

/** Of a source that goes back in time, what is no older than `start`, in milliseconds since 1970. */
async function* backTo(start: number, steps: AsyncGenerator<StepBack, void>): AsyncGenerator<StepBack, void> {
  for await (const step of steps) {
    if (step.time < start) return;
    yield step;
  }
}

async function withName(event: ShieldEvent, time: number, findName: FindName): Promise<ShieldEvent> {
  if (event.action !== "packet") return event;
  const name = await findName(event.address, time);
  return name === undefined ? event : { ...event, name };
}

interface ContainerLogs {
  readonly lifecycle: readonly LogEnd[];
  readonly packets: readonly LogEnd[];
  /** What dnsmasq wrote in the last run of the container. */
  readonly names: readonly LogEnd[];
  /** The same of the run before. */
  readonly namesBefore: readonly LogEnd[];
  readonly findName: FindName;
  close(): Promise<void>;
}

/** Ends of logs that somebody follows from there, by inode. */
type KnownEnds = ReadonlyMap<number, number>;

async function openLogs(bundle: string, knownEnds: KnownEnds = new Map()): Promise<ContainerLogs> {
  const opened: LogEnd[] = [];
  const openAll = async (...files: (keyof typeof BUNDLE_FILE)[]): Promise<LogEnd[]> => {
    const ends: LogEnd[] = [];
    for (const file of files) {
      const log = await openLog(`${bundle}/${BUNDLE_FILE[file]}`);
      if (log === undefined) continue;
      // It was renamed between two looks, and is the one before.
      if (ends.some((end) => end.log.inode === log.inode)) await log.close();
      else ends.push({ log, end: knownEnds.get(log.inode) });
    }
    opened.push(...ends);
    return ends;
  };
  const lifecycle = await openAll("audit");
  const packets = await openAll("packetLog", "rotatedPacketLog");
  const names = await openAll("dnsmasqLog", "rotatedDnsmasqLog");
  const namesBefore = await openAll("earlierDnsmasqLog", "earlierRotatedDnsmasqLog");
  const findName = hasResolver(bundle) ? namesOfRuns([names, namesBefore]) : namesOfHosts(bundle);
  return {
    lifecycle,
    packets,
    names,
    namesBefore,
    findName,
    close: async () => {
      for (const { log } of opened) await log.close();
    },
  };
}

/** False in a static tier, whose names stand in the hosts file. */
function hasResolver(bundle: string): boolean {
  try {
    const { tier } = JSON.parse(readTextFile(`${bundle}/${BUNDLE_FILE.state}`) ?? "{}");
    return tier !== "dig" && tier !== "getent";
  } catch {
    return true;
  }
}

/** How long to wait for word of a change before looking anyway, for the run's end too. */
const LONGEST_PAUSE_MILLISECONDS = 1000;
/** Between two looks, so that a flood is read in large pieces. */
const SHORTEST_PAUSE_MILLISECONDS = 50;
/** From the end of a run to that of what writes its logs. */
const PATIENCE_MILLISECONDS = 3000;

/**
 * Yields what comes after now, or after `since`, until `signal` aborts or the container's present run is over; its last
 * events come still. A container that does not run has no more to come.
 */
export async function* followEvents(
  { places }: Pick<Host, "places">,
  container: ContainerName,
  { signal, since }: { readonly signal: AbortSignal; readonly since?: Date },
): AsyncGenerator<ShieldEvent, void> {
  const bundle = bundleDirectory(places, container);
  const live = new LiveEvents(bundle, container);
  const changes = watchDirectory(bundle);
  try {
    const run = findRun(bundle, container);
    const knownEnds = await live.start();
    if (since !== undefined) yield* await readUpTo(bundle, container, { since }, knownEnds);
    while (!signal.aborted) {
      const isOver = run === undefined || findRun(bundle, container) !== run;
      if (isOver) await awaitWriters(bundle);
      for await (const events of live.read()) yield* events;
      if (isOver) return;
      await changes.next(signal);
    }
  } finally {
    changes.close();
    await live.close();
  }
}

async function readUpTo(
  bundle: string,
  container: ContainerName,
  query: EventQuery,
  knownEnds: KnownEnds,
): Promise<ShieldEvent[]> {
  const logs = await openLogs(bundle, knownEnds);
  try {
    return await collect(logs, container, query);
  } finally {
    await logs.close();
  }
}

/** The container's present run, by what no other has. */
function findRun(bundle: string, container: ContainerName): string | undefined {
  const found = findContainerRun(bundle, container);
  if (found.kind !== "running") return undefined;
  const { containerId, pid, startTime } = found.record;
  return `${containerId} ${pid} ${startTime}`;
}

/** What writes the logs is ended after the container. */
async function awaitWriters(bundle: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  const isWriting = () =>
    listHelperProcesses().some(
      ({ bundle: its, kind }) => its === bundle && (kind === "ulogd" || kind === "keeper"),
    );
  while (isWriting() && performance.now() < deadline) await delay(SHORTEST_PAUSE_MILLISECONDS);
}

/** What the logs of a container get from now on. */
class LiveEvents {
  readonly #container: ContainerName;
  readonly #bundle: string;
  readonly #lifecycle: LogFollower;
  readonly #packets: LogFollower;
  readonly #resolver: LogFollower;
  readonly #queries = new QueryReader();
  readonly #own = new OwnQuestions();
  /** Answers since we follow. */
  readonly #names = new Map<string, string>();
  #logs: ContainerLogs | undefined;

  constructor(bundle: string, container: ContainerName) {
    this.#bundle = bundle;
    this.#container = container;
    this.#lifecycle = new LogFollower(`${bundle}/${BUNDLE_FILE.audit}`);
    this.#packets = new LogFollower(`${bundle}/${BUNDLE_FILE.packetLog}`);
    this.#resolver = new LogFollower(`${bundle}/${BUNDLE_FILE.dnsmasqLog}`);
  }

  async start(): Promise<KnownEnds> {
    const ends = new Map<number, number>();
    const skip = async (follower: LogFollower): Promise<readonly string[]> => {
      const skipped = await follower.skipToEnd();
      if (skipped !== undefined) ends.set(skipped.inode, skipped.end);
      return skipped?.lines ?? [];
    };
    await skip(this.#lifecycle);
    await skip(this.#packets);
    // What becomes of a query that was asked just now is still to come.
    for (const line of await skip(this.#resolver)) this.#readResolverLine(line);
    this.#logs = await openLogs(this.#bundle, ends);
    return ends;
  }

  /** What has come since, a part at a time, each in its order in time. */
  async *read(): AsyncGenerator<ShieldEvent[], void> {
    for await (const lines of this.#lifecycle.read()) {
      yield lines.map(parseAuditLine).filter((event) => event !== undefined);
    }
    // Of the packets that were there before dnsmasq's log was read, the names are known.
    const packets: ShieldEvent[] = [];
    for await (const lines of this.#packets.read()) {
      packets.push(...lines.flatMap((line) => this.#readPacketLine(line)));
      if (packets.length >= MOST_EVENTS) break;
    }
    const names: ShieldEvent[] = [];
    for await (const lines of this.#resolver.read()) {
      names.push(...lines.flatMap((line) => this.#readResolverLine(line)));
      if (names.length >= MOST_EVENTS) break;
    }
    const named = await Promise.all(packets.map((event) => this.#withName(event)));
    yield [...names, ...named].sort(byTime);
  }

  async close(): Promise<void> {
    for (const log of [this.#lifecycle, this.#packets, this.#resolver, this.#logs]) await log?.close();
  }

  #readPacketLine(line: string): ShieldEvent[] {
    const snapshot = parseCounterLine(line);
    const event =
      snapshot === undefined
        ? parsePacketLine(line, this.#container)
        : findLeftOut(snapshot, this.#container, COUNTED);
    return event === undefined ? [] : [event];
  }

  #readResolverLine(text: string): ShieldEvent[] {
    const line = parseResolverLine(text);
    const query = line === undefined ? undefined : this.#queries.read(line);
    if (line === undefined || query === undefined) return [];
    if (query.address !== undefined) {
      this.#names.set(query.address, cleanName(query.name));
      return [];
    }
    const isOwn = this.#own.has(query);
    const time = resolveClock(line.clock, Date.now());
    if (time === undefined || isOwn) return [];
    return [nameEvent(query, new Date(time).toISOString(), this.#container)];
  }

  async #withName(event: ShieldEvent): Promise<ShieldEvent> {
    if (event.action !== "packet") return event;
    const name = this.#names.get(event.address);
    if (name !== undefined) return { ...event, name };
    return this.#logs === undefined ? event : withName(event, Date.parse(event.ts), this.#logs.findName);
  }
}

function byTime(left: ShieldEvent, right: ShieldEvent): number {
  return left.ts < right.ts ? -1 : left.ts > right.ts ? 1 : 0;
}

/** Word of changes in a directory. Where the system has no more watches to give, only time passes. */
function watchDirectory(directory: string) {
  let wake = () => {};
  let hasChanged = false;
  const onChange = () => {
    hasChanged = true;
    wake();
  };
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    watcher = watch(directory, { persistent: false }, onChange);
    watcher.on("error", () => {});
  } catch {
    // It is looked at once a second all the same.
  }
  return {
    /** Resolves when something has changed since the last call, or a second is over, or on `signal`. */
    next: async (signal: AbortSignal): Promise<void> => {
      if (!hasChanged && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(finish, LONGEST_PAUSE_MILLISECONDS);
          function finish(): void {
            clearTimeout(timer);
            signal.removeEventListener("abort", finish);
            resolve();
          }
          wake = finish;
          signal.addEventListener("abort", finish, { once: true });
        });
      }
      hasChanged = false;
      await delay(SHORTEST_PAUSE_MILLISECONDS, undefined, { signal }).catch(() => {});
    },
    close: () => watcher?.close(),
  };
}

export interface ShieldCounters {
  readonly at: Date;
  readonly isLive: boolean;
  /** By the names that they have in the ruleset: allowed, bypassed, refused_blocked, …, and logged_… of each. */
  readonly counters: Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;
}

/** The counters of the running container, or those that were written down last. */
export async function readCounters(
  host: Host,
  container: ContainerName,
): Promise<ShieldCounters | undefined> {
  const found = findContainerRun(bundleDirectory(host.places, container), container);
  if (found.kind === "running") {
    try {
      // Without elements: other lists read every set, however large.
      const listing = await runNft(host, found.record, ["-j", "--terse", "list", "ruleset"]);
      return { at: host.now(), isLive: true, counters: readLiveSets(listing).counters };
    } catch (cause) {
      // There may be no table, or the container has just ended.
      if (!(cause instanceof CommandFailedError)) throw cause;
    }
  }
  for await (const snapshot of snapshotsBack(host, container)) return snapshot;
  return undefined;
}

/** The counters as they were written down over time, oldest first, over all runs that the log still has. */
export async function readCounterHistory(host: Host, container: ContainerName): Promise<ShieldCounters[]> {
  const newestFirst: ShieldCounters[] = [];
  for await (const snapshot of snapshotsBack(host, container)) newestFirst.push(snapshot);
  return newestFirst.reverse();
}

async function* snapshotsBack(
  { places }: Pick<Host, "places">,
  container: ContainerName,
): AsyncGenerator<ShieldCounters, void> {
  const logs = await openLogs(bundleDirectory(places, container));
  try {
    for (const { log } of logs.packets) {
      for await (const lines of linesFromEnd(log)) {
        for (const line of lines) {
          const snapshot = parseCounterLine(line);
          if (snapshot === undefined) continue;
          yield { at: new Date(snapshot.ts), isLive: false, counters: snapshot.counters };
        }
      }
    }
  } finally {
    await logs.close();
  }
}
