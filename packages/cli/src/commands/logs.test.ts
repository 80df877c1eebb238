import type { AuditEvent } from "@terok-shield/audit";
import { describe, expect, test } from "vitest";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { readLogs } from "./logs.ts";

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
    expect(merged.map(({ container, detail }) => `${container}${detail}`)).toEqual(["a2", "b1", "b3"]);
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
