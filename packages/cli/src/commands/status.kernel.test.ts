import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { canHoldNamespaces, findHelper, startShieldedNamespace } from "../../testing/shielded-namespace.ts";
import { allow, deny } from "./allow-deny.ts";
import { up } from "./change-mode.ts";
import { isProtected, readStatus } from "./status.ts";

const WEB = "web";

describe.skipIf(!canHoldNamespaces)(
  "what somebody did to a running container shows, and up --repair puts it right",
  () => {
    test.each([
      ["a foreign accept put first", "insert rule inet terok_shield output accept"],
      ["a set emptied", "flush set inet terok_shield private_v4"],
      ["a deny taken out", "delete element inet terok_shield deny_v4 { 198.18.66.66 }"],
      ["a chain's policy changed", "chain inet terok_shield output { policy accept; }"],
      ["a table of others, which may rewrite addresses", "add table ip nat"],
      ["our table gone", "delete table inet terok_shield"],
    ])("%s", async (_, tampering) => {
      const { host, load, elements } = await startShieldedNamespace(["good.test"]);
      await deny(host, { container: WEB, targets: ["198.18.66.66"] });
      await load(tampering);
      expect(isProtected((await readStatus(host, WEB)).status)).toBe(false);
      await up(host, WEB, { repair: true });
      expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
      expect(await elements("deny_v4")).toEqual(["198.18.66.66"]);
    });

    test("dnsmasq dead", async () => {
      const shield = await startShieldedNamespace(["good.test"]);
      process.kill(findHelper(shield, "dnsmasq"), "SIGKILL");
      expect((await readStatus(shield.host, WEB)).status).toEqual({
        kind: "error",
        reason: "dnsmasq does not run, so no name resolves. Run terok-shield up --repair web",
      });
      await up(shield.host, WEB, { repair: true });
      expect((await readStatus(shield.host, WEB)).status).toEqual({ kind: "up" });
      expect(await shield.lookUp("good.test")).toBe("198.18.0.10");
    });

    test("the keeper of the logs dead: the shield is up all the same, with a note, and any change starts it again", async () => {
      const shield = await startShieldedNamespace(["good.test"]);
      expect((await readStatus(shield.host, WEB)).notes).toEqual([]);
      process.kill(findHelper(shield, "keeper"), "SIGKILL");
      await vi.waitFor(() => expect(shield.helpers()).toEqual(["dnsmasq"]));
      expect(await readStatus(shield.host, WEB)).toMatchObject({
        status: { kind: "up" },
        notes: ["nothing keeps the logs short: they end when they are full"],
      });
      await deny(shield.host, { container: WEB, targets: ["198.18.66.66"] });
      expect((await readStatus(shield.host, WEB)).notes).toEqual([]);
      expect(shield.helpers()).toEqual(["dnsmasq", "keeper"]);
    });

    test.each([
      [
        "names of others in what dnsmasq reads",
        "dns-servers.active",
        /^dnsmasq was not seen to follow the names of the policy/,
      ],
      [
        "no word of what dnsmasq follows",
        "dns-servers.confirmed",
        /^dnsmasq was started with another configuration/,
      ],
    ])("%s", async (_, name, reason) => {
      const { host, bundle } = await startShieldedNamespace(["good.test"]);
      const text = readFileSync(`${bundle}/${name}`, "utf8");
      writeFileSync(`${bundle}/${name}`, `server=/evil.test/10.0.2.3\n${text}`);
      expect((await readStatus(host, WEB)).status).toMatchObject({ kind: "error", reason });
      await up(host, WEB, { repair: true });
      expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
    });

    test("a dnsmasq that a killed command left with an older configuration, by the next change of any kind", async () => {
      const shield = await startShieldedNamespace(["good.test"]);
      const { host, lookUp, elements } = shield;
      shield.onEffect = (effect) => {
        if (effect === "restartResolver") throw new Error("killed");
      };
      await expect(allow(host, { container: WEB, targets: ["wild.test:80"] })).rejects.toThrow("killed");
      shield.onEffect = () => {};
      expect((await readStatus(host, WEB)).status).toMatchObject({
        kind: "error",
        reason: /^dnsmasq was started with another configuration/,
      });
      await allow(host, { container: WEB, targets: ["198.18.1.1"] });
      // Its ports are kept apart from what is open on every port.
      expect([await lookUp("wild.test"), await elements("dns_v4"), await elements("dns_1_v4")]).toEqual([
        "198.18.0.20",
        [],
        ["198.18.0.20"],
      ]);
      expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
    });

    test("a state that was written without the files that are made from it", async () => {
      const { host, bundle } = await startShieldedNamespace(["good.test"]);
      const state = readFileSync(`${bundle}/state.json`, "utf8");
      writeFileSync(`${bundle}/state.json`, state.replace('"revision":1', '"revision":2'));
      expect((await readStatus(host, WEB)).status).toMatchObject({
        reason: /^the last command did not finish: the kernel is at policy 1, and the bundle at 2/,
      });
      await up(host, WEB);
      expect((await readStatus(host, WEB)).status).toEqual({ kind: "up" });
    });
  },
);

test.skipIf(!canHoldNamespaces)(
  "a state that is damaged is no reason to forget what was denied",
  async () => {
    const { host, bundle } = await startShieldedNamespace(["good.test"]);
    writeFileSync(`${bundle}/state.json`, "{");
    await expect(deny(host, { container: WEB, targets: ["good.test"] })).rejects.toThrow(
      "state.json is damaged",
    );
    rmSync(`${bundle}/state.json`);
    await expect(deny(host, { container: WEB, targets: ["good.test"] })).rejects.toThrow(
      "There is no shielded container web.",
    );
  },
);
