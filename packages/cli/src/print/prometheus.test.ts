import { expect, test } from "vitest";
import { type ContainerStats, summariseCounters } from "../stats.ts";
import { renderPrometheus } from "./prometheus.ts";
import { renderStats } from "./stats.ts";

const RUNNING: ContainerStats = {
  container: "web",
  status: { kind: "up" },
  tier: "dnsmasq",
  revision: 3,
  mode: "up",
  startedAt: new Date("2026-12-01T09:15:00.000Z"),
  uptimeSeconds: 3600,
  counted: {
    at: new Date("2026-12-01T10:15:00.000Z"),
    isLive: true,
    traffic: summariseCounters({
      allowed: { packets: 5, bytes: 300 },
      logged_allowed: { packets: 5, bytes: 300 },
      bypassed: { packets: 2, bytes: 120 },
      logged_bypass: { packets: 2, bytes: 120 },
      refused_blocked: { packets: 100, bytes: 6000 },
      logged_blocked: { packets: 60, bytes: 3600 },
      refused_private: { packets: 1, bytes: 60 },
      logged_private: { packets: 1, bytes: 60 },
      refused_queries: { packets: 9, bytes: 540 },
      dns_asked: { packets: 20, bytes: 1200 },
      dns_answered: { packets: 12, bytes: 1200 },
      dns_missing: { packets: 3, bytes: 240 },
      dns_refused: { packets: 4, bytes: 240 },
    }),
  },
  sets: [
    { name: "allow_v4", elements: 2 },
    { name: "dns_v4", elements: 1, limit: 65536 },
    { name: "dns_v6", elements: 0, limit: 65536 },
  ],
};

const STOPPED: ContainerStats = {
  ...{ container: "old", status: { kind: "stopped" }, tier: "dig", revision: 1, mode: "block", sets: [] },
  counted: {
    at: new Date("2026-12-01T08:00:00.000Z"),
    isLive: false,
    traffic: summariseCounters({ refused_blocked: { packets: 4, bytes: 240 } }),
  },
};

const NEW: ContainerStats = { container: "new", status: { kind: "stopped" }, tier: "dnsmasq", sets: [] };

test("Prometheus' text has each metric once, with what it means and its type", async () => {
  await expect(renderPrometheus([RUNNING, STOPPED, NEW])).toMatchFileSnapshot("../../golden/metrics.prom");
});

test("labels that hold quotes, backslashes and newlines are escaped", () => {
  const text = renderPrometheus([{ ...NEW, tier: 'a"b\\c\nd' }]);
  expect(text).toContain('terok_shield_info{container="new",tier="a\\"b\\\\c\\nd"} 1\n');
});

test("without containers there are no metrics, and a sentence for people", () => {
  expect([renderPrometheus([]), renderStats([])]).toEqual(["", "No shielded containers.\n"]);
});

test("for people it is a table, with what is no number beneath", () => {
  expect(renderStats([RUNNING, STOPPED, NEW])).toBe(
    [
      "NAME  STATE    UP  ALLOWED  BYPASSED  BLOCKED  DENIED  PRIVATE",
      "web   up       1h        5         2      100       0        1",
      "    tier dnsmasq, policy 3, mode up",
      "    dns 20 asked, 12 answered, 3 no such name, 4 refused, 9 over the limit",
      "    40 of these were too many at once to be listed as events",
      "    sets allow_v4 2, dns_v4 1/65536",
      "old   stopped  -         0         0        4       0        0",
      "    tier dig, policy 1, mode block",
      "    does not run; counted in its last run, as of 2026-12-01T08:00:00.000Z",
      "new   stopped  -         -         -        -       -        -",
      "    tier dnsmasq",
      "",
    ].join("\n"),
  );
});
