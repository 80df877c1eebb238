export { type AuditEvent, auditEventSchema, parseAuditLine, parseAuditLines } from "./audit-event.ts";
export { renderAuditEventForHumans } from "./render-audit-event-for-humans.ts";
export { MAXIMUM_LINE_BYTES, renderAuditLine } from "./render-audit-line.ts";
export { type RandomAccessFile, type TailOptions, tailLines } from "./tail-lines.ts";
