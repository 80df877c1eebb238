import { appendFileSync } from "node:fs";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { describe, expect, test } from "vitest";
import { canHoldNamespaces, findHelper, startShieldedNamespace } from "../../testing/shielded-namespace.ts";
import { allow, deny } from "./allow-deny.ts";
import { block, down } from "./change-mode.ts";
import { explain } from "./explain.ts";

const WEB = "web";
const PROFILE = ["good.test", "*.shared.test:443", "198.18.1.0/24"];

describe.skipIf(!canHoldNamespaces)("by the kernel and the resolver of a running container", () => {
  test("names and addresses, in one call, with the resolver asked once", async () => {
    const { host, effects } = await startShieldedNamespace(PROFILE);
    const { targets } = await explain(host, WEB, [
      "good.test:80",
      "evil.test",
      "198.18.1.1",
      "10.1.1.1:22/tcp",
    ]);
    expect(
      targets.map(({ target, verdict, parts }) => [target, verdict, ...new Set(parts.map(({ by }) => by))]),
    ).toEqual([
      ["good.test:80", "passes", "entry"],
      ["evil.test", "refused", "nothing"],
      ["198.18.1.1", "passes", "entry"],
      ["10.1.1.1:22/tcp", "refused", "private"],
    ]);
    expect(targets[0]?.parts[0]).toMatchObject({
      address: "198.18.0.10",
      entry: "good.test",
      source: { line: 1 },
    });
    expect(effects).toEqual(["askResolver"]);
  });

  test("which ports pass, cut where another decision is behind them", async () => {
    const { host } = await startShieldedNamespace(PROFILE);
    await allow(host, { container: WEB, targets: ["198.18.2.1:80-90/tcp", "198.18.2.0/24:85-100/tcp"] });
    await deny(host, { container: WEB, targets: ["198.18.2.1:88/tcp"] });
    const { targets } = await explain(host, WEB, ["198.18.2.1"]);
    const services = targets[0]?.parts.map(({ by, entry = "", services: runs }) => [
      `${by} ${entry}`.trim(),
      ...runs.filter(({ protocol }) => protocol === "tcp").map(({ first, last }) => `${first}-${last}`),
    ]);
    expect(services).toEqual([
      ["decision 198.18.2.1:80-90/tcp", "80-87", "89-90"],
      ["decision 198.18.2.0/24:85-100/tcp", "91-100"],
      ["nothing", "1-79", "101-65535"],
      ["deny 198.18.2.1:88/tcp", "88-88"],
    ]);
  });

  test("a name that no entry names is not asked for in bypass, but a denied one is, and those that policy opens", async () => {
    const { host, effects } = await startShieldedNamespace(PROFILE);
    await deny(host, { container: WEB, targets: ["other.test"] });
    await down(host, { container: WEB });
    effects.length = 0;
    const verdictOf = async (name: string) => (await explain(host, WEB, [name])).targets[0]?.verdict;
    expect(await verdictOf("wild.test")).toBe("unknown");
    expect(effects).not.toContain("askResolver");
    expect(await verdictOf("other.test")).toBe("refused");
    expect(await verdictOf("good.test")).toBe("passes");
    expect(effects).toContain("askResolver");
  });

  test("nor where dnsmasq was not seen to follow the policy, or is dead", async () => {
    const shield = await startShieldedNamespace(PROFILE);
    const unknown = async () => {
      shield.effects.length = 0;
      const { targets } = await explain(shield.host, WEB, ["wild.test"]);
      expect(targets[0]).toMatchObject({ verdict: "unknown", parts: [{ by: "resolver" }] });
      expect(shield.effects).not.toContain("askResolver");
    };
    appendFileSync(`${shield.bundle}/${BUNDLE_FILE.activeDnsServers}`, "server=10.0.2.3\n");
    process.kill(findHelper(shield, "dnsmasq"), "SIGHUP");
    await unknown();
    process.kill(findHelper(shield, "dnsmasq"), "SIGKILL");
    await unknown();
  });

  test("in a block nothing passes, and nobody is asked", async () => {
    const { host, effects } = await startShieldedNamespace(PROFILE);
    await block(host, WEB);
    effects.length = 0;
    const { targets } = await explain(host, WEB, ["198.18.1.1", "good.test", "evil.test"]);
    expect(targets.map(({ verdict, parts }) => [verdict, parts[0]?.by])).toEqual([
      ["refused", "block"],
      ["refused", "block"],
      ["refused", "block"],
    ]);
    expect(effects).toEqual([]);
  });

  test("a rule that is not understood gives no verdict, and a container that has ended none at all", async () => {
    const { host, load, stop } = await startShieldedNamespace(PROFILE);
    await load("insert rule inet terok_shield output ip dscp 46 accept");
    const { targets } = await explain(host, WEB, ["198.18.1.1:80/tcp"]);
    expect(targets[0]).toMatchObject({ verdict: "unknown", parts: [{ by: "unknown" }] });
    stop();
    await expect
      .poll(() => explain(host, WEB, ["198.18.1.1"]).then(() => "", String))
      .toContain("does not run");
  });
});
