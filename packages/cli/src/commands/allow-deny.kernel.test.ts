import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { canHoldNamespaces, findHelper, startShieldedNamespace } from "../../testing/shielded-namespace.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { allow, deny } from "./allow-deny.ts";
import { block, expire, up } from "./change-mode.ts";
import { readStatus } from "./status.ts";

const WEB = "web";

/** The same host, some seconds ahead. */
function later(host: Host, seconds: number): Host {
  const moment = () => {
    const now = host.moment();
    return { ...now, monotonicSeconds: now.monotonicSeconds + seconds };
  };
  return { ...host, moment };
}
const UP = { kind: "up" };

describe.skipIf(!canHoldNamespaces)("in a running container", () => {
  describe("an address", () => {
    test("opens in one transaction, without the resolver", async () => {
      const { host, effects, elements } = await startShieldedNamespace([]);
      expect(await allow(host, { container: WEB, targets: ["198.18.1.1"] })).toEqual({
        container: WEB,
        verdict: "allow",
        targets: [{ target: "198.18.1.1", addresses: [] }],
        isRunning: true,
        notes: [],
      });
      expect(effects).toEqual(["kernel"]);
      expect(await elements("allow_v4")).toEqual(["198.18.1.1"]);
      expect(await readStatus(host, WEB)).toMatchObject({
        status: UP,
        decisions: [{ verdict: "allow", target: "198.18.1.1" }],
      });
    });

    test("closes in one transaction, and undoes what was allowed", async () => {
      const { host, effects, elements } = await startShieldedNamespace([]);
      await allow(host, { container: WEB, targets: ["198.18.1.1", "198.18.2.0/24"] });
      await deny(host, { container: WEB, targets: ["198.18.1.1"] });
      expect(effects).toEqual(["kernel", "kernel"]);
      expect([await elements("allow_v4"), await elements("deny_v4")]).toEqual([
        ["198.18.2.0/24"],
        ["198.18.1.1"],
      ]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });

    test("stays closed while a wider deny covers it, and nothing is touched", async () => {
      const { host, effects, bundle } = await startShieldedNamespace([]);
      await deny(host, { container: WEB, targets: ["198.18.0.0/16"] });
      const before = readFileSync(`${bundle}/state.json`, "utf8");
      await expect(allow(host, { container: WEB, targets: ["good.test", "198.18.1.1"] })).rejects.toThrow(
        new ShieldError(
          "198.18.1.1 stays denied: deny 198.18.0.0/16 covers it. Lift that first: terok-shield allow web 198.18.0.0/16",
        ),
      );
      expect([effects, readFileSync(`${bundle}/state.json`, "utf8")]).toEqual([["kernel"], before]);
    });

    test("for a time closes by itself, which status tells and expire finishes", async () => {
      const { host, elements, helpers, nft } = await startShieldedNamespace([]);
      const { until } = await allow(host, { container: WEB, targets: ["198.18.1.1"], seconds: 1 });
      expect(until?.getTime()).toBeGreaterThan(Date.now() - 1000);
      expect(helpers()).toEqual(["dnsmasq", "keeper", "timer"]);
      expect((await readStatus(host, WEB)).decisions).toEqual([
        { verdict: "allow", target: "198.18.1.1", remainingSeconds: 1 },
      ]);
      await expect.poll(() => elements("timed_allow_v4"), { timeout: 3_000 }).toEqual([]);
      // Whoever finishes it has a few seconds.
      expect(await readStatus(host, WEB)).toMatchObject({ status: UP, decisions: [] });
      expect((await readStatus(later(host, 6), WEB)).status).toEqual({
        kind: "error",
        reason: "something temporary is over, and nobody has finished it. Run terok-shield up --repair web",
      });
      await expire(host, WEB);
      expect(await readStatus(host, WEB)).toMatchObject({ status: UP, decisions: [] });
      expect(await nft("list", "ruleset")).not.toContain("timed_allow");
      expect(helpers()).toEqual(["dnsmasq", "keeper"]);
    });
  });

  describe("a name", () => {
    test("opens the kernel first, and then resolves; the answer says where it leads", async () => {
      const { host, effects, lookUp, elements } = await startShieldedNamespace([]);
      expect(await lookUp("good.test")).toBe("REFUSED");
      const { targets } = await allow(host, { container: WEB, targets: ["good.test"] });
      expect(targets).toEqual([{ target: "good.test", addresses: ["198.18.0.10"] }]);
      expect(effects).toEqual(["kernel", "reloadResolver"]);
      expect([await lookUp("good.test"), await elements("dns_v4")]).toEqual(["198.18.0.10", ["198.18.0.10"]]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });

    test("that does not resolve now is allowed all the same", async () => {
      const { host } = await startShieldedNamespace([]);
      expect(await allow(host, { container: WEB, targets: ["nowhere.test"] })).toMatchObject({
        targets: [{ target: "nowhere.test", addresses: [] }],
        notes: ["nowhere.test does not resolve now: it opens when it does"],
      });
    });

    test("with an address that is denied opens without it", async () => {
      const { host } = await startShieldedNamespace([]);
      await deny(host, { container: WEB, targets: ["198.18.0.10"] });
      expect(await allow(host, { container: WEB, targets: ["good.test"] })).toMatchObject({
        targets: [{ target: "good.test", addresses: [] }],
        notes: ["198.18.0.10 of good.test stays denied: deny 198.18.0.10"],
      });
    });

    test("closes in the resolver first, so that no late question opens it again", async () => {
      const { host, effects, lookUp, elements } = await startShieldedNamespace(["good.test", "other.test"]);
      for (const name of ["good.test", "other.test"]) await lookUp(name);
      const { targets } = await deny(host, { container: WEB, targets: ["good.test"] });
      expect(targets).toEqual([{ target: "good.test", addresses: ["198.18.0.10"] }]);
      // On a machine that is busy it may take a third step to bring the resolver there.
      expect(effects.slice(0, 2)).toEqual(["reloadResolver", "kernel"]);
      expect([await lookUp("good.test"), await elements("dns_v4")]).toEqual(["REFUSED", ["198.18.0.12"]]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });

    test("leaves an address that another name shares, also after the resolver was started anew", async () => {
      const shield = await startShieldedNamespace(["one.shared.test", "two.shared.test", "other.test"]);
      const { host, lookUp, elements } = shield;
      for (const name of ["one.shared.test", "two.shared.test", "other.test"]) await lookUp(name);
      await allow(host, { container: WEB, targets: ["wild.test:80"] });
      expect(shield.effects).toContain("restartResolver");
      const { targets } = await deny(host, { container: WEB, targets: ["one.shared.test"] });
      expect(targets).toEqual([{ target: "one.shared.test", addresses: [] }]);
      expect((await elements("dns_v4")).sort()).toEqual(["198.18.0.12", "198.18.0.30"]);
    });

    test("forgets what nobody accounts for", async () => {
      const { host, lookUp, elements, load } = await startShieldedNamespace(["good.test", "other.test"]);
      await lookUp("other.test");
      await load("add element inet terok_shield dns_v4 { 198.18.66.66 }");
      await deny(host, { container: WEB, targets: ["good.test"] });
      expect(await elements("dns_v4")).toEqual(["198.18.0.12"]);
    });

    test("closes also when the resolver hangs: that one is ended, and another takes its place", async () => {
      const shield = await startShieldedNamespace(["good.test", "other.test"]);
      const { host, lookUp, elements } = shield;
      await lookUp("good.test");
      const hanging = findHelper(shield, "dnsmasq");
      process.kill(hanging, "SIGSTOP");
      const began = Date.now();
      let closedAfter = Number.POSITIVE_INFINITY;
      shield.onEffect = (effect) => {
        if (effect === "kernel") closedAfter = Date.now() - began;
      };
      await deny(host, { container: WEB, targets: ["good.test"] });
      expect(shield.effects).toEqual(["reloadResolver", "kernel", "kernel", "restartResolver"]);
      expect(closedAfter).toBeLessThan(1_000);
      expect(findHelper(shield, "dnsmasq")).not.toBe(hanging);
      expect([await lookUp("good.test"), await lookUp("other.test")]).toEqual(["REFUSED", "198.18.0.12"]);
      expect(await elements("dns_v4")).toEqual(["198.18.0.12"]);
    });

    describe("whose late answers open it again", () => {
      const LATE = "add element inet terok_shield dns_v4 { 198.18.0.10 }";

      test("is forgotten once more, with whatever flowed to it meanwhile", async () => {
        const shield = await startShieldedNamespace(["good.test"]);
        const { host, bundle, effects, load, lookUp, elements } = shield;
        await lookUp("good.test");
        let isOver = false;
        shield.onLook = async () => {
          if (isOver || !effects.includes("kernel")) return;
          isOver = true;
          await load(LATE);
        };
        await deny(host, { container: WEB, targets: ["good.test"] });
        expect(isOver).toBe(true);
        expect(JSON.parse(readFileSync(`${bundle}/state.json`, "utf8")).flowGeneration).toBe(2);
        expect(await elements("dns_v4")).toEqual([]);
        expect(await readStatus(host, WEB)).toMatchObject({ status: UP });
      });

      test("is closed with an error when they never end, and the log says what is in force", async () => {
        const shield = await startShieldedNamespace(["good.test"]);
        const { host, bundle, effects, load, lookUp } = shield;
        await lookUp("good.test");
        shield.onLook = async () => {
          if (effects.includes("kernel")) await load(LATE);
        };
        await expect(deny(host, { container: WEB, targets: ["good.test"] })).rejects.toThrow(
          "In force, but answers to old queries keep coming. Close everything: terok-shield block web",
        );
        const log = readFileSync(`${bundle}/audit.jsonl`, "utf8").trim().split("\n");
        expect(log.map((line) => JSON.parse(line))).toContainEqual(
          expect.objectContaining({ action: "denied", target: "good.test" }),
        );
      });
    });

    test("for a time has sets of its own, and nothing of it is left when that is over", async () => {
      const { host, lookUp, nft } = await startShieldedNamespace(["good.test"]);
      const { targets } = await allow(host, { container: WEB, targets: ["wild.test"], seconds: 1 });
      expect(targets).toEqual([{ target: "wild.test", addresses: ["198.18.0.20"] }]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
      const decisions = async () => (await readStatus(host, WEB)).decisions;
      await expect.poll(decisions, { timeout: 3_000 }).toEqual([]);
      await expire(host, WEB);
      expect([await lookUp("wild.test"), await lookUp("good.test")]).toEqual(["REFUSED", "198.18.0.10"]);
      expect(await nft("list", "ruleset")).not.toContain("198.18.0.20");
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });
  });

  describe("a change puts right what it finds", () => {
    test.each([
      ["a rule of others", "insert rule inet terok_shield output accept"],
      ["no rules at all", "flush ruleset"],
      ["a table of others", "add table ip other"],
      ["a set that was emptied", "flush set inet terok_shield private_v4"],
      [
        "a change that was cut off",
        "delete chain inet terok_shield revision_1; add chain inet terok_shield revision_7",
      ],
      ["another policy of a chain", "chain inet terok_shield output { policy accept; }"],
    ])("%s", async (_, tampering) => {
      const { host, lookUp, load, elements } = await startShieldedNamespace(["good.test"]);
      await lookUp("good.test");
      await load(tampering);
      expect((await readStatus(host, WEB)).status.kind).toMatch(/^(error|unprotected)$/);
      const { notes } = await allow(host, { container: WEB, targets: ["198.18.1.1"] });
      expect(notes).toEqual([
        expect.stringMatching(/^the kernel was not at the last policy, so everything was/),
      ]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
      expect(await elements("allow_v4")).toEqual(["198.18.1.1"]);
      // What an open name brought before stays, unless the rules that held it are gone.
      if (!tampering.startsWith("flush ruleset")) expect(await elements("dns_v4")).toEqual(["198.18.0.10"]);
    });

    test("a resolver that is dead", async () => {
      const shield = await startShieldedNamespace(["good.test"]);
      process.kill(findHelper(shield, "dnsmasq"), "SIGKILL");
      await allow(shield.host, { container: WEB, targets: ["198.18.1.1"] });
      expect(shield.effects).toEqual(["kernel", "restartResolver"]);
      expect(await shield.lookUp("good.test")).toBe("198.18.0.10");
    });

    test("a file of the next start", async () => {
      const { host, bundle } = await startShieldedNamespace(["good.test"]);
      rmSync(`${bundle}/ruleset.nft`);
      expect((await readStatus(host, WEB)).status).toMatchObject({
        kind: "error",
        reason: /^ruleset.nft is not/,
      });
      await allow(host, { container: WEB, targets: ["198.18.1.1"] });
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });
  });

  describe("when nothing can be written", () => {
    /** A file where a directory has to be. */
    const blockWriting = (bundle: string) => {
      rmSync(`${bundle}/hooks`, { recursive: true });
      writeFileSync(`${bundle}/hooks`, "");
    };

    test("a deny is in force all the same, and says that it is not kept", async () => {
      const { host, bundle, elements } = await startShieldedNamespace([]);
      const before = readFileSync(`${bundle}/state.json`, "utf8");
      blockWriting(bundle);
      await expect(deny(host, { container: WEB, targets: ["198.18.1.1"] })).rejects.toThrow(
        /^In force now, but not kept: ".*" cannot be written: ENOTDIR/,
      );
      expect(await elements("deny_v4")).toEqual(["198.18.1.1"]);
      expect(readFileSync(`${bundle}/state.json`, "utf8")).toBe(before);
      expect((await readStatus(host, WEB)).status).toMatchObject({
        kind: "error",
        reason: /^the last command could not be kept on disk: /,
      });
      // A second one would be made from what is on disk, and so drop the first.
      await expect(deny(host, { container: WEB, targets: ["198.18.3.3"] })).rejects.toThrow(
        /^Nothing has changed: what an earlier command could not keep .* terok-shield block web$/,
      );
      expect(await elements("deny_v4")).toEqual(["198.18.1.1"]);
      await expect(block(host, WEB)).rejects.toThrow(/^In force now, but not kept: /);
      await expect(up(host, WEB)).rejects.toThrow(/^Nothing has changed: /);
      rmSync(`${bundle}/hooks`);
      mkdirSync(`${bundle}/hooks`, { mode: 0o700 });
      await allow(host, { container: WEB, targets: ["198.18.2.2"] });
      expect([await elements("deny_v4"), await elements("allow_v4")]).toEqual([[], ["198.18.2.2"]]);
      expect((await readStatus(host, WEB)).status).toEqual(UP);
    });

    test("an allow changes nothing", async () => {
      const { host, bundle, effects } = await startShieldedNamespace([]);
      blockWriting(bundle);
      await expect(allow(host, { container: WEB, targets: ["198.18.1.1"] })).rejects.toThrow(
        "cannot be written",
      );
      expect(effects).toEqual([]);
    });
  });

  test("a kernel that takes nothing makes the command fail, and the next one repairs", async () => {
    const shield = await startShieldedNamespace([]);
    shield.onEffect = (effect) => {
      if (effect === "kernel") throw new ShieldError("nft is gone");
    };
    await expect(deny(shield.host, { container: WEB, targets: ["198.18.1.1"] })).rejects.toThrow(
      "nft is gone",
    );
    expect((await readStatus(shield.host, WEB)).status).toMatchObject({
      kind: "error",
      reason:
        "the last command did not finish: the kernel is at policy 1, and the bundle at 2. Run terok-shield up --repair web",
    });
    shield.onEffect = () => {};
    await allow(shield.host, { container: WEB, targets: ["198.18.2.2"] });
    expect(await shield.elements("deny_v4")).toEqual(["198.18.1.1"]);
    expect((await readStatus(shield.host, WEB)).status).toEqual(UP);
  });
});
