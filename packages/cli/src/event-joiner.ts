import type { ShieldEvent } from "@terok-shield/audit";
import { describeQuery } from "./print/event.ts";

/** What to print: a new line, or the last line anew with another count. */
export interface JoinedLine {
  readonly kind: "add" | "replace";
  readonly event: ShieldEvent;
  /** Of events that the line stands for. */
  readonly count: number;
}

interface Joined {
  /** The newest. */
  event: ShieldEvent;
  /** That no line has shown yet. */
  waiting: number;
  /** That its line shows. */
  shown: number;
  readonly endsAt: number;
}

/** From an event's line to the line of its repeats, where it cannot be replaced. */
export const JOIN_MILLISECONDS = 5000;
/** Of different events; a flood of those is printed. */
const MOST_JOINED = 1000;

/**
 * Joins events that say the same: the first is printed at once. While its line is the last one, repeats are counted in
 * that line, if lines can be replaced; otherwise they are counted, and get one line after `JOIN_MILLISECONDS`.
 * Nothing is lost: the counts add up to the events.
 */
export class EventJoiner {
  readonly #canReplace: boolean;
  readonly #joined = new Map<string, Joined>();
  #last: string | undefined;

  constructor({ canReplace }: { readonly canReplace: boolean }) {
    this.#canReplace = canReplace;
  }

  /** @param now milliseconds of any clock that only goes forward */
  push(event: ShieldEvent, now: number): JoinedLine[] {
    const lines = this.tick(now);
    const key = sameness(event);
    if (key === undefined) {
      this.#last = undefined;
      return [...lines, { kind: "add", event, count: 1 }];
    }
    const joined = this.#joined.get(key);
    if (joined === undefined) {
      if (this.#joined.size >= MOST_JOINED) lines.push(...this.flush());
      this.#joined.set(key, { event, waiting: 0, shown: 1, endsAt: now + JOIN_MILLISECONDS });
      this.#last = key;
      return [...lines, { kind: "add", event, count: 1 }];
    }
    joined.event = event;
    joined.waiting += 1;
    if (!this.#canReplace || this.#last !== key) return lines;
    joined.shown += joined.waiting;
    joined.waiting = 0;
    return [...lines, { kind: "replace", event, count: joined.shown }];
  }

  /** Lines of repeats whose time is over. */
  tick(now: number): JoinedLine[] {
    const lines: JoinedLine[] = [];
    for (const [key, joined] of this.#joined) {
      if (joined.endsAt > now) continue;
      // A line that is still the last one goes on counting.
      if (this.#last === key && this.#canReplace && joined.waiting === 0) continue;
      lines.push(...this.#end(key, joined));
    }
    return lines;
  }

  /** Lines of all repeats that no line has shown yet. */
  flush(): JoinedLine[] {
    return [...this.#joined].flatMap(([key, joined]) => this.#end(key, joined));
  }

  #end(key: string, { event, waiting }: Joined): JoinedLine[] {
    this.#joined.delete(key);
    if (waiting === 0) return [];
    this.#last = undefined;
    return [{ kind: "add", event, count: waiting }];
  }
}

/** Joins events that say the same and follow each other, in the line of the newest. */
export function* joinNeighbours(events: Iterable<ShieldEvent>): Generator<JoinedLine> {
  let joined: (JoinedLine & { readonly key: string | undefined }) | undefined;
  for (const event of events) {
    const key = sameness(event);
    const isRepeat = key !== undefined && joined?.key === key;
    if (joined !== undefined && !isRepeat) yield joined;
    joined = { kind: "add", event, count: isRepeat ? (joined?.count ?? 0) + 1 : 1, key };
  }
  if (joined !== undefined) yield joined;
}

/** The same for events that differ in time alone; undefined for those that stand for themselves. */
function sameness(event: ShieldEvent): string | undefined {
  switch (event.action) {
    case "packet": {
      const { container, verdict, protocol, address, port, name } = event;
      return JSON.stringify([container, verdict, protocol, address, port, name]);
    }
    case "name":
      return JSON.stringify([event.container, event.name, describeQuery(event.queryType)]);
    default:
      return undefined;
  }
}
