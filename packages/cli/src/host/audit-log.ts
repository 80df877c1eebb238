import { open } from "node:fs/promises";
import { type AuditEvent, parseAuditLine, renderAuditLine, tailLines } from "@terok-shield/audit";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { appendLine } from "./files.ts";

/** Appends events to the audit log of a container's bundle. */
export async function appendAuditEvents(bundle: string, events: readonly AuditEvent[]): Promise<void> {
  for (const event of events) await appendLine(`${bundle}/${BUNDLE_FILE.audit}`, renderAuditLine(event));
}

/** The newest `count` events, oldest first; none when there is no log. */
export async function readAuditEvents(bundle: string, count: number): Promise<AuditEvent[]> {
  const file = await open(`${bundle}/${BUNDLE_FILE.audit}`).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });
  if (file === undefined) return [];
  try {
    const lines = await tailLines(
      {
        size: async () => (await file.stat()).size,
        read: async (offset, length) => {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
          return buffer.subarray(0, bytesRead);
        },
      },
      count,
    );
    return lines.map(parseAuditLine).filter((event) => event !== undefined);
  } finally {
    await file.close();
  }
}
