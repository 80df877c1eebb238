import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  anyPolicy,
  domain,
  isClosedByDefinition,
  isOpenByDefinition,
  policyOf,
} from "../testing/name-policies.ts";
import { DIG, DNSMASQ, DNSMASQ_VERSION } from "../testing/programs.ts";
import { renderDnsmasqConfig } from "./dnsmasq-config.ts";
import { isAtLeast } from "./dnsmasq-facts.ts";
import { type ResolverCommand, resolveNames } from "./resolve-names.ts";
import { MOST_SCOPES } from "./scope-conflict.ts";
import { renderOpenServersFile, renderServersFile } from "./servers-file.ts";

const QUERY_TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  ANY: 255,
  private: 65280,
};
type QueryType = keyof typeof QUERY_TYPES;
const RESPONSE_CODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

const STRICT = policyOf({
  exact: [
    "good.test",
    "x.test",
    "y.x.test",
    "a.wild.test",
    "both.test",
    "xn--bcher-kva.test",
    "_under.test",
    "ab--cd.test",
    "shut.test",
  ],
  wildcards: ["wild.test", "both.test", "sub.x.test", "deep.wild.test"],
  closedExact: ["bad.wild.test", "shut.test", "below.shut.wild.test"],
  closedWildcards: ["shut.wild.test", "deep.both.test"],
});

let upstream: Upstream;
let dnsmasq: Dnsmasq;

// The reason to skip is that there is no dnsmasq to ask.
describe.skipIf(DNSMASQ === undefined)("a real dnsmasq", () => {
  beforeEach(async () => {
    upstream = await startUpstream();
    dnsmasq = await startDnsmasq(renderServersFile(STRICT, upstream.address, "r1.terok-shield.invalid"));
  });

  afterEach(async () => {
    await dnsmasq.stop();
    await upstream.stop();
  });

  test.each([
    "good.test",
    "GOOD.Test",
    "x.test",
    "y.x.test",
    "z.sub.x.test",
    "z.z.sub.x.test",
    "a.wild.test",
    "b.a.wild.test",
    "b.wild.test",
    "c.b.wild.test",
    "deep.wild.test",
    "a.deep.wild.test",
    "both.test",
    "a.both.test",
    "xn--bcher-kva.test",
    "_under.test",
    "ab--cd.test",
    "verybad.wild.test",
    "x.bad.wild.test",
    "y.x.bad.wild.test",
    "shut.wild.test",
    "deep.both.test",
    "verydeep.both.test",
  ])("forwards %s over UDP and TCP", async (name) => {
    for (const transport of [askOverUdp, askOverTcp]) {
      expect(await transport(question(name))).toMatchObject({ code: "NOERROR", answers: 1 });
    }
    expect(upstream.seen).toEqual([`${name} A`, `${name} A`]);
  });

  test.each([
    ["api.good.test", "NXDOMAIN"],
    ["a.b.good.test", "NXDOMAIN"],
    ["z.x.test", "NXDOMAIN"],
    ["zy.x.test", "NXDOMAIN"],
    ["z.y.x.test", "NXDOMAIN"],
    ["sub.x.test", "NXDOMAIN"],
    ["bad.wild.test", "NXDOMAIN"],
    ["BAD.wild.TEST", "NXDOMAIN"],
    ["a.shut.wild.test", "NXDOMAIN"],
    ["below.shut.wild.test", "NXDOMAIN"],
    ["b.a.deep.both.test", "NXDOMAIN"],
    ["shut.test", "REFUSED"],
    ["r1.terok-shield.invalid", "NXDOMAIN"],
    ["wild.test", "REFUSED"],
    ["notwild.test", "REFUSED"],
    ["verygood.test", "REFUSED"],
    ["good.test.evil", "REFUSED"],
    ["test", "REFUSED"],
    ["", "REFUSED"],
    ["localhost", "REFUSED"],
    ["7.0.18.198.in-addr.arpa", "REFUSED"],
  ])("answers %j with %s for every type, over UDP and TCP, and asks nobody", async (name, code) => {
    for (const type of Object.keys(QUERY_TYPES) as QueryType[]) {
      for (const transport of [askOverUdp, askOverTcp]) {
        expect([type, (await transport(question(name, type))).code]).toEqual([type, code]);
      }
    }
    await askOverUdp(question("good.test"));
    expect(upstream.seen).toEqual(["good.test A"]);
  });

  test.each([
    ["a dot inside a label", message(encodeLabels(["api.good", "test"]))],
    ["a dot inside a label that ends in an allowed name", message(encodeLabels(["x.wild", "test"]))],
    ["a zero byte in a label", message(encodeLabels(["good.test\0", "evil"]))],
    ["a zero byte after an allowed name", message(encodeLabels(["good", "test\0"]))],
    ["the byte that dnsmasq escapes with", message(encodeLabels(["good\x01/test"]))],
    ["two questions", message(encodeLabels(["good", "test"]), encodeLabels(["secret", "evil"]))],
    ["no question", message()],
    ["a name that does not end", message(Buffer.from("\x04good\x04test\x3fsecret", "latin1"))],
    ["an update", withOpcode(message(encodeLabels(["secret", "evil"])), 5)],
    ["a notification of an allowed name", withOpcode(message(encodeLabels(["good", "test"])), 4)],
    ["version.bind", message(encodeLabels(["version", "bind"], "TXT", 3))],
    ["an unlisted name of class CH", message(encodeLabels(["secret", "evil"], "TXT", 3))],
  ])("forwards nothing of a query with %s", async (_, query) => {
    for (const transport of [sendOverUdp, sendOverTcp]) await transport(query);
    await askOverUdp(question("good.test"));
    expect(upstream.seen).toEqual(["good.test A"]);
  });

  test("forwards what any policy opens and nothing else, also after a reload", async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, askedNames, async (policy, names) => {
        await dnsmasq.reload((marker) => renderServersFile(policy, upstream.address, marker));
        expect(await forwarded(names)).toEqual(names.filter((name) => isOpenByDefinition(policy, name)));
      }),
      { numRuns: 100 },
    );
  });

  test("forwards everything in bypass but what any policy closes", async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, askedNames, async (policy, names) => {
        await dnsmasq.reload((marker) => renderOpenServersFile(policy, upstream.address, marker));
        expect(await forwarded(names)).toEqual(names.filter((name) => !isClosedByDefinition(policy, name)));
      }),
      { numRuns: 60 },
    );
  });

  test("forwards nothing with an empty list of names, not even from the start", async () => {
    await dnsmasq.stop();
    dnsmasq = await startDnsmasq(renderServersFile(policyOf({}), upstream.address));
    expect((await askOverUdp(question("good.test"))).code).toBe("REFUSED");
    expect((await askOverTcp(question("any.name.at.all"))).code).toBe("REFUSED");
    expect(upstream.seen).toEqual([]);
  });

  test.each(["A", "AAAA"] as const)(
    "the marker of the servers file in force, and no other, is NXDOMAIN (%s), whatever was in force before",
    async (type) => {
      const policy = policyOf({ wildcards: ["invalid"], closedExact: ["bad.test"] });
      const [old, current] = ["r1.terok-shield.invalid", "r2.terok-shield.invalid"];
      const codeOf = async (name: string) => (await askOverUdp(question(name, type))).code;
      for (const before of [renderServersFile, renderOpenServersFile]) {
        for (const after of [renderServersFile, renderOpenServersFile]) {
          await dnsmasq.reload(() => before(policy, upstream.address, old), old);
          expect([await codeOf(old), await codeOf(current)]).toEqual(["NXDOMAIN", "NOERROR"]);
          await dnsmasq.reload(() => after(policy, upstream.address, current), current);
          expect([await codeOf(old), await codeOf(current)]).toEqual(["NOERROR", "NXDOMAIN"]);
        }
      }
      expect(upstream.seen).toEqual([]);
    },
  );

  test("nothing in the zone of the markers is forwarded, in bypass neither", async () => {
    await dnsmasq.reload((marker) => renderOpenServersFile(policyOf({}), upstream.address, marker));
    for (const type of Object.keys(QUERY_TYPES) as QueryType[]) {
      await askOverUdp(question("terok-shield.invalid", type));
      await askOverTcp(question("any.terok-shield.invalid", type));
    }
    expect(upstream.seen).toEqual([]);
    await askOverUdp(question("any.invalid"));
    expect(upstream.seen).toEqual(["any.invalid A"]);
  });

  test.each([
    ["10.77.0.7", "NOERROR"],
    ["127.0.0.1", "NOERROR"],
    ["169.254.169.254", "NOERROR"],
    ["::ffff:10.77.0.7", "NOERROR"],
    ["fd00::1", "NOERROR"],
    ["fe80::1", "NOERROR"],
    ["100.64.7.7", "NXDOMAIN"],
    ["64:ff9b::a4d:7", "NXDOMAIN"],
  ])("hands out no %s, over UDP and TCP", async (address, code) => {
    upstream.answerWith([address, address.includes(":") ? "2001:2::7" : "198.18.0.7"]);
    for (const transport of [askOverUdp, askOverTcp]) {
      expect(await transport(question("good.test", typeOf(address)))).toMatchObject({
        code,
        answers: 0,
      });
    }
  });

  test.skipIf(!isAtLeast(DNSMASQ_VERSION, [2, 90]))(
    "leaves out HTTPS records, which carry addresses past the sets",
    async () => {
      for (const transport of [askOverUdp, askOverTcp]) {
        expect(await transport(question("good.test", "HTTPS"))).toMatchObject({
          code: "NOERROR",
          answers: 0,
        });
      }
      expect(upstream.seen).toEqual(["good.test HTTPS", "good.test HTTPS"]);
    },
  );

  test("takes every line of the configuration, the longest too", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dns-tier-"));
    const configFile = join(directory, "dnsmasq.conf");
    const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
    const scopes = Array.from({ length: MOST_SCOPES }, (_, index) => 65_535 - index);
    const config = configIn(directory, policyOf({ exact: scopes.map((scope) => `${longest}@${scope}`) }));
    expect(config.match(/^nftset=.*dns_65535_v6$/m)?.[0].length).toBeGreaterThan(750);
    await writeFile(configFile, config);
    execFileSync(DNSMASQ ?? "", ["--test", `--conf-file=${configFile}`], { stdio: "pipe" });
    await rm(directory, { recursive: true });
  });

  test("caps the time to live of an answer", async () => {
    expect(await askOverUdp(question("good.test"))).toMatchObject({ timesToLive: [60] });
  });

  test("a connection that was open before a reload keeps the names it had, so a narrower policy needs a restart", async () => {
    const connection = await openConnection();
    expect((await connection.ask(question("good.test"))).code).toBe("NOERROR");
    await dnsmasq.reload((marker) =>
      renderServersFile(policyOf({ exact: ["new.test"] }), upstream.address, marker),
    );
    expect((await askOverTcp(question("good.test"))).code).toBe("REFUSED");
    expect((await connection.ask(question("good.test"))).code).toBe("NOERROR");
    connection.close();
  });
});

describe.skipIf(DIG === undefined)("a real dig", () => {
  const runDig = ({ args, signal }: ResolverCommand) => promisify(execFile)(DIG ?? "", [...args], { signal });

  beforeEach(async () => {
    upstream = await startUpstream();
  });

  afterEach(() => upstream.stop());

  test("resolves both families of a name, and says what became of the others", async () => {
    const options = { tier: "dig", runCommand: runDig, server: upstream.address } as const;
    const { resolved, unresolved } = await resolveNames(
      ["good.test", "missing.test", "_under.test"],
      options,
    );
    expect([...resolved]).toEqual([
      ["good.test", ["198.18.0.7", "2001:2::7"]],
      ["_under.test", ["198.18.0.7", "2001:2::7"]],
    ]);
    expect(unresolved).toEqual([{ name: "missing.test", reason: "the resolver answered NXDOMAIN" }]);
  });

  test("asks eighteen names that never get an answer under one deadline, and one that does beside them", async () => {
    const silent = Array.from({ length: 18 }, (_, index) => `silent-${index}.test`);
    const options = {
      tier: "dig",
      runCommand: runDig,
      server: upstream.address,
      deadlineMilliseconds: 4500,
    } as const;
    const started = performance.now();
    const { resolved, unresolved } = await resolveNames([...silent, "good.test"], options);
    expect(performance.now() - started).toBeLessThan(15_000); // Far from eighteen deadlines.
    expect([...resolved.keys()]).toEqual(["good.test"]);
    expect(unresolved.map(({ name }) => name)).toEqual(silent);
  });
});

const askedNames = fc.uniqueArray(domain, { minLength: 40, maxLength: 40 });

/** Asks for all names at once and gives those that dnsmasq forwarded, in the order of `names`. */
async function forwarded(names: readonly string[]): Promise<string[]> {
  upstream.seen.length = 0;
  await Promise.all(names.map((name) => askOverUdp(question(name))));
  const seen = upstream.seen.toSorted();
  const expected = names.filter((name) => seen.includes(`${name} A`));
  // Each once, and nothing beside them.
  expect(seen).toEqual(expected.map((name) => `${name} A`).toSorted());
  return expected;
}

interface Answer {
  readonly code: string | undefined;
  readonly answers: number;
  readonly timesToLive: readonly number[];
}

interface Upstream {
  /** "NAME TYPE" of each query, in order of arrival. */
  readonly seen: string[];
  readonly address: string;
  answerWith(addresses: readonly string[]): void;
  stop(): Promise<void>;
}

/** A resolver that gives one pair of addresses to any name, but "silent…" gets no reply and "missing…" no name. */
async function startUpstream(): Promise<Upstream> {
  const seen: string[] = [];
  let addresses: readonly string[] = ["198.18.0.7", "2001:2::7"];
  const answer = (query: Buffer): Buffer | undefined => {
    const { name, type, end } = readQuestion(query);
    seen.push(`${name} ${type}`);
    if (name.startsWith("silent")) return undefined;
    if (name.startsWith("missing")) {
      return Buffer.concat([
        header(query.readUInt16BE(0), { flags: 0x8183, questions: 1, answers: 0 }),
        query.subarray(12, end),
      ]);
    }
    const records =
      type === "HTTPS"
        ? [record("HTTPS", Buffer.from([0, 1, 0]))]
        : addresses.map(addressRecord).filter((_, index) => type === typeOf(addresses[index] ?? ""));
    return Buffer.concat([
      header(query.readUInt16BE(0), { flags: 0x8180, questions: 1, answers: records.length }),
      query.subarray(12, end),
      ...records,
    ]);
  };
  const overTcp = createServer((connection) => {
    connection.on("error", () => connection.destroy());
    connection.on("data", (chunk) => connection.end(framed(answer(chunk.subarray(2)) ?? Buffer.alloc(0))));
  });
  await once(overTcp.listen(0, "127.0.0.1"), "listening");
  const { port } = overTcp.address() as AddressInfo;
  const overUdp = createSocket("udp4");
  overUdp.on("message", (query, { port: sender, address }) => {
    const reply = answer(query);
    if (reply !== undefined) overUdp.send(reply, sender, address);
  });
  await once(overUdp.bind(port, "127.0.0.1"), "listening");
  return {
    seen,
    address: `127.0.0.1#${port}`,
    answerWith: (chosen) => {
      addresses = chosen;
    },
    stop: async () => {
      overUdp.close();
      overTcp.close();
      await once(overTcp, "close");
    },
  };
}

interface Dnsmasq {
  readonly port: number;
  /** Resolves once dnsmasq has read the file that `render` makes with a new marker, or with `marker`. */
  reload(render: (marker: string) => string, marker?: string): Promise<void>;
  stop(): Promise<void>;
}

let reloads = 0;

async function startDnsmasq(serversFileText: string, attempts = 3): Promise<Dnsmasq> {
  const directory = await mkdtemp(join(tmpdir(), "dns-tier-"));
  const serversFile = join(directory, "servers");
  await writeFile(serversFile, serversFileText);
  const port = await freePort();
  const configFile = join(directory, "dnsmasq.conf");
  await writeFile(configFile, `${withoutPrivileges(configIn(directory))}port=${port}\n`);
  const process = spawn(DNSMASQ ?? "", ["--keep-in-foreground", `--conf-file=${configFile}`], {
    stdio: "ignore",
  });
  const stop = async (): Promise<void> => {
    await ended(process);
    await rm(directory, { recursive: true });
  };
  const logFile = join(directory, "log");
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  await vi.waitUntil(() => process.exitCode !== null || log().includes("started, version"), {
    timeout: 20_000,
    interval: 5,
  });
  if (process.exitCode !== null && attempts > 1) {
    // Somebody else took the port.
    await stop();
    return startDnsmasq(serversFileText, attempts - 1);
  }
  return {
    port,
    stop,
    reload: async (render, marker = `reload-${++reloads}.terok-shield.invalid`) => {
      const before = log().length;
      await writeFile(serversFile, render(marker));
      process.kill("SIGHUP");
      await vi.waitUntil(() => log().includes(`addresses for ${marker}\n`, before), {
        timeout: 20_000,
        interval: 2,
      });
    },
  };
}

function configIn(directory: string, names = STRICT): string {
  return renderDnsmasqConfig({
    version: DNSMASQ_VERSION,
    serversFile: join(directory, "servers"),
    pidFile: join(directory, "pid"),
    logFile: join(directory, "log"),
    table: { family: "inet", name: "terok_shield" },
    learnedSets: (scope) => ({ v4: `dns_${scope}_v4`, v6: `dns_${scope}_v6` }),
    names,
    maximumTtlSeconds: 60,
    refusedAnswers: ["100.64.0.0/10", "64:ff9b::a00:0/104"],
  });
}

/** Connection marks, nftables sets and port 53 need capabilities that a unit test has not. */
function withoutPrivileges(config: string): string {
  return config
    .split("\n")
    .filter((line) => line !== "conntrack" && line !== "port=53" && !line.startsWith("nftset="))
    .join("\n");
}

async function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  process.kill("SIGTERM");
  await once(process, "exit");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function askOverUdp(query: Buffer): Promise<Answer> {
  return readAnswer(await exchangeOverUdp(query));
}

async function exchangeOverUdp(query: Buffer): Promise<Buffer> {
  const socket = createSocket("udp4");
  try {
    const answered = once(socket, "message");
    socket.send(query, dnsmasq.port, "127.0.0.1");
    const [reply] = (await answered) as [Buffer];
    return reply;
  } finally {
    socket.close();
  }
}

async function askOverTcp(query: Buffer): Promise<Answer> {
  const connection = await openConnection();
  try {
    return await connection.ask(query);
  } finally {
    connection.close();
  }
}

async function openConnection(): Promise<{ ask(query: Buffer): Promise<Answer>; close(): void }> {
  const socket = connect(dnsmasq.port, "127.0.0.1");
  await once(socket, "connect");
  return {
    ask: async (query) => {
      const answered = once(socket, "data");
      socket.write(framed(query));
      const [reply] = (await answered) as [Buffer];
      return readAnswer(reply.subarray(2));
    },
    close: () => socket.destroy(),
  };
}

/** For queries that may get no reply at all: dnsmasq handles datagrams in order, so the next answer follows them. */
async function sendOverUdp(query: Buffer): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.send(query, dnsmasq.port, "127.0.0.1", resolve));
  socket.close();
}

async function sendOverTcp(query: Buffer): Promise<void> {
  const socket = connect(dnsmasq.port, "127.0.0.1");
  socket.on("error", () => socket.destroy());
  socket.resume();
  socket.end(framed(query));
  await once(socket, "close");
}

function question(name: string, type: QueryType = "A"): Buffer {
  return message(encodeLabels(name === "" ? [] : name.split("."), type));
}

function message(...questions: readonly Buffer[]): Buffer {
  return Buffer.concat([
    header(0x1234, { flags: 0x0100, questions: questions.length, answers: 0 }),
    ...questions,
  ]);
}

function withOpcode(query: Buffer, opcode: number): Buffer {
  query.writeUInt16BE(opcode << 11, 2);
  return query;
}

function header(
  id: number,
  { flags, questions, answers }: { flags: number; questions: number; answers: number },
): Buffer {
  const bytes = Buffer.alloc(12);
  for (const [index, value] of [id, flags, questions, answers].entries())
    bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

function encodeLabels(labels: readonly string[], type: QueryType = "A", dnsClass = 1): Buffer {
  const encoded = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  const tail = Buffer.alloc(5);
  tail.writeUInt16BE(QUERY_TYPES[type], 1);
  tail.writeUInt16BE(dnsClass, 3);
  return Buffer.concat([...encoded, tail]);
}

function typeOf(address: string): "A" | "AAAA" {
  return address.includes(":") ? "AAAA" : "A";
}

function addressRecord(address: string): Buffer {
  const type = typeOf(address);
  return record(type, type === "AAAA" ? ipv6Bytes(address) : Buffer.from(address.split(".").map(Number)));
}

/** A record of the name that was asked for, good for a day. */
function record(type: QueryType, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(QUERY_TYPES[type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(86400, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function ipv6Bytes(address: string): Buffer {
  const [, mapped] = /^::ffff:([\d.]+)$/.exec(address) ?? [];
  if (mapped !== undefined)
    return Buffer.from([...Array(10).fill(0), 255, 255, ...mapped.split(".").map(Number)]);
  const [head = [], tail = []] = address
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const groups = [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function readQuestion(query: Buffer): { name: string; type: string; end: number } {
  const labels: string[] = [];
  let offset = 12;
  for (let length = query.readUInt8(offset); length > 0; length = query.readUInt8(offset)) {
    labels.push(query.toString("latin1", offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
  const number = query.readUInt16BE(offset + 1);
  const [type = String(number)] = Object.entries(QUERY_TYPES).find(([, value]) => value === number) ?? [];
  return { name: labels.join("."), type, end: offset + 5 };
}

function readAnswer(reply: Buffer): Answer {
  const answers = reply.readUInt16BE(6);
  let offset = readQuestion(reply).end;
  const timesToLive: number[] = [];
  for (let index = 0; index < answers; index++) {
    timesToLive.push(reply.readUInt32BE(offset + 6));
    offset += 12 + reply.readUInt16BE(offset + 10);
  }
  return { code: RESPONSE_CODES[reply.readUInt16BE(2) & 0xf], answers, timesToLive };
}

function framed(text: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, text]);
}
