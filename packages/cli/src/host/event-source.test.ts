import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import type { ShieldEvent } from "@terok-shield/audit";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  answeredQuery,
  counterLine,
  packetLine,
  refusedQuery,
  resolverLine,
  textOf,
} from "../../testing/event-logs.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { parseContainerName } from "../container-name.ts";
import { followEvents, readCounterHistory, readCounters, readEvents } from "./event-source.ts";
import type { Host } from "./host.ts";

const WEB = parseContainerName("web");
/** 2026-11-24T06:00:00Z, in seconds. */
const START = 1_795_500_000;

let host: Host;
let bundle: string;
beforeEach(() => {
  host = makeTestHost();
  bundle = `${host.places.state}/containers/web`;
  mkdirSync(bundle, { recursive: true });
});

function write(file: string, lines: readonly string[]): void {
  writeFileSync(`${bundle}/${file}`, textOf(lines));
}

function append(file: string, lines: readonly string[]): void {
  appendFileSync(`${bundle}/${file}`, textOf(lines));
}

function lifecycleLine(at: number, detail: string): string {
  return JSON.stringify({
    v: 1,
    ts: new Date(at * 1000).toISOString(),
    container: "web",
    action: "note",
    detail,
  });
}

/** Each event in a few words. */
function summary(event: ShieldEvent): string {
  const time = event.ts.slice(11, 23);
  if (event.action === "packet") {
    return [time, event.verdict, event.protocol, event.address, event.port, event.name].join(" ").trim();
  }
  if (event.action === "name") return `${time} name ${event.name} ${event.queryType}`;
  return `${time} ${event.action} ${event.detail}`;
}

async function read(query: Parameters<typeof readEvents>[2] = {}): Promise<string[]> {
  return (await readEvents(host, WEB, query)).map(summary);
}

describe("readEvents", () => {
  test("gives lifecycle, names, packets and what was left out in one order in time", async () => {
    write("audit.jsonl", [lifecycleLine(START, "shield up"), lifecycleLine(START + 9.5, "over")]);
    write("dnsmasq.log", [
      ...refusedQuery(START + 2, 1, "Evil.test"),
      ...refusedQuery(START + 6, 2, "b.test"),
    ]);
    write("packets.jsonl.old", [packetLine(START + 1, "ALLOWED", "198.18.0.9")]);
    write("packets.jsonl", [
      counterLine(START, { refused_blocked: [0, 0] }),
      packetLine(START + 2.25, "BLOCKED", "198.18.0.1"),
      packetLine(START + 7, "PRIVATE", "fd00::1", { "ip.protocol": 17, dest_port: 53 }),
      counterLine(
        START + 8,
        { refused_blocked: [12, 720], logged_blocked: [2, 120] },
        { refused_blocked: [1, 60] },
      ),
    ]);
    expect(await read()).toEqual([
      "06:00:00.000 note shield up",
      "06:00:01.000 allowed tcp 198.18.0.9 443",
      "06:00:02.000 name evil.test A",
      "06:00:02.250 blocked tcp 198.18.0.1 443",
      "06:00:06.000 name b.test A",
      "06:00:07.000 private udp fd00::1 53",
      "06:00:08.000 sampled too many at once to list: 9 blocked",
      "06:00:09.500 note over",
    ]);
  });
});

/** What `explain` asks for in one connection; only dnsmasq's own files have the marker. */
const EXPLAINED = [
  "21 127.0.0.1/40001 query[A] r3-abc.terok-shield.invalid from 127.0.0.1",
  "21 127.0.0.1/40001 config r3-abc.terok-shield.invalid is NXDOMAIN",
  "22 127.0.0.1/40001 query[A] explained.test from 127.0.0.1",
  "22 127.0.0.1/40001 config error is REFUSED (EDE: not ready)",
  "23 127.0.0.1/40001 query[A] r3-abc.terok-shield.invalid from 127.0.0.1",
  "23 127.0.0.1/40001 config r3-abc.terok-shield.invalid is NXDOMAIN",
];
/** A container that would like to pass for it. */
const FORGED = EXPLAINED.map((line) =>
  line
    .replace("/40001", "/40002")
    .replace("explained.test", "forged.test")
    .replace("r3-abc", "r4-abc")
    .replace("is NXDOMAIN", "is 0.0.0.0"),
);

test("what the shield asks for itself is no event, and nobody else can pass for it", async () => {
  write("dnsmasq.log", [
    ...[...EXPLAINED, ...FORGED].map((line) => resolverLine(START, line)),
    ...refusedQuery(START + 1, 24, "explained.test"),
  ]);
  expect(await read()).toEqual(["06:00:00.000 name forged.test A", "06:00:01.000 name explained.test A"]);
});

describe("the names of packets", () => {
  test("are the newest that led to the address by then, CNAMEs included", async () => {
    write("dnsmasq.log", [
      ...answeredQuery(START, 1, "One.test", "198.18.0.1"),
      resolverLine(START + 5, "2 127.0.0.1/35152 query[A] alias.test from 127.0.0.1"),
      resolverLine(START + 5, "2 127.0.0.1/35152 reply alias.test is <CNAME>"),
      resolverLine(START + 5, "2 127.0.0.1/35152 reply one.test is 198.18.0.1"),
      ...answeredQuery(START + 9, 3, "three.test", "198.18.0.1"),
      resolverLine(START + 9, "4 127.0.0.1/35152 query[TXT] text.test from 127.0.0.1"),
      resolverLine(START + 9, "4 127.0.0.1/35152 reply text.test is 198.18.0.2"),
    ]);
    write("packets.jsonl", [
      packetLine(START - 1, "BLOCKED", "198.18.0.1"),
      packetLine(START + 0.5, "ALLOWED", "198.18.0.1"),
      packetLine(START + 6, "ALLOWED", "198.18.0.1"),
      packetLine(START + 10, "ALLOWED", "198.18.0.1"),
      packetLine(START + 10, "BLOCKED", "198.18.0.2"),
    ]);
    expect(await read()).toEqual([
      "05:59:59.000 blocked tcp 198.18.0.1 443",
      "06:00:00.500 allowed tcp 198.18.0.1 443 one.test",
      "06:00:06.000 allowed tcp 198.18.0.1 443 alias.test",
      "06:00:10.000 allowed tcp 198.18.0.1 443 three.test",
      "06:00:10.000 blocked tcp 198.18.0.2 443",
    ]);
  });

  test("are found in the rotated log too, but not in that of the run before", async () => {
    write("dnsmasq.earlier.log", answeredQuery(START, 1, "earlier.test", "198.18.0.1"));
    write("dnsmasq.log.old", answeredQuery(START + 10, 1, "rotated.test", "198.18.0.2"));
    write("dnsmasq.log", answeredQuery(START + 20, 2, "now.test", "198.18.0.3"));
    write("packets.jsonl", [
      packetLine(START + 1, "ALLOWED", "198.18.0.1"),
      packetLine(START + 30, "BLOCKED", "198.18.0.1"),
      packetLine(START + 30, "ALLOWED", "198.18.0.2"),
      packetLine(START + 30, "ALLOWED", "198.18.0.3"),
    ]);
    expect(await read()).toEqual([
      "06:00:01.000 allowed tcp 198.18.0.1 443 earlier.test",
      "06:00:30.000 blocked tcp 198.18.0.1 443",
      "06:00:30.000 allowed tcp 198.18.0.2 443 rotated.test",
      "06:00:30.000 allowed tcp 198.18.0.3 443 now.test",
    ]);
  });

  test("are those of the hosts file in a static tier", async () => {
    write("state.json", ['{"tier":"dig"}']);
    write("hosts", ["198.18.0.1 one.test", "2001:2::1 one.test"]);
    write("packets.jsonl", [
      packetLine(START, "ALLOWED", "2001:2::1"),
      packetLine(START, "BLOCKED", "198.18.0.2"),
    ]);
    expect(await read()).toEqual([
      "06:00:00.000 allowed tcp 2001:2::1 443 one.test",
      "06:00:00.000 blocked tcp 198.18.0.2 443",
    ]);
  });
});

test("refused names of the run before are listed, the shield's own questions are not", async () => {
  write("dnsmasq.earlier.log", refusedQuery(START, 1, "earlier.test"));
  write("dnsmasq.log", [
    resolverLine(START + 10, "started, version 2.90 cache disabled"),
    ...refusedQuery(START + 10, 1, "not-allowed.0123456789abcdef01234567"),
    resolverLine(START + 10, "2 127.0.0.1/1 query[A] r7-abc.terok-shield.invalid from 127.0.0.1"),
    resolverLine(START + 10, "2 127.0.0.1/1 config r7-abc.terok-shield.invalid is NXDOMAIN"),
    ...refusedQuery(START + 20, 3, "now.test", "type=65399"),
    resolverLine(START + 21, "4 127.0.0.1/1 query[AAAA] denied.test from 127.0.0.1"),
    resolverLine(START + 21, "4 127.0.0.1/1 config denied.test is NXDOMAIN"),
    resolverLine(START + 22, "5 127.0.0.1/1 query[A] nowhere.test from 127.0.0.1"),
    resolverLine(START + 22, "5 127.0.0.1/1 reply nowhere.test is NXDOMAIN"),
  ]);
  expect(await read()).toEqual([
    "06:00:00.000 name earlier.test A",
    "06:00:20.000 name now.test TYPE65399",
    "06:00:21.000 name denied.test AAAA",
  ]);
});

test("what is no line of ours is no event: torn lines, bytes of no text, lines of others", async () => {
  const cut = packetLine(START, "BLOCKED", "198.18.0.1").slice(0, 200);
  write("packets.jsonl", [
    cut,
    `${cut}${packetLine(START, "BLOCKED", "198.18.0.1")}`,
    packetLine(START, "BLOCKED", "198.18.0.2").replace("TEROK_SHIELD", "OTHER"),
    "\xff\xfe\0",
    "null",
    '{"ts":"now","counters":{}}',
    '{"ts":"2026-11-24T06:00:00.000Z","counters":[1]}',
    packetLine(START, "DENIED", "198.18.0.3"),
    "",
  ]);
  write("dnsmasq.log", ["query[A] x from 127.0.0.1", ...refusedQuery(START, 1, "evil.test").slice(1)]);
  // What follows a torn line in the same line is whole.
  expect(await read()).toEqual([
    "06:00:00.000 blocked tcp 198.18.0.1 443",
    "06:00:00.000 denied tcp 198.18.0.3 443",
  ]);
});

describe("a query", () => {
  beforeEach(() => {
    write(
      "packets.jsonl",
      Array.from({ length: 100 }, (_, index) =>
        packetLine(START + index, "BLOCKED", `198.18.0.${index}`, { "ip.protocol": 1, "icmp.type": 8 }),
      ),
    );
  });
  const at = (seconds: number) => new Date((START + seconds) * 1000);

  test.each([
    ["the newest", { last: 3 }, ["97", "98", "99"]],
    ["a span of time, its ends included", { since: at(10), until: at(12) }, ["10", "11", "12"]],
    ["the newest up to then", { until: at(50), last: 2 }, ["49", "50"]],
    ["none", { last: 0 }, []],
    [
      "the newest that are wanted",
      { last: 2, isWanted: (event: ShieldEvent) => event.action === "packet" && /[05]$/.test(event.address) },
      ["90", "95"],
    ],
  ])("can ask for %s", async (_, query, numbers) => {
    expect(await read(query)).toEqual(
      numbers.map(
        (number) =>
          `06:0${Math.floor(Number(number) / 60)}:${String(Number(number) % 60).padStart(2, "0")}.000 blocked icmp 198.18.0.${number}`,
      ),
    );
  });
});

test("a query since a time within a second gives the names of that second: their log knows no parts of it", async () => {
  write("dnsmasq.earlier.log", refusedQuery(START + 5, 1, "run-before.test"));
  write("dnsmasq.log", [
    ...refusedQuery(START + 4, 1, "earlier.test"),
    ...refusedQuery(START + 5, 2, "within.test"),
  ]);
  write("packets.jsonl", [
    packetLine(START + 5.1, "BLOCKED", "198.18.0.1"),
    packetLine(START + 5.7, "BLOCKED", "198.18.0.2"),
  ]);
  expect(await read({ since: new Date((START + 5.5) * 1000) })).toEqual([
    "06:00:05.000 name within.test A",
    "06:00:05.700 blocked tcp 198.18.0.2 443",
  ]);
});

describe.each([
  ["audit.jsonl", (number: number) => [lifecycleLine(START + number, `note ${number}`)]],
  ["packets.jsonl", (number: number) => [packetLine(START + number, "BLOCKED", "198.18.0.1")]],
  ["dnsmasq.log", (number: number) => refusedQuery(START + number, number, `${number}.test`)],
])("of a %s of a gigabyte", (file, linesOf) => {
  test("reads the end and no more", async () => {
    const path = `${bundle}/${file}`;
    const log = openSync(path, "w");
    const lines = Array.from({ length: 1000 }, (_, index) => linesOf(index)).flat();
    writeSync(log, `\n${textOf(lines)}`, 1024 ** 3);
    closeSync(log);
    await read({ last: 1 });
    const before = readBytes();
    expect(await read({ last: 10 })).toHaveLength(10);
    expect(readBytes() - before).toBeLessThan(1024 ** 2);
  });
});

/** What this process has read so far (proc(5)). */
function readBytes(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
}

describe("counters", () => {
  test("are those that were written down last, when nothing runs", async () => {
    write("packets.jsonl.old", [counterLine(START, { allowed: [1, 60] })]);
    write("packets.jsonl", [
      counterLine(START + 10, { allowed: [2, 120] }, { allowed: [1, 60] }),
      packetLine(START + 11, "ALLOWED", "198.18.0.1"),
    ]);
    const then = (seconds: number, packets: number) => ({
      at: new Date((START + seconds) * 1000),
      isLive: false,
      counters: { allowed: { packets, bytes: packets * 60 } },
    });
    expect(await readCounters(host, WEB)).toEqual(then(10, 2));
    expect(await readCounterHistory(host, WEB)).toEqual([then(0, 1), then(10, 2)]);
  });

  test("are unknown where nothing was written down", async () => {
    expect(await readCounters(host, WEB)).toBeUndefined();
    expect(await readCounterHistory(host, WEB)).toEqual([]);
  });
});

describe("followEvents", () => {
  let container: ChildProcess;
  beforeEach(() => {
    container = spawn("sleep", ["60"]);
    onTestFinished(() => void container.kill());
    writeFileSync(`${bundle}/runtime.json`, JSON.stringify(recordOf(container)));
  });

  function recordOf({ pid }: ChildProcess): object {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const startTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const [, inode] = /^net:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/ns/net`)) ?? [];
    return { containerId: "a".repeat(64), pid, startTime, networkNamespace: Number(inode), ownerPid: pid };
  }

  /** Follows in the background. */
  function follow(options: { since?: Date } = {}) {
    const seen: string[] = [];
    const aborter = new AbortController();
    const done = (async () => {
      for await (const event of followEvents(host, WEB, { signal: aborter.signal, ...options })) {
        seen.push(summary(event));
      }
    })();
    onTestFinished(async () => {
      aborter.abort();
      await done;
    });
    return { seen, done, abort: () => aborter.abort() };
  }

  /** Writes markers until one is seen: from then on, what is written is followed. */
  async function awaitFollowing({ seen }: { readonly seen: readonly string[] }): Promise<void> {
    await vi.waitFor(
      () => {
        append("audit.jsonl", [lifecycleLine(START, "marker")]);
        expect(seen.some((line) => line.endsWith("marker"))).toBe(true);
      },
      { timeout: 20_000, interval: 100 },
    );
  }

  const events = (seen: readonly string[]) => seen.filter((line) => !line.endsWith("marker"));
  const soon = { timeout: 20_000 };

  test("gives what is written from now on, with the names of packets", async () => {
    write("dnsmasq.log", answeredQuery(START, 1, "before.test", "198.18.0.1"));
    write("packets.jsonl", [packetLine(START, "ALLOWED", "198.18.0.1")]);
    const following = follow();
    await awaitFollowing(following);
    append("dnsmasq.log", answeredQuery(START + 1, 2, "since.test", "198.18.0.2"));
    append("packets.jsonl", [
      packetLine(START + 2, "ALLOWED", "198.18.0.1"),
      packetLine(START + 2, "ALLOWED", "198.18.0.2"),
    ]);
    append("dnsmasq.log", refusedQuery(START + 3, 3, "evil.test"));
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(3), soon);
    expect(events(following.seen).sort()).toEqual([
      "06:00:02.000 allowed tcp 198.18.0.1 443 before.test",
      "06:00:02.000 allowed tcp 198.18.0.2 443 since.test",
      "06:00:03.000 name evil.test A",
    ]);
  });

  test("tells of a query that was asked before and is refused only now", async () => {
    const [asked = "", refused = ""] = refusedQuery(START, 1, "between.test");
    write("dnsmasq.log", [...refusedQuery(START, 0, "before.test"), asked]);
    const following = follow();
    await awaitFollowing(following);
    append("dnsmasq.log", [refused]);
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(1), soon);
    expect(events(following.seen)).toEqual(["06:00:00.000 name between.test A"]);
  });

  test("leaves out what the shield asks for itself, and nobody else's questions", async () => {
    const following = follow();
    await awaitFollowing(following);
    append(
      "dnsmasq.log",
      [...EXPLAINED, ...FORGED].map((line) => resolverLine(START, line)),
    );
    append("dnsmasq.log", refusedQuery(START + 1, 24, "explained.test"));
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(2), soon);
    expect(events(following.seen)).toEqual([
      "06:00:00.000 name forged.test A",
      "06:00:01.000 name explained.test A",
    ]);
  });

  test("begins in the past where it is asked to, and tells nothing twice", async () => {
    write("packets.jsonl", [
      packetLine(START, "BLOCKED", "198.18.0.1"),
      packetLine(START + 10, "BLOCKED", "198.18.0.2"),
    ]);
    const following = follow({ since: new Date((START + 5) * 1000) });
    await awaitFollowing(following);
    append("packets.jsonl", [packetLine(START + 20, "BLOCKED", "198.18.0.3")]);
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(2), soon);
    expect(events(following.seen)).toEqual([
      "06:00:10.000 blocked tcp 198.18.0.2 443",
      "06:00:20.000 blocked tcp 198.18.0.3 443",
    ]);
  });

  test("goes on through rotation, truncation and a line that comes in two parts", async () => {
    write("packets.jsonl", []);
    const following = follow();
    await awaitFollowing(following);
    const path = `${bundle}/packets.jsonl`;
    const line = (number: number) => packetLine(START + number, "BLOCKED", `198.18.0.${number}`);
    append("packets.jsonl", [line(1)]);
    renameSync(path, `${path}.old`);
    append("packets.jsonl.old", [line(2)]);
    append("packets.jsonl", [line(3)]);
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(3), soon);
    appendFileSync(path, line(4).slice(0, 100));
    const before = following.seen.length;
    append("audit.jsonl", [lifecycleLine(START, "marker")]);
    await vi.waitFor(() => expect(following.seen.length).toBeGreaterThan(before), soon);
    appendFileSync(path, `${line(4).slice(100)}\n`);
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(4), soon);
    truncateSync(path);
    append("packets.jsonl", [line(5)]);
    await vi.waitFor(() => expect(events(following.seen)).toHaveLength(5), soon);
    expect(events(following.seen)).toEqual(
      [1, 2, 3, 4, 5].map((number) => `06:00:0${number}.000 blocked tcp 198.18.0.${number} 443`),
    );
  });

  test("ends with the container's run, after its last events", async () => {
    const following = follow();
    await awaitFollowing(following);
    append("packets.jsonl", [packetLine(START + 1, "BLOCKED", "198.18.0.1")]);
    container.kill("SIGKILL");
    append("packets.jsonl", [packetLine(START + 2, "BLOCKED", "198.18.0.2")]);
    await following.done;
    expect(events(following.seen)).toHaveLength(2);
  });

  test("ends when it is told to", async () => {
    const following = follow();
    await awaitFollowing(following);
    following.abort();
    await following.done;
  });

  test("ends at once where nothing runs", async () => {
    writeFileSync(`${bundle}/runtime.json`, "");
    write("packets.jsonl", [packetLine(START, "BLOCKED", "198.18.0.1")]);
    const following = follow({ since: new Date(0) });
    await following.done;
    expect(following.seen).toEqual(["06:00:00.000 blocked tcp 198.18.0.1 443"]);
  });
});
