/** Exit codes of the command line. `run` passes the container's own code instead. */
export const EXIT = { done: 0, failed: 1, usage: 2, unprotected: 3 } as const;

export type ShieldErrorCode = "failed" | "usage";

/** A fault that its user can mend: one sentence, what to do about it, and what lies beneath. */
export class ShieldError extends Error {
  readonly code: ShieldErrorCode;

  constructor(message: string, options: { code?: ShieldErrorCode; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code ?? "failed";
  }
}
