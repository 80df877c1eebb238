import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { canHoldNamespaces, findHelper, startShieldedNamespace } from "../../testing/shielded-namespace.ts";
import { allow, deny } from "./allow-deny.ts";
import { block, down, expire, up } from "./change-mode.ts";
import { readStatus } from "./status.ts";

const WEB = "web";

describe.skipIf(!canHoldNamespaces)("in a running container", () => {
  test("down opens every name but what is denied, and up closes them again and forgets them", async () => {
    const shield = await startShieldedNamespace(["good.test", "wild.test"]);
    const { host, effects, lookUp, elements } = shield;
    await deny(host, { container: WEB, targets: ["wild.test"] });
    await lookUp("good.test");
    effects.length = 0;
    expect(await down(host, { container: WEB })).toEqual({
      container: WEB,
      mode: "down",
      isRunning: true,
      notes: [],
    });
    expect(effects).toEqual(["kernel", "reloadResolver"]);
    expect([await lookUp("other.test"), await lookUp("wild.test")]).toEqual(["198.18.0.12", "NXDOMAIN"]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "down" });
    effects.length = 0;
    expect(await up(host, WEB)).toEqual({ container: WEB, mode: "up", isRunning: true, notes: [] });
    // Names first: what is still asked for in between must not come to be open.
    expect(effects.slice(0, 2)).toEqual(["reloadResolver", "kernel"]);
    expect([await lookUp("other.test"), await elements("dns_v4")]).toEqual(["REFUSED", ["198.18.0.10"]]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
  });

  test("down --all is told from down, and one leads to the other", async () => {
    const { host } = await startShieldedNamespace([]);
    expect((await down(host, { container: WEB, all: true })).mode).toBe("down_all");
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "down_all" });
    expect((await down(host, { container: WEB })).mode).toBe("down");
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "down" });
  });

  test("down for a time leaves a timer, ends by itself in the kernel, and expire finishes it", async () => {
    const { host, helpers, lookUp } = await startShieldedNamespace(["good.test"]);
    const { until } = await down(host, { container: WEB, seconds: 1 });
    expect(until?.getTime()).toBeGreaterThan(Date.now() - 1000);
    expect(helpers()).toEqual(["dnsmasq", "keeper", "timer"]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "down", remainingSeconds: 1 });
    await expire(host, WEB);
    expect((await readStatus(host, WEB)).status.kind).toBe("down");
    const status = async () => (await readStatus(host, WEB)).status;
    await expect.poll(status, { timeout: 3_000 }).toEqual({ kind: "down", remainingSeconds: 0 });
    await expire(host, WEB);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
    expect([await lookUp("other.test"), await lookUp("good.test")]).toEqual(["REFUSED", "198.18.0.10"]);
    expect(helpers()).toEqual(["dnsmasq", "keeper"]);
  });

  test("block closes at once, whatever the resolver does, and lasts until up", async () => {
    const shield = await startShieldedNamespace(["good.test"]);
    const { host, effects } = shield;
    await down(host, { container: WEB });
    effects.length = 0;
    await block(host, WEB);
    expect(effects).toEqual(["kernel", "reloadResolver"]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "block" });
    await allow(host, { container: WEB, targets: ["198.18.1.1"] });
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "block" });
    await expect(down(host, { container: WEB })).rejects.toThrow(
      "The container web is blocked, so it cannot be put into bypass. First: terok-shield up web",
    );
    await up(host, WEB);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
    expect(await shield.elements("allow_v4")).toEqual(["198.18.1.1"]);
  });

  test("up --repair starts everything anew, and says so in the audit log alone", async () => {
    const shield = await startShieldedNamespace(["good.test"]);
    const { host, effects, lookUp, elements } = shield;
    await lookUp("good.test");
    const before = findHelper(shield, "dnsmasq");
    expect(await up(host, WEB, { repair: true })).toMatchObject({ mode: "up", notes: [] });
    expect(effects).toEqual(["kernel", "restartResolver"]);
    expect(findHelper(shield, "dnsmasq")).not.toBe(before);
    expect(await elements("dns_v4")).toEqual(["198.18.0.10"]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
  });

  test("bypass that finds other rules than policy says loads its own, and what it learned stays apart", async () => {
    const { host, load, lookUp, elements } = await startShieldedNamespace(["good.test"]);
    await lookUp("good.test");
    await down(host, { container: WEB });
    await lookUp("other.test");
    await load("add table ip other");
    const { notes } = await up(host, WEB);
    expect(notes).toHaveLength(1);
    expect(await elements("dns_v4")).toEqual(["198.18.0.10"]);
    expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
  });

  test("a resolver that cannot be started any more fails the command, and nothing resolves", async () => {
    const shield = await startShieldedNamespace(["good.test"]);
    const failing = {
      ...shield.host,
      places: { ...shield.host.places, hookEntrypoint: "/nonexistent/hook.mjs" },
    };
    await expect(down(failing, { container: WEB })).rejects.toThrow(
      /^In force, but dnsmasq does not follow, so no name resolves: .* Try terok-shield up --repair web$/,
    );
    expect(shield.helpers()).toEqual(["keeper"]);
    expect((await readStatus(shield.host, WEB)).status).toEqual({
      kind: "error",
      reason: "dnsmasq does not run, so no name resolves. Run terok-shield up --repair web",
    });
    await up(shield.host, WEB);
    expect([(await readStatus(shield.host, WEB)).status.kind, await shield.lookUp("good.test")]).toEqual([
      "up",
      "198.18.0.10",
    ]);
  });
});

test.skipIf(!canHoldNamespaces)("what expire cannot finish stands in the audit log", async () => {
  const { host, bundle } = await startShieldedNamespace([]);
  writeFileSync(`${bundle}/state.json`, "{");
  await expect(expire(host, WEB)).rejects.toThrow("is damaged");
  expect(readFileSync(`${bundle}/audit.jsonl`, "utf8")).toMatch(
    /"action":"error","detail":"what is over could not be finished: .*is damaged/,
  );
});

describe.skipIf(!canHoldNamespaces)("in a stopped container", () => {
  test("block and what is decided for good wait for the next start; bypass and temporary allows are refused", async () => {
    const shield = await startShieldedNamespace(["good.test"]);
    const { host } = shield;
    shield.stop();
    expect(await block(host, WEB)).toMatchObject({ mode: "block", isRunning: false });
    expect(await readStatus(host, WEB)).toMatchObject({
      status: { kind: "stopped" },
      notes: ["blocked at its next start, too"],
    });
    expect(await deny(host, { container: WEB, targets: ["good.test"] })).toMatchObject({ isRunning: false });
    expect(await up(host, WEB)).toMatchObject({ mode: "up", isRunning: false });
    await expect(down(host, { container: WEB })).rejects.toThrow(
      "The container web does not run, so it cannot be put into bypass. First: terok-shield start web",
    );
    await expect(allow(host, { container: WEB, targets: ["good.test"], seconds: 60 })).rejects.toThrow(
      "The container web does not run, and a temporary allow ends with its run. Start it first, or leave --for out.",
    );
    expect(shield.effects).toEqual([]);
    expect((await readStatus(host, WEB)).decisions).toEqual([{ verdict: "deny", target: "good.test" }]);
  });
});
