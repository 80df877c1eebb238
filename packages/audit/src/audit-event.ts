// Each command writes events, so this has to be quick to load: `zod` takes ten times as long.
import * as z from "zod/mini";

const when = {
  v: z.literal(1),
  /** UTC. */
  ts: z.iso.datetime(),
  container: z.string(),
};

const what = {
  /** One sentence for a person. */
  detail: z.string(),
  containerId: z.optional(z.string()),
  reason: z.optional(z.string()),
  /** Names of the fields that were cut for the line to stay short. */
  truncated: z.optional(z.array(z.string())),
};

const aim = {
  /** The name, address or range that the event is about, as the owner wrote it. */
  target: z.optional(z.string()),
  addresses: z.optional(z.array(z.string())),
};

/** What an audit line holds. Fields that it does not know are dropped, so that an older reader takes newer lines. */
export const auditEventSchema = z.discriminatedUnion("action", [
  z.object({
    ...when,
    action: z.literal("setup"),
    ...what,
    profiles: z.optional(z.array(z.string())),
    tier: z.optional(z.enum(["dnsmasq", "dig", "getent"])),
  }),
  z.object({ ...when, action: z.literal("allowed"), ...what, ...aim }),
  z.object({ ...when, action: z.literal("denied"), ...what, ...aim }),
  z.object({ ...when, action: z.literal("shield_up"), ...what }),
  z.object({
    ...when,
    action: z.literal("shield_down"),
    ...what,
    privateRanges: z.optional(z.enum(["closed", "open"])),
  }),
  z.object({ ...when, action: z.literal("blocked"), ...what }),
  z.object({ ...when, action: z.literal("note"), ...what, ...aim }),
  z.object({ ...when, action: z.literal("error"), ...what, ...aim }),
]);

/** One event in the life of a shielded container. */
export type AuditEvent = z.infer<typeof auditEventSchema>;

/** Reads one line of audit.jsonl; undefined when it is torn, of another version or anything else. */
export function parseAuditLine(line: string): AuditEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return auditEventSchema.safeParse(value, { jitless: true }).data;
}

/** Reads lines of audit.jsonl and counts those that hold no event. Empty lines count as nothing. */
export function parseAuditLines(lines: readonly string[]): { events: AuditEvent[]; skipped: number } {
  const parsed = lines.filter((line) => line.trim() !== "").map(parseAuditLine);
  const events = parsed.filter((event) => event !== undefined);
  return { events, skipped: parsed.length - events.length };
}
