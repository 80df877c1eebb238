export { type AuditEvent, auditEventSchema, parseAuditLine, parseAuditLines } from "./audit-event.ts";
export { cleanText } from "./clean-text.ts";
export {
  type Count,
  type CounterSnapshot,
  type Counters,
  findLeftOut,
  parseCounterLine,
  type VerdictCounters,
} from "./counter-snapshot.ts";
export { type BackwardOptions, linesFromEnd, type RandomAccessFile } from "./lines-from-end.ts";
export { mergeNewestFirst, type StepBack } from "./merge-newest-first.ts";
export { parsePacketLine } from "./packet-line.ts";
export {
  type AskedQuery,
  BackwardQueryReader,
  cleanName,
  nameEvent,
  type Query,
  QueryReader,
} from "./refused-names.ts";
export { renderAuditEventForHumans } from "./render-audit-event-for-humans.ts";
export { MAXIMUM_LINE_BYTES, renderAuditLine } from "./render-audit-line.ts";
export { parseResolverLine, type ResolverLine, resolveClock } from "./resolver-line.ts";
export {
  isRefused,
  type NameEvent,
  PACKET_VERDICTS,
  type PacketEvent,
  type PacketVerdict,
  parseShieldEvent,
  type SampledEvent,
  type ShieldEvent,
  shieldEventSchema,
} from "./shield-event.ts";
export { tailLines } from "./tail-lines.ts";
