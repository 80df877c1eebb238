import type { AuditEvent } from "./audit-event.ts";

/**
 * Renders an event as one line to read: `TIME  CONTAINER  ACTION  DETAIL  [FIELD VALUE; …]`. Characters that
 * a terminal obeys, hides or reorders are shown as escapes.
 */
export function renderAuditEventForHumans({
  v: _,
  ts,
  container,
  action,
  detail,
  ...extras
}: AuditEvent): string {
  const fields = Object.entries(extras)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(", ") : value}`);
  const parts = [ts, container, action, detail, ...(fields.length === 0 ? [] : [`[${fields.join("; ")}]`])];
  return parts
    .filter((part) => part !== "")
    .map(escapeHidden)
    .join("  ");
}

function escapeHidden(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
