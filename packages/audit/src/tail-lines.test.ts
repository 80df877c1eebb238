import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BackwardOptions, RandomAccessFile } from "./lines-from-end.ts";
import { tailLines } from "./tail-lines.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A file that remembers how much was read of it, and gives at most `mostBytes` at a time. */
function fileOf(
  bytes: Uint8Array,
  mostBytes = Number.POSITIVE_INFINITY,
): RandomAccessFile & { readBytes: number } {
  return {
    readBytes: 0,
    size: async () => bytes.length,
    async read(offset, length) {
      const part = bytes.slice(offset, offset + Math.min(length, mostBytes));
      this.readBytes += part.length;
      return part;
    },
  };
}

/** The same by reading the whole file. */
function tailByTheBook(
  bytes: Uint8Array,
  count: number,
  { maximumLineBytes = 1e9, maximumBytes = 1e9 }: BackwardOptions,
): string[] {
  const isWhole = bytes.length <= maximumBytes;
  const text = Buffer.from(bytes.subarray(isWhole ? 0 : bytes.length - maximumBytes)).toString("latin1");
  if (text === "") return [];
  const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n").slice(isWhole ? 0 : 1);
  const cut = lines.slice(Math.max(0, lines.length - count)).map((line) => line.slice(-maximumLineBytes));
  return cut.map((line) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(line, "latin1")));
}

test.each([
  ["an empty file", "", 3, []],
  ["one line", "a\n", 3, ["a"]],
  ["a last line without a newline", "a\nb", 3, ["a", "b"]],
  ["fewer lines than there are", "a\nb\nc\n", 2, ["b", "c"]],
  ["no lines", "a\nb\n", 0, []],
  ["only a newline", "\n", 3, [""]],
  ["empty lines", "\n\na\n\n", 9, ["", "", "a", ""]],
  ["characters of several bytes", "ä\n𝄞𝄞\n\ufeffü", 2, ["𝄞𝄞", "\ufeffü"]],
])("reads %s", async (_, text, count, lines) => {
  for (const blockBytes of [1, 2, 3, 7, 1024]) {
    expect(await tailLines(fileOf(encode(text)), count, { blockBytes })).toEqual(lines);
  }
});

test("agrees with reading the whole file, for any content, block and limit", async () => {
  const content = fc
    .array(fc.oneof(fc.constant("\n"), fc.string({ unit: "grapheme", maxLength: 6 })))
    .map((parts) => encode(parts.join("")));
  const bytes = fc.oneof(
    content,
    fc.array(fc.constantFrom(10, 65, 0xc3, 0xa4, 0xff)).map((values) => Uint8Array.from(values)),
  );
  const small = fc.integer({ min: 1, max: 12 });
  await fc.assert(
    fc.asyncProperty(
      bytes,
      fc.nat(8),
      small,
      small,
      fc.nat(40),
      small,
      async (data, count, blockBytes, maximumLineBytes, maximumBytes, mostBytes) => {
        const options = { blockBytes, maximumLineBytes, maximumBytes };
        expect(await tailLines(fileOf(data, mostBytes), count, options)).toEqual(
          tailByTheBook(data, count, options),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

describe("does not read a large file whole", () => {
  test("when it has the lines", async () => {
    const file = fileOf(encode(`${"x".repeat(99)}\n`.repeat(100_000)));
    expect(await tailLines(file, 10)).toHaveLength(10);
    expect(file.readBytes).toBeLessThanOrEqual(64 * 1024);
  });

  test("when it has no newline at all: the size is a gigabyte", async () => {
    const block = new Uint8Array(64 * 1024).fill(65);
    let readBytes = 0;
    const file: RandomAccessFile = {
      size: async () => 1024 ** 3,
      read: async (_, length) => {
        readBytes += length;
        return block.subarray(0, length);
      },
    };
    expect(await tailLines(file, 10, { maximumBytes: 1024 * 1024 })).toEqual([]);
    expect(readBytes).toBe(1024 * 1024);
  });
});

test("gives what is left of a file that shrinks under it", async () => {
  const file: RandomAccessFile = {
    size: async () => 100,
    read: async (offset) => encode("a\nb\n").subarray(offset),
  };
  expect(await tailLines(file, 5, { blockBytes: 100 })).toEqual(["a", "b"]);
});
