import { type OpenLog, openLog } from "./event-source-files.ts";

const CHUNK_BYTES = 256 * 1024;
/** Nobody of ours writes longer ones. */
const MAXIMUM_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface SkippedLog {
  readonly inode: number;
  /** In bytes: the beginning of a line that is being written. */
  readonly end: number;
  /** The last before that; the first of them may be torn. */
  readonly lines: readonly string[];
}

/**
 * Reads what is appended to a log, line by line, also while it is renamed and begun anew, cut off, or not there yet.
 * What a rename leaves unread is read to its end.
 */
export class LogFollower {
  readonly #path: string;
  #log: OpenLog | undefined;
  #offset = 0;
  #partial: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Goes to the present end of the log. */
  async skipToEnd(): Promise<SkippedLog | undefined> {
    this.#log = await openLog(this.#path);
    if (this.#log === undefined) return undefined;
    const size = await this.#log.size();
    const from = Math.max(0, size - MAXIMUM_LINE_BYTES);
    const tail = Buffer.from(await this.#log.read(from, size - from));
    const lastNewline = tail.lastIndexOf(NEWLINE);
    this.#offset = lastNewline < 0 ? (from === 0 ? 0 : size) : from + lastNewline + 1;
    const lines = tail
      .subarray(0, this.#offset - from)
      .toString("utf8")
      .split("\n");
    return { inode: this.#log.inode, end: this.#offset, lines };
  }

  /** The lines that were finished since, a chunk's worth at a time. */
  async *read(): AsyncGenerator<string[], void> {
    this.#log ??= await openLog(this.#path);
    if (this.#log === undefined) return;
    yield* this.#readToEnd(this.#log);
    const next = await openLog(this.#path);
    if (next === undefined) return;
    if (next.inode === this.#log.inode) return next.close();
    // Whoever wrote to it between our look and the rename.
    yield* this.#readToEnd(this.#log);
    await this.#log.close();
    this.#log = next;
    this.#startAnew();
    yield* this.#readToEnd(next);
  }

  async close(): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
  }

  async *#readToEnd(log: OpenLog): AsyncGenerator<string[], void> {
    if ((await log.size()) < this.#offset) this.#startAnew();
    for (;;) {
      const chunk = await log.read(this.#offset, CHUNK_BYTES);
      if (chunk.length === 0) return;
      this.#offset += chunk.length;
      const bytes = Buffer.concat([this.#partial, chunk]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      this.#partial = bytes.subarray(end);
      if (this.#partial.length > MAXIMUM_LINE_BYTES) this.#partial = Buffer.alloc(0);
      if (end > 0)
        yield bytes
          .subarray(0, end - 1)
          .toString("utf8")
          .split("\n");
    }
  }

  #startAnew(): void {
    this.#offset = 0;
    this.#partial = Buffer.alloc(0);
  }
}
