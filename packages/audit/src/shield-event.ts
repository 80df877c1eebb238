import * as z from "zod/mini";
import { type AuditEvent, auditEventSchema } from "./audit-event.ts";

const port = z.int().check(z.gte(0), z.lte(65_535));

const origin = {
  v: z.literal(1),
  /** UTC, in milliseconds. */
  ts: z.iso.datetime(),
  container: z.string(),
};

export const PACKET_VERDICTS = ["allowed", "bypass", "blocked", "denied", "private"] as const;

const packetVerdictSchema = z.enum(PACKET_VERDICTS);

/** What the rules did with a packet: the last three refused it. */
export type PacketVerdict = z.infer<typeof packetVerdictSchema>;

/** A refused packet, or the first one of a connection that was allowed or went through in bypass. */
export const packetEventSchema = z.object({
  ...origin,
  action: z.literal("packet"),
  verdict: packetVerdictSchema,
  /** `tcp`, `udp`, `icmp`, `icmpv6`, …, or `protocol 123` where the number has no name here. */
  protocol: z.string(),
  /** Of the destination, in its only spelling. */
  address: z.string(),
  /** Of the destination. */
  port: z.optional(port),
  sourcePort: z.optional(port),
  icmpType: z.optional(z.int().check(z.gte(0), z.lte(255))),
  /** Who sent it, as the user namespace of podman numbers users. */
  uid: z.optional(z.int().check(z.gte(0))),
  /** The newest name whose answer led to the address, where one is known. */
  name: z.optional(z.string()),
});
export type PacketEvent = z.infer<typeof packetEventSchema>;

/** A name that was asked for and not looked up, since no entry allows it or one denies it. */
export const nameEventSchema = z.object({
  ...origin,
  action: z.literal("name"),
  verdict: z.literal("refused"),
  /** In lower case, without characters that a terminal obeys. */
  name: z.string().check(z.maxLength(255)),
  /** `A`, `AAAA`, `TXT`, …, or `TYPE65399`. */
  queryType: z.string().check(z.maxLength(32)),
});
export type NameEvent = z.infer<typeof nameEventSchema>;

/** More happened than is listed. */
export const sampledEventSchema = z.object({
  ...origin,
  action: z.literal("sampled"),
  /** One sentence for a person. */
  detail: z.string(),
  /** How many the kernel counted that are not listed, since the last such event. */
  leftOut: z.partialRecord(packetVerdictSchema, z.int().check(z.positive())),
});
export type SampledEvent = z.infer<typeof sampledEventSchema>;

/** Everything that can stand in the stream of a container's events. Fields that it does not know are dropped. */
export const shieldEventSchema = z.discriminatedUnion("action", [
  ...auditEventSchema.def.options,
  packetEventSchema,
  nameEventSchema,
  sampledEventSchema,
]);

/** One event in the life of a shielded container, or of what it tried to reach. */
export type ShieldEvent = AuditEvent | PacketEvent | NameEvent | SampledEvent;

/** Reads one line of JSON; undefined when it is torn, of another version or anything else. */
export function parseShieldEvent(line: string): ShieldEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return shieldEventSchema.safeParse(value, { jitless: true }).data;
}

/** True for what the container tried and did not get. */
export function isRefused(event: ShieldEvent): boolean {
  switch (event.action) {
    case "packet":
      return event.verdict !== "allowed" && event.verdict !== "bypass";
    case "name":
      return true;
    default:
      return false;
  }
}
