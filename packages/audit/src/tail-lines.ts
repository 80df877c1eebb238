import { type BackwardOptions, linesFromEnd, type RandomAccessFile } from "./lines-from-end.ts";

/** Reads the last `count` lines, oldest first. See `linesFromEnd`. */
export async function tailLines(
  file: RandomAccessFile,
  count: number,
  options: BackwardOptions = {},
): Promise<string[]> {
  const newestFirst: string[] = [];
  if (count <= 0) return [];
  for await (const lines of linesFromEnd(file, options)) {
    for (const line of lines) newestFirst.push(line);
    if (newestFirst.length >= count) break;
  }
  return newestFirst.slice(0, count).reverse();
}
