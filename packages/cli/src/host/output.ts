import { once } from "node:events";

/** Where a command that goes on writes its lines. */
export interface Output {
  readonly isTerminal: boolean;
  /** Of the terminal, now. */
  readonly columns: () => number;
  /** Comes back when there is room for more. */
  readonly write: (text: string) => Promise<void>;
}

const USUAL_COLUMNS = 80;

/** Standard output. */
export function openOutput(): Output {
  const { stdout } = process;
  return {
    isTerminal: stdout.isTTY === true,
    columns: () => stdout.columns ?? USUAL_COLUMNS,
    write: async (text) => {
      if (!stdout.write(text)) await once(stdout, "drain");
    },
  };
}

/** For what waits for a reader that reads no more: it is not waited for longer. */
const PATIENCE_MILLISECONDS = 2000;

/** Aborts at the first INT or TERM, and ends the process when what it does then takes too long; a second signal ends it at once. */
export function untilStopped(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      setTimeout(() => process.exit(), PATIENCE_MILLISECONDS).unref();
      stop.abort();
    });
  }
  return stop.signal;
}
