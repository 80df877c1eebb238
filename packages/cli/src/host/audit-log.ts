import { type AuditEvent, renderAuditLine } from "@terok-shield/audit";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { appendLine } from "./files.ts";

/** Appends events to the audit log of a container's bundle. */
export async function appendAuditEvents(bundle: string, events: readonly AuditEvent[]): Promise<void> {
  for (const event of events) await appendLine(`${bundle}/${BUNDLE_FILE.audit}`, renderAuditLine(event));
}
