import { type FileHandle, open } from "node:fs/promises";
import type { RandomAccessFile } from "@terok-shield/audit";

/** A log that was opened for reading. */
export interface OpenLog extends RandomAccessFile {
  /** When it was last written, in milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Which file it is, whatever name it has by now. */
  readonly inode: number;
  close(): Promise<void>;
}

/** Undefined when there is none. */
export async function openLog(path: string): Promise<OpenLog | undefined> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
  const { mtimeMs, ino } = await file.stat();
  return {
    modifiedAt: mtimeMs,
    inode: ino,
    size: async () => (await file.stat()).size,
    read: async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    },
    close: () => file.close(),
  };
}
