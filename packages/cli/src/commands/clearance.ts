import { isRefused } from "@terok-shield/audit";
import { renderEntry } from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import {
  CHOICES,
  type Effect,
  findDecision,
  type Input,
  openClearance,
  refuseOutdated,
  type Status,
  stepClearance,
} from "../clearance.ts";
import { planNotice } from "../clearance-notice.ts";
import { describeRefusal } from "../clearance-refusal.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { Decision } from "../decision.ts";
import { withoutExpired } from "../expiry.ts";
import { listBundles } from "../host/bundles.ts";
import type { KeyTerminal, TerminalListener } from "../host/clearance-terminal.ts";
import { findContainerRun } from "../host/container-run.ts";
import { followEvents } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import type { Notifier } from "../host/notifier.ts";
import { secondsSinceStart } from "../host/run-start.ts";
import { runIdOf } from "../lease.ts";
import { renderClearance } from "../print/clearance.ts";
import { renderDecision } from "../print/decision.ts";
import { ShieldError } from "../shield-error.ts";
import { readContainerState } from "./read-state.ts";

export interface ClearanceRequest {
  /** By name; none: all that run, and those that start later. */
  readonly containers: readonly string[];
  readonly openTerminal: (listener: TerminalListener) => KeyTerminal;
  readonly notifier: Notifier | undefined;
  readonly signal: AbortSignal;
}

/** What was refused so long before the prompt was opened is asked about, too. */
const LOOK_BACK_MILLISECONDS = 10 * 60_000;
/** How often containers that have started are looked after. */
const TICK_MILLISECONDS = 1000;
const PICTURE_MILLISECONDS = 50;
const FLOOD_PART = 200;
/** Between two notices. */
const NOTICE_MILLISECONDS = 5000;

/**
 * Asks the operator about each destination that containers are refused, until he leaves, `signal` aborts, or none of
 * the containers runs any more.
 * @returns what was decided, a line each.
 * @throws ShieldError when a container named is unknown or does not run, or there is no terminal.
 */
export async function clearance(host: Host, request: ClearanceRequest): Promise<string[]> {
  const named = [...new Set(request.containers.map(parseContainerName))];
  for (const container of named) readContainerState(host, container);
  const runs = await findRuns(host, named);
  const missing = named.find((container) => !runs.has(container));
  if (missing !== undefined) {
    throw new ShieldError(`The container ${missing} does not run, so nothing waits for a verdict.`);
  }
  if (runs.size === 0) throw new ShieldError("No shielded container runs, so nothing waits for a verdict.");
  return new Prompt(host, named, request).run();
}

interface Run {
  /** As `runIdOf` names it. */
  readonly run: string;
  readonly startTime: string;
}

interface Following extends Run {
  readonly stop: AbortController;
}

/** Carries inputs to the state and its effects out. */
class Prompt {
  readonly #host: Host;
  readonly #named: readonly ContainerName[];
  readonly #notifier: Notifier | undefined;
  readonly #terminal: KeyTerminal;
  readonly #stop = new AbortController();
  readonly #following = new Map<ContainerName, Following>();
  readonly #decided: string[] = [];
  #state: ReturnType<typeof openClearance>;
  #applying: Promise<void> = Promise.resolve();
  #picture: NodeJS.Timeout | undefined;
  #told: ReadonlySet<string> = new Set();
  #nextNotice = 0;
  #isNotifying = false;
  #failure: unknown;

  constructor(host: Host, named: readonly ContainerName[], request: ClearanceRequest) {
    this.#host = host;
    this.#named = named;
    this.#notifier = request.notifier;
    this.#terminal = request.openTerminal({
      onKey: (key) => this.#take({ kind: "key", key, at: performance.now() }),
      onResize: () => this.#take({ kind: "resized", size: this.#terminal.size() }),
      onGone: () => this.#stop.abort(),
    });
    this.#state = openClearance(this.#terminal.size());
    request.signal.addEventListener("abort", () => this.#stop.abort());
    if (request.signal.aborted) this.#stop.abort();
  }

  async run(): Promise<string[]> {
    try {
      this.#paint();
      while (!this.#stop.signal.aborted) {
        const runs = await findRuns(this.#host, this.#named);
        this.#followAll(runs);
        if (this.#following.size === 0) {
          this.#decided.push("None of the containers runs any more.");
          break;
        }
        this.#notify();
        await pause(TICK_MILLISECONDS, this.#stop.signal);
      }
      this.#stop.abort();
      // A verdict that was given is carried out.
      await this.#applying;
    } finally {
      this.#stop.abort();
      clearTimeout(this.#picture);
      this.#terminal.close();
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#decided;
  }

  #take(input: Input): void {
    if (this.#stop.signal.aborted && input.kind !== "applied") return;
    const { state, effect } = stepClearance(this.#state, input);
    if (state === this.#state && effect === undefined) return;
    this.#state = state;
    this.#picture ??= setTimeout(() => this.#paint(), PICTURE_MILLISECONDS);
    if (effect?.kind === "quit") this.#stop.abort();
    if (effect?.kind === "decide") this.#applying = this.#apply(effect);
    if (input.kind === "refused") this.#notify();
  }

  #paint(): void {
    this.#picture = undefined;
    this.#terminal.paint(renderClearance(this.#state).lines);
  }

  #followAll(runs: ReadonlyMap<ContainerName, Run>): void {
    for (const [container, { run, stop }] of this.#following) {
      if (runs.get(container)?.run === run) continue;
      stop.abort();
      this.#following.delete(container);
      this.#take({ kind: "ended", container, run });
    }
    for (const [container, found] of runs) {
      if (this.#following.has(container)) continue;
      const stop = new AbortController();
      this.#stop.signal.addEventListener("abort", () => stop.abort(), { signal: stop.signal });
      const following = { ...found, stop };
      this.#following.set(container, following);
      this.#follow(container, following).catch((cause) => {
        // Whoever is asked must not believe that he is asked about everything.
        this.#failure = cause;
        this.#stop.abort();
      });
    }
  }

  async #follow(container: ContainerName, { run, startTime, stop: { signal } }: Following): Promise<void> {
    // What the run before was refused is not asked about as if it were of this one.
    const age = Math.min((await secondsSinceStart(startTime)) * 1000, LOOK_BACK_MILLISECONDS);
    const since = new Date(this.#host.now().getTime() - age);
    let decisions = this.#readDecisions(container, run);
    let count = 0;
    for await (const event of followEvents(this.#host, container, { signal, since })) {
      if (signal.aborted) return;
      // Keys are read between the parts of a flood.
      if (++count % FLOOD_PART === 0) await new Promise((resolve) => setImmediate(resolve));
      if (event.action === "packet" || event.action === "name" || event.action === "sampled") {
        if (!isRefused(event)) continue;
        const refusal = describeRefusal(event);
        if (refusal === undefined) continue;
        if (refusal.entry !== undefined && findDecision(refusal.entry, decisions) !== undefined) continue;
        this.#take({ kind: "refused", refusal, run, at: performance.now() });
      } else {
        decisions = this.#readDecisions(container, run);
        this.#take({ kind: "decisions", container, decisions, at: performance.now() });
      }
    }
  }

  #readDecisions(container: ContainerName, run: string): readonly Decision[] {
    const state = readContainerState(this.#host, container);
    return withoutExpired(state, this.#host.moment(), run).decisions;
  }

  async #apply({ row, choice }: Extract<Effect, { kind: "decide" }>): Promise<void> {
    const { verdict } = CHOICES[choice];
    const status = await this.#decide(row, choice).catch((cause): Status => {
      return { text: `${verdict} ${renderEntry(row.entry)}: ${(cause as Error).message}`, tone: "bad" };
    });
    if (status.tone === "good") this.#decided.push(status.text);
    this.#take({ kind: "applied", id: row.id, status, at: performance.now() });
  }

  async #decide({ container, entry, ...row }: DecidableRow, choice: keyof typeof CHOICES): Promise<Status> {
    // The same functions as the commands of that name, so that a verdict is worth the same wherever it is given.
    const commands = await import("./allow-deny.ts");
    const { verdict, seconds } = CHOICES[choice];
    const { until, ...report } = await commands[verdict](this.#host, {
      container,
      targets: [renderEntry(entry)],
      ...(seconds === undefined ? {} : { seconds }),
      check: ({ decisions }, context) =>
        refuseOutdated({ ...row, container, entry }, { run: context.run, decisions }),
    });
    const shown = choice === "once" || until === undefined ? report : { ...report, until };
    const text = renderDecision(shown, this.#host.now()).trimEnd();
    const end = choice === "once" ? " until it restarts" : "";
    const notes = report.notes.map((note) => ` (${note})`).join("");
    return { text: `${text}${end}${notes}`, tone: "good" };
  }

  /** One notice at a time, and none soon after the last: what comes meanwhile is told of together. */
  #notify(): void {
    const notifier = this.#notifier;
    if (notifier === undefined || this.#isNotifying || performance.now() < this.#nextNotice) return;
    const { rows } = this.#state;
    const notice = planNotice(rows, this.#told);
    if (notice === undefined) return;
    this.#told = new Set(rows.map(({ id }) => id));
    this.#nextNotice = performance.now() + NOTICE_MILLISECONDS;
    this.#isNotifying = true;
    void notifier(notice, this.#stop.signal).then((choice) => {
      this.#isNotifying = false;
      if (choice === undefined || notice.about === undefined) return;
      this.#take({ kind: "chosen", id: notice.about, choice, at: performance.now() });
    });
  }
}

type DecidableRow = Extract<Effect, { kind: "decide" }>["row"];

/** The containers that run, and which run it is. */
async function findRuns(
  { places }: Host,
  named: readonly ContainerName[],
): Promise<ReadonlyMap<ContainerName, Run>> {
  const containers = named.length > 0 ? named : await listBundles(places);
  const runs = new Map<ContainerName, Run>();
  for (const container of containers) {
    const found = findContainerRun(bundleDirectory(places, container), container);
    if (found.kind !== "running") continue;
    runs.set(container, { run: runIdOf(found.record), startTime: found.record.startTime });
  }
  return runs;
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
