import type { ShieldEvent } from "@terok-shield/audit";
import { type Report, summariseEvents } from "../src/report.ts";
import { summariseCounters } from "../src/stats.ts";
import { makeState } from "./test-state.ts";

/** Every text in a report that somebody else than its program chose. */
export interface ForeignTexts {
  readonly name: string;
  readonly address: string;
  readonly protocol: string;
  readonly detail: string;
  readonly mount: string;
  readonly profile: string;
}

const USUAL: ForeignTexts = {
  name: "tracker.example",
  address: "198.18.66.66",
  protocol: "tcp",
  detail: "Denied 198.18.0.0/16",
  mount: "/run/tool.sock",
  profile: "mine",
};

const END = Date.parse("2026-12-01T10:15:00.000Z");

/** A report of an hour in which something of each kind happened. */
export function makeReport(foreign: Partial<ForeignTexts> = {}): Report {
  const texts = { ...USUAL, ...foreign };
  const state = makeState({ profile: ["good.test", "*.wild.test", "198.18.1.0/24"] });
  const until = new Date(END);
  return {
    container: "web",
    at: until,
    status: {
      container: "web",
      status: { kind: "error", reason: texts.detail },
      tier: "dnsmasq",
      profiles: [texts.profile],
      trustedMounts: [texts.mount],
      decisions: [{ verdict: "deny", target: texts.name, remainingSeconds: 90 }],
      notes: [texts.detail],
    },
    stats: {
      container: "web",
      status: { kind: "up" },
      tier: "dnsmasq",
      revision: 3,
      mode: "up",
      uptimeSeconds: 3700,
      sets: [],
      counted: {
        at: until,
        isLive: true,
        traffic: summariseCounters({
          allowed: { packets: 20, bytes: 1200 },
          refused_blocked: { packets: 5000, bytes: 300_000 },
          logged_blocked: { packets: 90, bytes: 5400 },
        }),
      },
    },
    state: { ...state, request: { ...state.request, profiles: [texts.profile] } },
    ...summariseEvents(sampleEvents(texts), { until }),
  };
}

function sampleEvents({ name, address, protocol, detail }: ForeignTexts): ShieldEvent[] {
  const at = (minutes: number) => ({
    v: 1 as const,
    ts: new Date(END - 3_600_000 + minutes * 60_000).toISOString(),
    container: "web",
  });
  const packet = { action: "packet", protocol, address, port: 443, uid: 0 } as const;
  const events: ShieldEvent[] = [
    { ...at(0), action: "setup", detail },
    ...Array.from({ length: 30 }, (_, n) => ({ ...at(n), ...packet, verdict: "allowed" as const, name })),
    ...Array.from({ length: 50 }, (_, n) => ({ ...at(n * 1.1), ...packet, verdict: "blocked" as const })),
    ...Array.from({ length: 12 }, (_, n) => ({
      ...at(20 + n * 3),
      ...packet,
      verdict: "denied" as const,
      name,
    })),
    ...Array.from({ length: 7 }, (_, n) => ({
      ...{ ...at(5 + n * 2), ...packet, verdict: "private" as const, address: "10.0.0.1", port: 22 },
    })),
    ...Array.from({ length: 25 }, (_, n) => ({
      ...at(30 + n),
      ...{ action: "name" as const, verdict: "refused" as const, name, queryType: n % 2 ? "AAAA" : "A" },
    })),
    { ...at(40), action: "sampled", detail, leftOut: { blocked: 40 } },
    { ...at(45), ...packet, verdict: "bypass", address },
    { ...at(50), action: "denied", detail },
  ];
  return events.sort((left, right) => (left.ts < right.ts ? -1 : 1));
}
