import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Lab } from "./lab.ts";
import { until } from "./until.ts";

/** What came of an attempt: "answered", "silence", "no such name", or the name of the error, as EPERM. */
export type Outcome = string;

/** A connection that a client holds open. */
export interface Flow {
  /** How often the other side was heard, and what ended the flow, if something did. */
  state(): Promise<FlowState>;
  /** Says something on an idle one, and hears it again. */
  say(): Promise<Outcome>;
  /** Waits until it has been heard some more. */
  goesOn(): Promise<void>;
  /** Waits for its end. */
  ended(
    timeoutMs?: number,
  ): Promise<{ readonly reason: Outcome /** As `monotonicSeconds`. */; readonly at: number }>;
  close(): Promise<void>;
}

interface FlowState {
  readonly heard: number;
  readonly ended: Outcome | null;
  readonly endedAt: number | null;
}

/** Attempts that follow each other without end. */
export interface Loop {
  /** How often each target ended in what. */
  stop(): Promise<Readonly<Record<string, Readonly<Record<Outcome, number>>>>>;
}

/** A process that does as it is told; without the cost of a `podman exec` for each thing. */
export interface Client {
  /** Each target, `tcp,HOST,PORT` or another of connect-probe.py, once and all at once. */
  attempt(...targets: readonly string[]): Promise<Outcome[]>;
  /** The addresses that the container finds for a name. */
  resolve(name: string): Promise<string[]>;
  /** "stream" hears an HTTP response that never ends, "echo" talks all the time, "idle" only when told to. */
  open(kind: "stream" | "echo" | "idle", target: string): Promise<Flow>;
  loop(targets: readonly string[], pauseSeconds?: number): Promise<Loop>;
  end(): Promise<void>;
}

/** The clock of the ends of flows. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** Starts one in a container, or on the host when no container is named. */
export async function startClient(lab: Lab, container?: string): Promise<Client> {
  const program = await Promise.all(
    ["connect-probe.py", "client.py"].map((name) => readFile(new URL(name, import.meta.url), "utf8")),
  );
  const python = ["python3", "-c", program.join("\n")];
  const enter = container === undefined ? [] : ["podman", "exec", "--interactive", container];
  const [file = "", ...args] = [...enter, ...python];
  const running = await lab.user.spawn(file, args);
  const waiting = new Map<number, (value: unknown) => void>();
  const ready = new Promise((resolve) => waiting.set(0, resolve));
  createInterface(running.stdout).on("line", (line) => {
    const { id, value } = JSON.parse(line) as { id: number; value: unknown };
    waiting.get(id)?.(value);
    waiting.delete(id);
  });
  const ended = running.finished.then((): never => {
    throw new Error(`The client in ${container ?? "the host"} ended: ${running.output().slice(-2000)}`);
  });
  ended.catch(() => {});
  await Promise.race([ready, ended]);

  let lastId = 0;
  async function ask<Answer>(verb: string, options: object): Promise<Answer> {
    const id = ++lastId;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    running.stdin.write(`${JSON.stringify([id, verb, options])}\n`);
    return (await Promise.race([answer, ended])) as Answer;
  }

  return {
    attempt: (...targets) => ask("attempt", { targets }),
    resolve: (name) => ask("resolve", { name }),
    async open(kind, target) {
      const id = ++lastId;
      const outcome = await ask<Outcome>("open", { id, kind, target });
      if (outcome !== "answered") throw new Error(`${target} cannot be opened: ${outcome}`);
      const state = () => ask<FlowState>("state", { id });
      return {
        state,
        say: () => ask("say", { id }),
        close: () => ask("close", { id }),
        async goesOn() {
          const { heard } = await state();
          await until(`${target} is heard again`, async () => {
            const now = await state();
            if (now.ended !== null) throw new Error(`${target} ended: ${now.ended}`);
            return now.heard > heard;
          });
        },
        async ended(timeoutMs) {
          await until(`${target} has ended`, async () => (await state()).ended !== null, timeoutMs);
          const { ended: reason, endedAt } = await state();
          return { reason: reason ?? "", at: endedAt ?? 0 };
        },
      };
    },
    async loop(targets, pause = 0) {
      const id = ++lastId;
      await ask("loop", { id, targets, pause });
      return { stop: () => ask("stop", { id }) };
    },
    async end() {
      running.stdin.end();
      await running.finished;
    },
  };
}
