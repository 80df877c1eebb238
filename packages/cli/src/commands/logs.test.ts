import type { AuditEvent } from "@terok-shield/audit";
import { describe, expect, test } from "vitest";
import { packetLine, refusedQuery, textOf } from "../../testing/event-logs.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { type LogRequest, readLogs } from "./logs.ts";

function event(container: string, second: number, detail = ""): AuditEvent {
  return {
    v: 1,
    ts: `2026-12-01T10:15:${String(second).padStart(2, "0")}.000Z`,
    container,
    action: "note",
    detail,
  };
}

async function makeHostWithLogs(events: readonly AuditEvent[]): Promise<Host> {
  const host = makeTestHost();
  for (const one of events) {
    writeFiles(host.places.state, { [`containers/${one.container}/state.json`]: "{}" });
    await appendAuditEvents(`${host.places.state}/containers/${one.container}`, [one]);
  }
  return host;
}

const EVENTS = [event("a", 1), event("b", 2), event("a", 3), event("b", 4), event("a", 5)];

describe("the newest events, oldest first", () => {
  test.each([
    ["of all containers together", { count: 3 }, [EVENTS[2], EVENTS[3], EVENTS[4]]],
    ["of all, fewer than asked for", { count: 100 }, EVENTS],
    ["of one container", { container: "a", count: 2 }, [EVENTS[2], EVENTS[4]]],
  ])("%s", async (_, request, expected) => {
    expect(await readLogs(await makeHostWithLogs(EVENTS), request)).toEqual(expected);
  });

  test("of the same time, in the order in which each container wrote them", async () => {
    const events = [event("b", 1, "1"), event("a", 1, "2"), event("b", 1, "3")];
    const merged = await readLogs(await makeHostWithLogs(events), { count: 10 });
    expect(merged).toEqual([events[1], events[0], events[2]]);
  });
});

describe("of a time or a kind", () => {
  const at = (second: number) => new Date(event("a", second).ts);

  test.each([
    ["since then", { since: at(3) }, [3, 4, 5]],
    ["until then", { until: at(3) }, [1, 2, 3]],
    ["between two times", { since: at(2), until: at(3) }, [2, 3]],
    ["the newest of those until then", { until: at(4), count: 2 }, [3, 4]],
    ["the newest of those wanted", { isWanted: ({ ts }) => ts < event("a", 3).ts, count: 1 }, [2]],
  ] satisfies [string, LogRequest, number[]][])("%s", async (_, request, seconds) => {
    const logs = await readLogs(await makeHostWithLogs(EVENTS), request);
    expect(logs.map(({ ts }) => new Date(ts).getSeconds())).toEqual(seconds);
  });

  test("packets and refused names stand among the rest", async () => {
    // dnsmasq writes no year, so it has to be lately.
    const from = Math.floor(Date.now() / 1000) - 100;
    const at = (second: number) => ({ ...event("a", 0), ts: new Date((from + second) * 1000).toISOString() });
    const host = await makeHostWithLogs([at(1), at(4)]);
    writeFiles(host.places.state, {
      "containers/a/packets.jsonl": textOf([packetLine(from + 2, "BLOCKED", "198.18.0.66")]),
      "containers/a/dnsmasq.log": textOf(refusedQuery(from + 3, 1, "evil.test")),
    });
    const logs = await readLogs(host, { container: "a", count: 3 });
    expect(logs.map(({ action }) => action)).toEqual(["packet", "name", "note"]);
  });
});

test("lines that are no events are left out", async () => {
  const host = await makeHostWithLogs([event("a", 1)]);
  const line = JSON.stringify(event("a", 2));
  writeFiles(host.places.state, { "containers/b/audit.jsonl": `torn {"v":1\n\n${line}\n{"v":9}\n` });
  expect(await readLogs(host, { count: 10 })).toEqual([event("a", 1), event("a", 2)]);
});

test("before the first container there are none", async () => {
  expect(await readLogs(makeTestHost(), { count: 10 })).toEqual([]);
});

test("of a container that never was there are none to show", async () => {
  const logsOf = async (events: readonly AuditEvent[]) =>
    readLogs(await makeHostWithLogs(events), { container: "c", count: 2 });
  await expect(logsOf(EVENTS)).rejects.toThrow(
    new ShieldError("There is no shielded container c. There are a, b."),
  );
  await expect(logsOf([])).rejects.toThrow(
    new ShieldError("There is no shielded container c. There is none at all."),
  );
});

test("a name that is no container's reaches no file", async () => {
  await expect(readLogs(makeTestHost(), { container: "../../etc", count: 1 })).rejects.toThrow(
    '"../../etc" is not a container name.',
  );
});
