import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Loop } from "../src/lab/client.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { all, expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const TIMEOUT_SECONDS = 3;
const MINUTE_SECONDS = 60;

const PROFILE = `
good.test
api.good.test
turning.test
alias.test
many.test
late.test
other.test
v6only.test
*.wild.test
`;

/** Each has a client of its own that asks for it and connects to it once a second. */
const ASKED = ["good.test", "v6only.test", "turning.test", "a.wild.test"];

describe("where DNS brings an address for 3 seconds", () => {
  let lab: Lab;
  let web: ShieldedContainer;
  let minute: { readonly loop: Loop; readonly over: Promise<void> };
  let turns = 0;
  let turning: NodeJS.Timeout;

  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    const config = `${lab.user.home}/.config/terok/shield/config.yml`;
    await lab.user.writeFile(config, shieldConfig(`dns: {timeout_seconds: ${TIMEOUT_SECONDS}}\n`));
    const turn = () => lab.internet.setName("turning.test", { addresses: [`198.18.150.${++turns}`] });
    await turn();
    web = await startShielded(lab, "web", PROFILE);
    turning = setInterval(turn, 1000);
    minute = {
      loop: await web.client.loop(
        ASKED.map((name) => `tcp,${name},80`),
        1,
      ),
      over: setTimeout(MINUTE_SECONDS * 1000),
    };
  });
  afterAll(async () => {
    clearInterval(turning);
    await lab?.destroy();
  });

  /** Awaited by listing, since every attempt of the client would renew it. */
  async function forgotten(address: string): Promise<void> {
    await until(
      `the kernel forgot ${address}`,
      async () => !new RegExp(`\\b${address}[ ,]`).test((await lab.shield(["rules", "web"])).stdout),
    );
  }

  test("one that is not used is closed after that time, and open at once when asked for again", async () => {
    const probe = "tcp,198.18.0.11,80";
    for (let round = 0; round < 2; round++) {
      expect(await web.client.resolve("api.good.test")).toEqual(["198.18.0.11", "2001:2::11"]);
      expect(await web.see(probe)).toEqual({ [probe]: "open" });
      await forgotten("198.18.0.11");
      expect(await web.see(probe)).toEqual({ [probe]: "refused" });
    }
    expect((await lab.internet.arrivals()).filter(({ address }) => address === "198.18.0.11")).toHaveLength(
      2,
    );
  });

  test("one that is used stays, though nobody asks for it again", async () => {
    expect(await web.client.resolve("other.test")).toEqual(["198.18.0.12", "2001:2::12"]);
    const loop = await web.client.loop(["tcp,198.18.0.12,80", "tcp,2001:2::12,80"], 1);
    await setTimeout(4 * TIMEOUT_SECONDS * 1000);
    expect(await loop.stop()).toEqual({
      "tcp,198.18.0.12,80": { answered: expect.any(Number) },
      "tcp,2001:2::12,80": { answered: expect.any(Number) },
    });
  });

  test("a connection that is held in silence is never cut, though a new one would be refused", async () => {
    await lab.internet.setName("late.test", { addresses: ["198.18.151.1", "2001:2:0:151::1"] });
    expect(await web.client.resolve("late.test")).toEqual(["198.18.151.1", "2001:2:0:151::1"]);
    const addresses = ["198.18.151.1", "2001:2:0:151::1"];
    const held = await Promise.all(addresses.map((host) => web.client.open("idle", `tcp,${host},9000`)));
    await setTimeout(10_000);
    const probes = addresses.map((host) => `tcp,${host},80`);
    expect(await web.see(...probes)).toEqual(all(probes, "refused"));
    expect(await Promise.all(held.map((flow) => flow.say()))).toEqual(["answered", "answered"]);
  });

  test("a chain of CNAMEs opens its end, over both families", async () => {
    expect(await web.client.resolve("alias.test")).toEqual(["198.18.0.40", "2001:2::40"]);
    const probes = ["tcp,198.18.0.40,80", "tcp,2001:2::40,80"];
    expect(await web.see(...probes)).toEqual(all(probes, "open"));
    expect(await web.client.resolve("second.alias.test")).toEqual([]);
  });

  test("all 200 addresses of a name are open", async () => {
    const addresses = await web.client.resolve("many.test");
    expect(addresses).toHaveLength(200);
    const probes = addresses.map((address) => `tcp,${address},80`);
    expect(await web.see(...probes)).toEqual(all(probes, "open"));
  });

  test("a name that changes its addresses every second is followed, and its old ones are closed in the end", async () => {
    const [address = ""] = await web.client.resolve("turning.test");
    await forgotten(address);
    const probe = `tcp,${address},443`;
    expect(await web.see(probe)).toEqual({ [probe]: "refused" });
  });

  test("a client that asks and connects every second is not refused once in a minute", async () => {
    await minute.over;
    const counts = await minute.loop.stop();
    expect(counts).toEqual(
      Object.fromEntries(ASKED.map((name) => [`tcp,${name},80`, { answered: expect.any(Number) }])),
    );
    for (const { answered } of Object.values(counts)) expect(answered).toBeGreaterThan(MINUTE_SECONDS / 2);
    const hits = (await lab.internet.httpHits()).filter(({ host }) => host === "");
    const turned = new Set(
      hits.map(({ address }) => address).filter((address) => address.startsWith("198.18.150.")),
    );
    expect(turned.size).toBeGreaterThan(MINUTE_SECONDS / 3);
  }, 90_000);

  test("what nobody allowed was closed all the time", async () => {
    await web.client.resolve("evil.test");
    clearInterval(turning);
    await expectReach(lab, web, { refused: ["tcp,198.18.66.66,80", "tcp,2001:2::6666,80"] });
  });
});
