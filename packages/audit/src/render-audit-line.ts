import { type AuditEvent, auditEventSchema } from "./audit-event.ts";

/** The most bytes of a line, its newline included: one write that no other writer's line can cut in two. */
export const MAXIMUM_LINE_BYTES = 4096;

/** How much of each text and list to keep, in bytes of the line and in items, until the line is short enough. */
const LIMITS = [
  { bytes: 1024, items: 64 },
  { bytes: 512, items: 32 },
  { bytes: 256, items: 16 },
  { bytes: 128, items: 8 },
  { bytes: 64, items: 4 },
  { bytes: 32, items: 2 },
] as const;

type Limit = (typeof LIMITS)[number];

const CUT = "...";

/**
 * Renders one line of audit.jsonl, in ASCII: whatever a name or message holds, a terminal that shows the raw
 * file obeys none of it. Fields too long for the line are cut, end in "...", and are named in `truncated`.
 * @throws Error when the event is none, which is a fault of the caller.
 */
export function renderAuditLine(event: AuditEvent): string {
  const known = auditEventSchema.parse(event, { jitless: true });
  const whole = renderLine(known);
  if (whole.length <= MAXIMUM_LINE_BYTES) return whole;
  const line = LIMITS.map((limit) => renderLine(cutFields(known, limit))).find(
    ({ length }) => length <= MAXIMUM_LINE_BYTES,
  );
  if (line === undefined) throw new Error("an audit event has more fields than a line can hold");
  return line;
}

/** Strings of ASCII have as many bytes as characters. */
function renderLine(event: object): string {
  return `${asciiJson(event)}\n`;
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cutFields({ truncated: _, ...fields }: AuditEvent, limit: Limit): object {
  const cut = Object.entries(fields).map(([key, value]) => [key, cutValue(value, limit)] as const);
  const truncated = cut.filter(
    ([key, value]) => asciiJson(value) !== asciiJson(fields[key as keyof typeof fields]),
  );
  return { ...Object.fromEntries(cut), truncated: truncated.map(([key]) => key) };
}

function cutValue(value: unknown, limit: Limit): unknown {
  if (typeof value === "string") return cutText(value, limit.bytes);
  return Array.isArray(value) ? value.slice(0, limit.items).map((item) => cutValue(item, limit)) : value;
}

/** Keeps whole characters whose escapes fit into `bytes`. */
function cutText(text: string, bytes: number): string {
  if (asciiJson(text).length <= bytes) return text;
  let kept = "";
  let length = CUT.length + 2;
  for (const character of text) {
    length += asciiJson(character).length - 2;
    if (length > bytes) break;
    kept += character;
  }
  return kept + CUT;
}
