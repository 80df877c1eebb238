import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Flow, monotonicSeconds, startClient } from "../src/lab/client.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { all, expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROFILE = `
good.test
198.18.1.1
2001:2::aaaa
`;

const TIERS = [
  { tier: "dnsmasq", hide: [] },
  { tier: "dig", hide: ["/usr/sbin/dnsmasq"] },
];

/** With servers for UDP. Only `good.test` and the first are allowed. */
const ADDRESSES = [
  "198.18.1.1",
  "2001:2::aaaa",
  "198.18.9.9",
  "2001:2:0:9::9",
  "198.18.66.66",
  "2001:2::6666",
];

const ALLOWED = ["tcp,198.18.1.1,80", "tcp,2001:2::aaaa,443", "udp,198.18.1.1,9000"];
const LEARNED = ["tcp,198.18.0.10,80", "tcp,2001:2::10,80"];
const DENIED = ["tcp,198.18.9.9,80", "udp,198.18.9.9,9000", "tcp,2001:2:0:9::9,80"];
const UNLISTED = ["tcp,198.18.66.66,80", "udp,198.18.66.66,9000", "tcp,2001:2::6666,80"];
const PRIVATE = ["tcp,10.77.0.7,80", "tcp,192.168.77.7,80", "tcp,169.254.169.254,80", "tcp,fd77::7,80"];

const ECHO_SERVER = `
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)
socketserver.ThreadingTCPServer(("", 8000), Echo).serve_forever()
`;

const SWITCHES = 200;
/** Of a client that connects all the time: leaves the switches something of the processor. */
const PAUSE_SECONDS = 0.005;

describe.each(TIERS)("down, up and block in the $tier tier", ({ tier, hide }) => {
  let lab: Lab;
  let web: ShieldedContainer;
  beforeAll(async () => {
    lab = await createLab({ hide, shieldPrefix: installedShield() });
    await lab.internet.setName("udp.test", { addresses: ADDRESSES });
    await lab.internet.setName("denied.test", { addresses: ["198.18.9.1", "2001:2:0:9::1"] });
    await lab.internet.setName("bypassed.test", { addresses: ["198.18.9.2", "2001:2:0:9::2"] });
    await lab.internet.setName("leased.test", { addresses: ["198.18.9.3"] });
    web = await startShielded(lab, "web", PROFILE);
    await web.mustShield("deny", "198.18.9.9", "2001:2:0:9::9", "denied.test", "10.77.0.7");
    await web.client.resolve("good.test");
  });
  afterAll(() => lab?.destroy());

  /** An HTTP stream and an echo by UDP. */
  async function openFlows(address: string): Promise<Flow[]> {
    const flows = await Promise.all([
      web.client.open("stream", `tcp,${address},80`),
      web.client.open("echo", `udp,${address},9000`),
    ]);
    await Promise.all(flows.map((flow) => flow.goesOn()));
    return flows;
  }

  async function expectCut(
    flows: readonly Flow[],
    within: { after?: number; before: number },
  ): Promise<void> {
    const ends = await Promise.all(flows.map((flow) => flow.ended()));
    expect(ends.map(({ reason }) => reason)).toEqual(
      flows.map((_, index) => (index % 2 ? "EPERM" : "ECONNRESET")),
    );
    for (const { at } of ends) {
      expect(at).toBeGreaterThan(within.after ?? 0);
      expect(at).toBeLessThan(within.before);
    }
  }

  async function queriedNames(): Promise<string[]> {
    return (await lab.internet.dnsQueries()).map(({ name }) => name);
  }

  const expectUp = () =>
    expectReach(lab, web, { open: [...ALLOWED, ...LEARNED], refused: [...DENIED, ...UNLISTED, ...PRIVATE] });

  test("down opens what nobody denied, but no private address; up closes it again", async () => {
    await expectUp();
    await web.mustShield("down");
    expect(await web.status()).toMatchObject({ kind: "down" });
    await expectReach(lab, web, {
      open: [...ALLOWED, ...LEARNED, ...UNLISTED],
      refused: [...DENIED, ...PRIVATE],
    });
    await web.mustShield("up");
    expect(await web.status()).toEqual({ kind: "up" });
    await expectUp();
  });

  test("down --all opens private addresses too, but none that is denied", async () => {
    expect(JSON.parse(await web.mustShield("down", "--all", "--json"))).toMatchObject({
      container: "web",
      mode: "down_all",
    });
    expect(await web.status()).toEqual({ kind: "down_all" });
    const [deniedPrivate = "", ...privateOnes] = PRIVATE;
    await expectReach(lab, web, {
      open: [...ALLOWED, ...UNLISTED, ...privateOnes],
      refused: [...DENIED, deniedPrivate],
    });
    await web.mustShield("down");
    await expectReach(lab, web, { open: [...ALLOWED, ...UNLISTED], refused: [...DENIED, ...PRIVATE] });
    await web.mustShield("up");
    await expectUp();
  });

  if (tier === "dnsmasq") {
    test("in bypass every name resolves but the denied, and up forgets what was learned in between", async () => {
      const learned = ["tcp,198.18.9.2,80", "tcp,2001:2:0:9::2,80"];
      await lab.internet.reset();
      expect(await web.client.resolve("bypassed.test")).toEqual([]);
      await web.mustShield("down");
      expect(await web.client.resolve("bypassed.test")).toEqual(["198.18.9.2", "2001:2:0:9::2"]);
      expect(await web.client.resolve("denied.test")).toEqual([]);
      await expectReach(lab, web, { open: learned });
      await lab.internet.reset();
      await web.mustShield("up");
      expect(await web.client.resolve("bypassed.test")).toEqual([]);
      expect(await web.client.resolve("denied.test")).toEqual([]);
      expect(await queriedNames()).not.toContain("denied.test");
      expect(await queriedNames()).not.toContain("bypassed.test");
      await expectReach(lab, web, { open: LEARNED, refused: learned });
    });
  }

  test("flows opened in bypass end with up, within a second; what is denied never had any", async () => {
    await web.mustShield("down");
    const bypassed = [...(await openFlows("198.18.66.66")), ...(await openFlows("2001:2::6666"))];
    await expect(openFlows("198.18.9.9")).rejects.toThrow(/cannot be opened: (EHOSTUNREACH|EPERM)$/);
    await web.mustShield("up");
    await expectCut(bypassed, { before: monotonicSeconds() + 1 });
    await expectUp();
  });

  test("flows to allowed hosts live through down and up, 20 times", async () => {
    const flows = [
      ...(await openFlows("198.18.1.1")),
      ...(await openFlows("2001:2::aaaa")),
      ...(await openFlows("198.18.0.10")),
    ];
    for (let round = 0; round < (tier === "dnsmasq" ? 20 : 2); round++) {
      await web.mustShield("down");
      await web.mustShield("up");
    }
    await Promise.all(flows.map((flow) => flow.goesOn()));
    await Promise.all(flows.map((flow) => flow.close()));
    await expectUp();
  });

  test("block cuts everything within a second and lets nothing out, until up", async () => {
    const flows = [...(await openFlows("198.18.1.1")), ...(await openFlows("2001:2::aaaa"))];
    await web.mustShield("block");
    await expectCut(flows, { before: monotonicSeconds() + 1 });
    expect(await web.status()).toEqual({ kind: "block" });
    await lab.internet.reset();
    await expectReach(lab, web, { refused: [...ALLOWED, ...LEARNED, ...DENIED, ...UNLISTED, ...PRIVATE] });
    if (tier === "dnsmasq") {
      expect(await web.client.resolve("good.test")).toEqual([]);
      expect(await queriedNames()).toEqual([]);
    }
    await web.mustShield("up");
    await expectUp();
  });

  test("block lets nobody in, and ends what came in by a published port", async () => {
    const published = await startShielded(lab, "published", PROFILE, ["-p", "127.0.0.1:18000:8000"]);
    await lab.user.mustRun("podman", ["exec", "--detach", "published", "python3", "-c", ECHO_SERVER]);
    const host = await startClient(lab);
    const target = "tcp,127.0.0.1,18000";
    await until("the server answers", async () => (await host.attempt(target))[0] === "answered");
    const flow = await host.open("echo", target);
    await flow.goesOn();
    await published.mustShield("block");
    await setTimeout(1000);
    const { heard } = await flow.state();
    expect((await host.attempt(target))[0]).not.toBe("answered");
    expect((await flow.state()).heard).toBe(heard);
    await published.mustShield("up");
    expect(await host.attempt(target)).toEqual(["answered"]);
    await published.remove();
  });

  test("block outlives a restart; down does not, and needs a running container", async () => {
    await web.mustShield("block");
    await lab.user.mustRun("terok-shield", ["restart", "web"]);
    await web.reconnect();
    expect(await web.status()).toEqual({ kind: "block" });
    await expectReach(lab, web, { refused: ALLOWED });
    await web.mustShield("up");
    await expectReach(lab, web, { open: ALLOWED, refused: DENIED });

    await web.mustShield("down");
    await lab.user.mustRun("podman", ["stop", "--time=0", "web"]);
    expect(await web.shield("down")).toMatchObject({ exitCode: 1, stdout: "" });
    await lab.user.mustRun("terok-shield", ["start", "web"]);
    await web.reconnect();
    expect(await web.status()).toEqual({ kind: "up" });
    await web.client.resolve("good.test");
    await expectUp();
  });

  describe("with --for", () => {
    const timers = async () =>
      (await lab.user.processes()).filter(({ command }) => command.includes("terok-shield-timer"));

    test.each(["nobody interferes", "its timer was killed"])("down ends by itself, when %s", async (how) => {
      const before = monotonicSeconds();
      await web.mustShield("down", "--for", "3s");
      const after = monotonicSeconds();
      const flows = [...(await openFlows("198.18.66.66")), ...(await openFlows("2001:2::6666"))];
      if (how === "its timer was killed") {
        const pids = (await timers()).map(({ pid }) => String(pid));
        expect(pids).not.toEqual([]);
        await lab.user.mustRun("kill", ["-9", ...pids]);
      }
      await expectCut(flows, { after: before + 3, before: after + 3 + 1 });
      await expectReach(lab, web, {
        open: [...ALLOWED, ...LEARNED],
        refused: [...DENIED, ...UNLISTED, ...PRIVATE],
      });
      if (tier === "dnsmasq") {
        await lab.internet.reset();
        expect(await web.client.resolve("leased.test")).toEqual([]);
        expect(await queriedNames()).not.toContain("leased.test");
      }
      await (how === "its timer was killed"
        ? web.mustShield("up")
        : until("status says up", async () => (await web.status()).kind === "up"));
      await web.client.resolve("good.test");
      await expectUp();
      await until("no timer is left", async () => (await timers()).length === 0);
    });

    test("up ends it early, and its timer too", async () => {
      await web.mustShield("down", "--for", "1h");
      expect((await lab.shield(["status", "web"])).stdout).toMatch(
        / down .*comes back up in (1h|59m\d+s)$/ms,
      );
      await expectReach(lab, web, { open: UNLISTED });
      await web.mustShield("up");
      await expectUp();
      expect(await timers()).toEqual([]);
    });
  });

  if (tier !== "dnsmasq") return;

  test("a client that connects all the time finds no instant in which a denied address is open, or an allowed one closed", async () => {
    await web.client.resolve("good.test");
    const [toggling = ""] = UNLISTED;
    const [closed = ""] = PRIVATE.slice(1);
    const loop = await web.client.loop([...ALLOWED, ...LEARNED, ...DENIED, closed, toggling], PAUSE_SECONDS);
    for (let round = 0; round < SWITCHES; round++) {
      await web.mustShield(round % 2 === 0 ? "down" : "up");
    }
    const counts = await loop.stop();
    const outcomes = (target: string) => Object.keys(counts[target] ?? {}).sort();
    expect([...ALLOWED, ...LEARNED].map((target) => [target, outcomes(target)])).toEqual(
      [...ALLOWED, ...LEARNED].map((target) => [target, ["answered"]]),
    );
    for (const target of [...DENIED, closed]) expect(outcomes(target)).not.toContain("answered");
    // Proof that it was fast enough to see the switches. A connection that a switch met half-way is reset.
    const seen = counts[toggling] ?? {};
    expect(seen.answered).toBeGreaterThan(SWITCHES);
    expect(seen.EHOSTUNREACH).toBeGreaterThan(SWITCHES);
    const arrived = (await lab.internet.arrivals()).map(({ address }) => address);
    for (const target of [...DENIED, closed]) expect(arrived).not.toContain(target.split(",")[1]);
    await expectUp();
  }, 400_000);

  test("nor does it while blocked and not blocked take turns", async () => {
    await lab.internet.reset();
    const watched = [...DENIED, ...UNLISTED];
    const loop = await web.client.loop([...watched, "tcp,198.18.1.1,80"], PAUSE_SECONDS);
    for (let round = 0; round < 20; round++) {
      await web.mustShield(round % 2 === 0 ? "block" : "up");
    }
    const counts = await loop.stop();
    for (const target of watched) expect(Object.keys(counts[target] ?? {})).not.toContain("answered");
    expect(Object.keys(counts["tcp,198.18.1.1,80"] ?? {})).toEqual(
      expect.arrayContaining(["EHOSTUNREACH", "answered"]),
    );
    const arrived = (await lab.internet.arrivals()).map(({ address }) => address);
    expect([...new Set(arrived)]).toEqual(["198.18.1.1"]);
    await expectUp();
  });

  test("everything that was ever in bypass is in the audit log", async () => {
    const { stdout } = await lab.shield(["logs", "--container", "web", "--only", "lifecycle", "-n", "5000"]);
    const actions = stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line).action);
    const count = (action: string) => actions.filter((each) => each === action).length;
    expect(count("shield_down")).toBeGreaterThan(SWITCHES / 2);
    expect(count("shield_up")).toBeGreaterThan(SWITCHES / 2);
    expect(count("blocked")).toBeGreaterThanOrEqual(10);
    expect(actions).not.toContain("error");
  });

  test("all that was denied is denied still", async () => {
    expect(await web.see(...DENIED)).toEqual(all(DENIED, "refused"));
    expect(await web.client.resolve("denied.test")).toEqual([]);
  });
});
