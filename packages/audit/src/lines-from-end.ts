/** A file that can be read from any place. A read past the end gives fewer bytes than asked for, down to none. */
export interface RandomAccessFile {
  size(): Promise<number>;
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface BackwardOptions {
  readonly blockBytes?: number;
  /** Of a longer line only the end is given. */
  readonly maximumLineBytes?: number;
  /** How far back to look, in bytes. The line in which that falls is left out, and all before it. */
  readonly maximumBytes?: number;
  /** Where to begin, in bytes from the start; the file's end unless given. */
  readonly end?: number;
}

const DEFAULT_BLOCK_BYTES = 64 * 1024;
const DEFAULT_MAXIMUM_LINE_BYTES = 64 * 1024;
const DEFAULT_MAXIMUM_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * Reads lines from the end of the file backwards, newest first, a block's worth at a time: the cost is that of the lines
 * that are taken, not of the file. A last line without a newline counts. Bytes that are no UTF-8 become U+FFFD.
 */
export async function* linesFromEnd(
  file: RandomAccessFile,
  {
    blockBytes = DEFAULT_BLOCK_BYTES,
    maximumLineBytes = DEFAULT_MAXIMUM_LINE_BYTES,
    maximumBytes = DEFAULT_MAXIMUM_BYTES,
    end,
  }: BackwardOptions = {},
): AsyncGenerator<string[], void> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const ending = (bytes: Uint8Array): Uint8Array =>
    bytes.subarray(Math.max(0, bytes.length - maximumLineBytes));
  const size = end ?? (await file.size());
  const start = Math.max(0, size - maximumBytes);
  let unfinished: Uint8Array = new Uint8Array();
  let position = size;
  while (position > start) {
    const offset = Math.max(start, position - blockBytes);
    const [first = new Uint8Array(), ...rest] = splitAtNewlines(
      await readFully(file, offset, position - offset),
    );
    const last = rest.pop();
    if (last === undefined) {
      unfinished = ending(join(first, unfinished));
    } else {
      const isAfterFinalNewline = position === size && last.length === 0;
      const finished = isAfterFinalNewline ? rest : [...rest, join(last, unfinished)];
      yield finished.reverse().map((line) => decoder.decode(ending(line)));
      unfinished = ending(first);
    }
    position = offset;
  }
  if (start === 0 && size > 0) yield [decoder.decode(unfinished)];
}

function splitAtNewlines(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
    parts.push(bytes.subarray(from, to));
    from = to + 1;
  }
  return [...parts, bytes.subarray(from)];
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  const joined = new Uint8Array(left.length + right.length);
  joined.set(left);
  joined.set(right, left.length);
  return joined;
}

/** One read may give less than it was asked for. */
async function readFully(file: RandomAccessFile, offset: number, length: number): Promise<Uint8Array> {
  let bytes: Uint8Array = new Uint8Array();
  while (bytes.length < length) {
    const more = await file.read(offset + bytes.length, length - bytes.length);
    if (more.length === 0) break;
    bytes = bytes.length === 0 ? more : join(bytes, more);
  }
  return bytes;
}
