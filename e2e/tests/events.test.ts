import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { openKernel } from "./kernel.ts";
import { eventsOf, type ShieldEvent } from "./shield-events.ts";
import { expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROBE = await readFile(new URL("../src/lab/event-probe.py", import.meta.url), "utf8");

const FLOOD = await readFile(new URL("../src/lab/flood.py", import.meta.url), "utf8");

const PROFILE = `
good.test
*.wild.test
198.18.1.1
2001:2::aaaa
198.18.9.0/24
`;

type Packet = readonly [protocol: string, address: string, port?: number];

function series(count: number, packet: (index: number) => Packet): Packet[] {
  return Array.from({ length: count }, (_, index) => packet(index + 1));
}

/** What no rule lets through, by the verdict that it has to have: 200 attempts, no two the same. */
const REFUSED: Readonly<Record<string, readonly Packet[]>> = {
  blocked: [
    ...series(40, (n) => ["tcp", `198.18.100.${n}`, 1000 + n]),
    ...series(40, (n) => ["udp", `198.18.101.${n}`, 2000 + n]),
    ...series(40, (n) => ["tcp", `2001:2:0:100::${n.toString(16)}`, 3000 + n]),
    ...series(30, (n) => ["udp", `2001:2:0:101::${n.toString(16)}`, 4000 + n]),
    ...series(15, (n) => ["icmp", `198.18.102.${n}`]),
    ...series(15, (n) => ["icmpv6", `2001:2:0:102::${n.toString(16)}`]),
  ],
  denied: [
    ...series(8, (n) => ["tcp", `198.18.9.${n}`, 80]),
    // Where an allowed name led.
    ["tcp", "198.18.0.10", 443],
    ["udp", "2001:2::10", 443],
  ],
  private: [
    ...series(5, (n) => ["tcp", `10.77.0.${n}`, 22]),
    ...series(4, (n) => ["udp", `fd77::${n}`, 161]),
    ["icmp", "169.254.169.254"],
  ],
};

describe("the events of a container", () => {
  let lab: Lab;
  let web: ShieldedContainer;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    web = await startShielded(lab, "web", PROFILE);
  });
  afterAll(() => lab?.destroy());

  /** Runs the probe in the container; gives what came of each line. */
  async function probe(...lines: readonly (readonly unknown[])[]): Promise<string[]> {
    const stdin = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const args = ["exec", "--interactive", "web", "python3", "-c", PROBE];
    const { stdout } = await lab.podman(args, { stdin });
    return stdout.trim().split("\n");
  }

  const send = (packets: readonly Packet[]) =>
    probe(...packets.map(([protocol, ...rest]) => [protocol.replace("icmpv6", "icmp"), ...rest]));
  const ask = (name: string, type = 1) =>
    askLabels(
      name.split(".").map((label) => Buffer.from(label)),
      type,
    );
  const askLabels = async (labels: readonly Buffer[], type = 1) =>
    (await probe(["dns", labels.map((label) => label.toString("base64")), type]))[0];

  /** The events that are not among the `known`, as soon as there are so many that `isWanted`. */
  async function awaitEvents(
    count: number,
    isWanted: (event: ShieldEvent) => boolean,
    known: readonly ShieldEvent[] = [],
  ): Promise<ShieldEvent[]> {
    const before = new Set(known.map((event) => JSON.stringify(event)));
    let found: ShieldEvent[] = [];
    await until(
      `there are ${count} events`,
      async () => {
        const events = await eventsOf(lab, "web");
        found = events.filter((event) => isWanted(event) && !before.has(JSON.stringify(event)));
        return found.length >= count;
      },
      30_000,
    );
    return found;
  }
  async function refusedByKernel(): Promise<number> {
    const listing = await (await openKernel(lab, "web")).nft("list", "counters");
    return [...listing.matchAll(/counter refused_(?:blocked|denied|private) \{\s+packets (\d+)/g)]
      .map(([, packets]) => Number(packets))
      .reduce((sum, packets) => sum + packets, 0);
  }
  const isPacket = ({ action }: ShieldEvent) => action === "packet";
  const isName = ({ action }: ShieldEvent) => action === "name";
  const inWords = ({ verdict, protocol, address, port, name }: ShieldEvent) =>
    [verdict, protocol, address, port, name].filter((word) => word !== undefined).join(" ");

  test("are one for every refused attempt of 200 different ones, and none else", async () => {
    expect(await ask("good.test")).toBe("rcode 0");
    expect(await ask("good.test", 28)).toBe("rcode 0");
    for (const target of ["198.18.9.0/24", "198.18.0.10", "2001:2::10"]) await web.mustShield("deny", target);
    const attempts = Object.values(REFUSED).flat();
    expect(new Set(attempts.map((attempt) => attempt.join())).size).toBe(200);
    await lab.internet.reset();
    await send(attempts);
    expect(await lab.internet.arrivals()).toEqual([]);
    const events = await awaitEvents(200, isPacket);
    const expected = Object.entries(REFUSED).flatMap(([verdict, packets]) =>
      packets.map((packet) => {
        const isNamed = ["198.18.0.10", "2001:2::10"].includes(packet[1]);
        return [verdict, ...packet, ...(isNamed ? ["good.test"] : [])].join(" ");
      }),
    );
    expect([...new Set(events.map(inWords))].sort()).toEqual(expected.sort());
    // A connection that does not hear of its refusal at once sends another packet, and each of them is an event.
    await until(
      "each packet that the kernel refused is an event",
      async () => (await eventsOf(lab, "web")).filter(isPacket).length === (await refusedByKernel()),
    );
    expect(events.map(({ ts }) => ts)).toEqual(events.map(({ ts }) => ts).sort());
    for (const { ts, uid, icmpType, protocol } of events) {
      expect(Math.abs(Date.parse(ts) - Date.now())).toBeLessThan(120_000);
      expect(uid).toBe(0);
      expect(icmpType).toBe(protocol === "icmp" ? 8 : protocol === "icmpv6" ? 128 : undefined);
    }
  });

  test("say as which user of the container it was tried", async () => {
    const before = await eventsOf(lab, "web");
    const stdin = `${JSON.stringify(["udp", "198.18.103.1", 4000])}\n`;
    await lab.podman(["exec", "--user=7", "--interactive", "web", "python3", "-c", PROBE], { stdin });
    expect((await awaitEvents(1, isPacket, before)).map(({ uid }) => uid)).toEqual([7]);
  });

  test("tell the first packet of each connection that is allowed, with the name that led there", async () => {
    const before = await eventsOf(lab, "web");
    expect(await ask("a.wild.test")).toBe("rcode 0");
    expect(
      await send([
        ["tcp", "198.18.1.1", 80],
        ["udp", "2001:2::aaaa", 9000],
        ["tcp", "198.18.0.21", 80],
      ]),
    ).toEqual(["sent", "sent", "sent"]);
    expect((await awaitEvents(3, isPacket, before)).map(inWords)).toEqual([
      "allowed tcp 198.18.1.1 80",
      "allowed udp 2001:2::aaaa 9000",
      "allowed tcp 198.18.0.21 80 a.wild.test",
    ]);
  });

  test("tell what goes through in bypass, and whoever asked for it finds it among the lifecycle", async () => {
    const before = await eventsOf(lab, "web");
    await web.mustShield("down");
    expect(await ask("evil.test")).toBe("rcode 0");
    expect(
      await send([
        ["tcp", "198.18.66.66", 80],
        ["tcp", "198.18.9.9", 80],
      ]),
    ).toEqual(["sent", expect.not.stringContaining("sent")]);
    await web.mustShield("up");
    const events = await awaitEvents(4, ({ action }) => action !== "sampled", before);
    expect(
      events.map(({ action, ...event }) => (action === "packet" ? inWords(event as ShieldEvent) : action)),
    ).toEqual([
      "shield_down",
      "bypass tcp 198.18.66.66 80 evil.test",
      "denied tcp 198.18.9.9 80",
      "shield_up",
    ]);
  });

  test("are one for every name that was refused, whatever was asked of it", async () => {
    const before = await eventsOf(lab, "web");
    await web.mustShield("deny", "b.a.wild.test");
    expect(await ask("evil.test")).toBe("rcode 5");
    expect(await ask("Sub.Evil.test", 28)).toBe("rcode 5");
    expect(await ask("evil.test", 16)).toBe("rcode 5");
    expect(await ask("b.a.wild.test")).toBe("rcode 3");
    expect(await ask("missing.wild.test")).toBe("rcode 3");
    const events = await awaitEvents(4, isName, before);
    expect(events.map(({ verdict, name, queryType }) => `${verdict} ${name} ${queryType}`)).toEqual([
      "refused evil.test A",
      "refused sub.evil.test AAAA",
      "refused evil.test TXT",
      "refused b.a.wild.test A",
    ]);
  });

  test("have one clean line for every name that an attacker thinks of", async () => {
    const before = await eventsOf(lab, "web");
    const labels = (...texts: (string | Buffer)[]) => texts.map((text) => Buffer.from(text as string));
    const names = [
      labels("\u001b[31mred", "test"),
      labels("new\nline", "test"),
      labels('"quoted"', "'too'", "test"),
      labels(Buffer.from([0xff, 0xfe, 0x80]), "test"),
      labels("x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(61)),
      labels("\u0007".repeat(63), "\u202e", "test"),
      labels("nul\0", "dot.inside", "test"),
      labels('{"v":1}', "test"),
      labels("query[A] good.test from 127.0.0.1", "test"),
    ];
    for (const name of names) expect(await askLabels(name)).toBe("rcode 5");
    const events = await awaitEvents(names.length, isName, before);
    expect(events).toHaveLength(names.length);
    const seen = events.map(({ name = "" }) => name);
    for (const name of seen) expect(name).toMatch(/^[\x20-\x7e]{1,255}$/);
    expect(seen[2]).toBe(`"quoted".'too'.test`);
    expect(seen[4]).toBe(`${"x".repeat(63)}.${"y".repeat(63)}.${"z".repeat(63)}.${"w".repeat(61)}`);
    expect(seen[7]).toBe('{"v":1}.test');
    for (const form of [
      ["logs", "--container", "web", "--pretty"],
      ["learn", "web"],
      ["report", "web"],
    ]) {
      const text = await lab.user.mustRun("terok-shield", form);
      expect(text).toContain("name unprintable");
      expect(text.replaceAll("×", "")).toMatch(/^[\n\x20-\x7e]+$/);
    }
    const pretty = ["logs", "--container", "web", "--pretty", "--only", "names", "-n", String(names.length)];
    const lines = (await lab.user.mustRun("terok-shield", pretty)).trim().split("\n");
    // Those that look the same are joined.
    const counts = lines.map((line) => Number(/refused ×(\d+) /.exec(line)?.[1] ?? 1));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(names.length);
    // What was cut out of the middle of a name is no line of its own.
    expect(await ask("after.test")).toBe("rcode 5");
    expect((await awaitEvents(names.length + 1, isName, before)).at(-1)).toMatchObject({
      name: "after.test",
    });
  });
});

describe("a flood", () => {
  let lab: Lab;
  let web: ShieldedContainer;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    web = await startShielded(lab, "web", PROFILE);
  });
  afterAll(() => lab?.destroy());

  async function flood(...args: readonly string[]): Promise<{ sent: number; refused: number }> {
    const { stdout } = await lab.podman(["exec", "web", "python3", "-c", FLOOD, ...args]);
    return JSON.parse(stdout);
  }

  async function counted(name: string): Promise<number> {
    const listing = await (await openKernel(lab, "web")).nft("list", "counters");
    return Number(new RegExp(`counter ${name} \\{\\s+packets (\\d+)`).exec(listing)?.[1]);
  }

  async function bundleBytes(): Promise<number> {
    const bundle = `${lab.user.home}/.local/state/terok/shield/containers/web`;
    return Number((await lab.user.mustRun("du", ["--bytes", "--summarize", bundle])).split("\t")[0]);
  }

  /** Sums over all that was left out. */
  async function leftOut(): Promise<{ blocked: number; queries: number }> {
    const sampled = (await eventsOf(lab, "web")).filter(({ action }) => action === "sampled");
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    return {
      blocked: sum(sampled.map((event) => event.leftOut?.blocked ?? 0)),
      queries: sum(sampled.map(({ detail }) => Number(/(\d+) DNS quer/.exec(detail ?? "")?.[1] ?? 0))),
    };
  }

  test("of packets and names is counted to the last, bounded on disk, and the log says how many it left out", async () => {
    await web.mustShield("allow", "198.18.5.5");
    expect(await flood("packets", "100000")).toEqual({ sent: 100_000, refused: 100_000 });
    expect(await counted("refused_blocked")).toBe(100_000);
    const askedBefore = await counted("dns_asked");
    let refused = 0;
    for (const parent of ["flood.test", "wild.test"]) {
      const names = await flood("names", "10000", parent);
      expect(names.sent).toBe(10_000);
      // They come in a burst that the resolver takes some of.
      expect(names.refused).toBeGreaterThan(5_000);
      refused += names.refused;
    }
    expect(await counted("refused_queries")).toBe(refused);
    expect((await counted("dns_asked")) - askedBefore).toBe(20_000 - refused);
    // A connection may ask a hundred times, and is refused without a word, so only the kernel knows how many were.
    expect(await flood("connections", "2000", "flood.test")).toMatchObject({ sent: 2000 });
    const connections = (await counted("refused_queries")) - refused;
    expect(connections).toBeGreaterThan(100);
    refused += connections;
    await until("the log accounts for each", async () => (await leftOut()).queries === refused, 30_000);
    const events = await eventsOf(lab, "web");
    const listed = events.filter(({ verdict }) => verdict === "blocked").length;
    expect(listed).toBeGreaterThanOrEqual(1000);
    expect(listed).toBeLessThan(10_000);
    expect(listed + (await leftOut()).blocked).toBe(100_000);
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(["setup", "allowed"]));
    expect(await bundleBytes()).toBeLessThan(16 * 1024 ** 2);
  });

  test("leaves the shield as it was: what is allowed is open, what is not is refused, names resolve", async () => {
    await until("a name resolves", async () => (await web.client.resolve("good.test")).length > 0, 30_000);
    await expectReach(lab, web, {
      open: ["tcp,198.18.1.1,80", "tcp,198.18.5.5,80", "tcp,198.18.0.10,80"],
      refused: ["tcp,198.18.66.66,80", "tcp,10.77.0.7,80"],
    });
    expect(await web.status()).toEqual({ kind: "up" });
  });
});

describe("a full disk", () => {
  let lab: Lab;
  let web: ShieldedContainer;
  let state: string;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    state = `${lab.user.home}/.local/state/terok/shield`;
    await lab.user.mustRun("mkdir", ["--parents", "--mode=0700", state]);
    const options = `size=4m,mode=0700,uid=${lab.user.uid},gid=${lab.user.uid}`;
    await lab.root.mustRun("mount", ["-t", "tmpfs", "-o", options, "disk", state]);
    web = await startShielded(lab, "web", PROFILE);
  });
  afterAll(() => lab?.destroy());

  const packets = async (address: string) =>
    (await eventsOf(lab, "web")).filter((event) => event.address === address).length;
  const names = async (name: string) =>
    (await eventsOf(lab, "web")).filter((event) => event.name === name).length;

  test("stops the log and not the shield, and the log goes on when there is room", async () => {
    await web.see("tcp,198.18.66.1,80");
    await until("the attempt is an event", async () => (await packets("198.18.66.1")) > 0);
    const { stderr } = await lab.user.run("dd", ["if=/dev/zero", `of=${state}/filler`, "bs=4k"]);
    expect(stderr).toContain("No space left on device");
    await lab.internet.reset();
    // Enough to fill up what the last block has left.
    for (let port = 1000; port < 1020; port++) {
      expect(Object.values(await web.see(`tcp,198.18.66.2,${port}`))).toEqual(["refused"]);
      expect(await web.client.resolve(`full-${port}.test`)).toEqual([]);
    }
    expect(await lab.internet.arrivals()).toEqual([]);
    expect(await web.client.resolve("good.test")).toEqual(["198.18.0.10", "2001:2::10"]);
    expect(await web.see("tcp,198.18.0.10,80")).toEqual({ "tcp,198.18.0.10,80": "open" });
    expect(await packets("198.18.66.2")).toBeLessThan(20);
    expect(await web.status()).toEqual({ kind: "up" });
    await lab.user.mustRun("rm", [`${state}/filler`]);
    await until("packets are events again", async () => {
      await web.see("tcp,198.18.66.3,80");
      return (await packets("198.18.66.3")) > 0;
    });
    await until(
      "names are events again",
      async () => {
        await web.client.resolve("room.test");
        return (await names("room.test")) > 0;
      },
      30_000,
    );
  });
});
