import { writeFileSync } from "node:fs";
import type { ShieldEvent } from "@terok-shield/audit";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import type { Host } from "../host/host.ts";
import { follow, type WatchRequest, watch } from "./watch.ts";

const soon = { timeout: 10_000 };

let host: Host;
beforeEach(() => {
  host = makeTestHost({ now: () => new Date() });
});

function bundle(container: string): string {
  return `${host.places.state}/containers/${container}`;
}

/** A container that runs: its process is this one. */
function start(container: string): void {
  writeFiles(host.places.state, {
    [`containers/${container}/runtime.json`]: JSON.stringify(recordSelf()),
    [`containers/${container}/audit.jsonl`]: "",
  });
}

function stop(container: string): void {
  writeFileSync(`${bundle(container)}/runtime.json`, "");
}

async function note(container: string, detail: string): Promise<void> {
  const ts = new Date().toISOString();
  await appendAuditEvents(bundle(container), [{ v: 1, ts, container, action: "note", detail }]);
}

/** Watches until the test is over; `seen` has what was printed, and "flush" and the names of those that have ended. */
function begin(run: (request: Omit<WatchRequest, "containers">) => Promise<void>) {
  const seen: string[] = [];
  const stopper = new AbortController();
  const done = run({
    isWanted: (event) => !("detail" in event && event.detail === "unwanted"),
    signal: stopper.signal,
    onEnd: (container) => seen.push(`end of ${container}`),
    printer: {
      print: async (event: ShieldEvent) => {
        seen.push(`${event.container}: ${"detail" in event ? event.detail : event.action}`);
      },
      tick: async () => {},
      flush: async () => {
        seen.push("flush");
      },
    },
  });
  onTestFinished(async () => {
    stopper.abort();
    await done.catch(() => {});
  });
  return { seen, done, abort: () => stopper.abort(), notes: () => seen.filter((line) => line.includes(":")) };
}

/** Notes it until it is seen: watching begins a moment after it is asked for. */
async function noteUntilSeen(watching: ReturnType<typeof begin>, container: string, detail: string) {
  await vi.waitFor(async () => {
    await note(container, detail);
    expect(watching.seen).toContain(`${container}: ${detail}`);
  }, soon);
}

describe("what can be watched", () => {
  const all = (containers: string[]) => begin((request) => watch(host, { ...request, containers })).done;

  test.each([
    ["none is there", "nothing", "There is no shielded container nothing."],
    ["none can be called so", "../web", '"../web" is not a container name.'],
  ])("fails where %s", async (_, container, message) => {
    start("web");
    await expect(all([container])).rejects.toThrow(message);
  });
});

describe("those that are followed", () => {
  test("are told together, without what is not wanted, until the last has ended", async () => {
    for (const container of ["a", "b"]) start(container);
    const watching = begin((request) => follow(host, ["a", "b"] as never, request));
    for (const container of ["a", "b"]) await noteUntilSeen(watching, container, "begin");
    await note("a", "unwanted");
    await note("a", "last");
    stop("a");
    await vi.waitFor(() => expect(watching.seen).toContain("end of a"), soon);
    expect(watching.seen).not.toContain("end of b");
    await noteUntilSeen(watching, "b", "goes on");
    stop("b");
    await watching.done;
    expect(watching.seen).not.toContain("a: unwanted");
    const end = watching.seen.indexOf("end of a");
    expect(watching.seen.slice(0, end).slice(-2)).toEqual(["a: last", "flush"]);
    expect(watching.seen.slice(-2)).toEqual(["end of b", "flush"]);
  });

  test("are left when it is told to end, and nobody says that they have ended", async () => {
    start("web");
    const watching = begin((request) => follow(host, ["web"] as never, request));
    await noteUntilSeen(watching, "web", "begin");
    watching.abort();
    await watching.done;
    expect(watching.seen.filter((line) => line.startsWith("end"))).toEqual([]);
    expect(watching.seen.at(-1)).toBe("flush");
  });
});

describe("all", () => {
  test("are those that run, and those that start later, from their first event on", async () => {
    start("early");
    const watching = begin((request) => watch(host, { ...request, containers: "all" }));
    await noteUntilSeen(watching, "early", "begin");
    start("late");
    await note("late", "first");
    await vi.waitFor(() => expect(watching.seen).toContain("late: first"), soon);
    stop("early");
    await vi.waitFor(() => expect(watching.seen).toContain("end of early"), soon);
    start("early");
    await note("early", "again");
    await vi.waitFor(() => expect(watching.seen).toContain("early: again"), soon);
    watching.abort();
    await watching.done;
    expect(watching.notes().filter((line) => line === "early: again")).toHaveLength(1);
    expect(watching.seen.at(-1)).toBe("flush");
  });

  test("is an error as soon as one of them cannot be read", async () => {
    start("web");
    writeFiles(host.places.state, { "containers/broken/audit.jsonl/file": "" });
    const broken = `${bundle("broken")}/runtime.json`;
    writeFileSync(broken, JSON.stringify(recordSelf()));
    const watching = begin((request) => watch(host, { ...request, containers: "all" }));
    await expect(watching.done).rejects.toThrow();
  });
});
