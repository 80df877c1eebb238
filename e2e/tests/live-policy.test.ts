import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { monotonicSeconds } from "../src/lab/client.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { all, expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROFILE = `
good.test
one.shared.test
two.shared.test
alias.test
198.18.1.1
198.18.2.0/24
2001:2::aaaa
`;
const WILDCARDS = "*.wild.test\n*.zone.test\n";

const TIERS = [
  { tier: "dnsmasq", hide: [], profile: `${PROFILE}${WILDCARDS}` },
  { tier: "dig", hide: ["/usr/sbin/dnsmasq"], profile: PROFILE },
  { tier: "getent", hide: ["/usr/sbin/dnsmasq", "/usr/bin/dig"], profile: PROFILE },
];

/** Names of the lab's internet, besides its usual ones. Addresses of names also answer by UDP. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "udp.test": ["198.18.1.1", "2001:2::aaaa", "198.18.2.7", "198.18.2.8"],
  "udp-targets.test": ["198.18.20.1", "2001:2:0:20::1", "2001:2:0:23::1"],
  "udp-ports.test": ["198.18.23.1", "198.18.23.2", "198.18.23.3", "198.18.23.4", "198.18.24.7"],
  "udp-flows.test": ["198.18.40.1", "198.18.42.1", "2001:2:0:40::1", "198.18.41.1"],
  "udp-leases.test": ["198.18.60.1", "2001:2:0:60::1", "198.18.61.1"],
  "plain.test": ["198.18.25.1", "2001:2:0:25::1"],
  "below.plain.test": ["198.18.25.2"],
  "port.test": ["198.18.25.3", "2001:2:0:25::3"],
  "ports.test": ["198.18.25.4", "2001:2:0:25::4"],
  "below.star.test": ["198.18.25.5", "2001:2:0:25::5"],
  "star.test": ["198.18.25.6"],
  "far.below.star.test": ["198.18.25.7"],
  "below.web.test": ["198.18.25.8", "2001:2:0:25::8"],
  "spoilt.test": ["198.18.26.1", "198.18.26.2"],
  "flow.test": ["198.18.27.1", "2001:2:0:27::1"],
  "half.test": ["198.18.28.1", "2001:2:0:28::1"],
  "here.zone.test": ["198.18.29.1"],
  "there.zone.test": ["198.18.29.2"],
  "json.test": ["198.18.30.2"],
  "conflict.test": ["198.18.30.3"],
  "below.conflict.test": ["198.18.30.4"],
  "kept.test": ["198.18.50.2", "2001:2:0:50::2"],
  "lease.test": ["198.18.62.1", "2001:2:0:62::1"],
};

/** Each is allowed, then denied. What it `opens` are its own targets, `leaves` are closed all the time. */
const ADDRESSES: readonly { target: string; opens: readonly string[]; leaves: readonly string[] }[] = [
  {
    target: "198.18.20.1",
    opens: ["tcp,198.18.20.1,80", "tcp,198.18.20.1,443", "udp,198.18.20.1,9000"],
    leaves: ["tcp,198.18.20.2,80"],
  },
  {
    target: "198.18.21.0/24",
    opens: ["tcp,198.18.21.0,80", "tcp,198.18.21.255,80"],
    leaves: ["tcp,198.18.22.0,80", "tcp,198.18.20.255,80"],
  },
  {
    target: "2001:2:0:20::1",
    opens: ["tcp,2001:2:0:20::1,80", "udp,2001:2:0:20::1,9000"],
    leaves: ["tcp,2001:2:0:20::2,80"],
  },
  {
    target: "2001:2:0:21::/64",
    opens: ["tcp,2001:2:0:21::,80", "tcp,2001:2:0:21:ffff:ffff:ffff:ffff,443"],
    leaves: ["tcp,2001:2:0:22::,80"],
  },
  { target: "::ffff:198.18.22.1", opens: ["tcp,198.18.22.1,80"], leaves: ["tcp,198.18.22.2,80"] },
  {
    target: "198.18.23.1:80",
    opens: ["tcp,198.18.23.1,80"],
    leaves: ["tcp,198.18.23.1,443", "udp,198.18.23.1,9000", "tcp,198.18.23.2,80"],
  },
  {
    target: "198.18.23.2:9000/udp",
    opens: ["udp,198.18.23.2,9000"],
    leaves: ["tcp,198.18.23.2,9000", "udp,198.18.23.2,443"],
  },
  {
    target: "198.18.23.3:9000/tcp",
    opens: ["tcp,198.18.23.3,9000"],
    leaves: ["udp,198.18.23.3,9000", "tcp,198.18.23.3,80"],
  },
  {
    target: "198.18.23.4:8080-9000",
    opens: ["tcp,198.18.23.4,8080", "tcp,198.18.23.4,9000", "udp,198.18.23.4,9000"],
    leaves: ["tcp,198.18.23.4,80", "udp,198.18.23.4,443"],
  },
  {
    target: "[2001:2:0:23::1]:443",
    opens: ["tcp,2001:2:0:23::1,443", "udp,2001:2:0:23::1,443"],
    leaves: ["tcp,2001:2:0:23::1,80", "udp,2001:2:0:23::1,9000"],
  },
  {
    target: "198.18.24.0/24:80/tcp",
    opens: ["tcp,198.18.24.7,80"],
    leaves: ["tcp,198.18.24.7,443", "udp,198.18.24.7,9000"],
  },
];

/** As ADDRESSES. Ports are those that each address of `name` opens and leaves. `stranger` is a name that stays closed. */
const NAMED = [
  { target: "plain.test", name: "plain.test", opens: [80, 443], leaves: [], stranger: "below.plain.test" },
  { target: "port.test:443", name: "port.test", opens: [443], leaves: [80, 8080] },
  { target: "ports.test:8000-8100/tcp", name: "ports.test", opens: [8080], leaves: [80, 443, 9000] },
  { target: "*.star.test", name: "below.star.test", opens: [80, 443], leaves: [], stranger: "star.test" },
  { target: "*.web.test:80", name: "below.web.test", opens: [80], leaves: [443] },
];

describe.each(TIERS)("allow and deny in the $tier tier", ({ tier, hide, profile }) => {
  let lab: Lab;
  let live: ShieldedContainer;
  beforeAll(async () => {
    lab = await createLab({ hide, shieldPrefix: installedShield() });
    for (const [name, addresses] of Object.entries(NAMES)) await lab.internet.setName(name, { addresses });
    live = await startShielded(lab, "live", profile);
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => lab.internet.reset());

  /** Each port of each address of a name. */
  function targetsOf(name: string, ports: readonly number[]): string[] {
    return (NAMES[name] ?? []).flatMap((address) => ports.map((port) => `tcp,${address},${port}`));
  }

  async function queriedNames(): Promise<string[]> {
    return (await lab.internet.dnsQueries()).map(({ name }) => name);
  }

  test.each(tier === "getent" ? ADDRESSES.slice(0, 1) : ADDRESSES)(
    "allow $target opens what it names, at once, and deny closes it",
    async ({ target, opens, leaves }) => {
      await expectReach(lab, live, { refused: [...opens, ...leaves] });
      expect(await live.mustShield("allow", target)).toMatch(/^Allowed .* for live\n$/);
      await expectReach(lab, live, { open: opens, refused: leaves });
      expect(await live.mustShield("deny", target)).toMatch(/^Denied .* for live\n$/);
      await expectReach(lab, live, { refused: [...opens, ...leaves] });
    },
  );

  const named = tier === "dnsmasq" ? NAMED : NAMED.filter(({ target }) => !target.startsWith("*"));
  test.each(named)(
    "allow $target opens the name's addresses on its ports, at once, and deny closes them",
    async ({ target, name, opens, leaves, stranger }) => {
      const addresses = [...(NAMES[name] ?? [])].sort();
      const ports = [...opens, ...leaves];
      expect(await live.client.resolve(name)).toEqual([]);
      if (tier === "dnsmasq") expect(await queriedNames()).not.toContain(name);

      await live.mustShield("allow", target);
      expect(await live.client.resolve(name)).toEqual(addresses);
      await expectReach(lab, live, { open: targetsOf(name, opens), refused: targetsOf(name, leaves) });
      if (stranger !== undefined) expect(await live.client.resolve(stranger)).toEqual([]);

      await live.mustShield("deny", target);
      await lab.internet.reset();
      // Without dnsmasq the name stays in /etc/hosts until the next start, which opens nothing.
      if (tier === "dnsmasq") expect(await live.client.resolve(name)).toEqual([]);
      expect(await queriedNames()).not.toContain(name);
      await expectReach(lab, live, { refused: targetsOf(name, ports) });
    },
  );

  test("says what a name stands for", async () => {
    expect(await live.mustShield("allow", "plain.test")).toBe(
      "Allowed plain.test -> 198.18.25.1 2001:2:0:25::1 for live\n",
    );
    expect(await live.mustShield("deny", "plain.test")).toBe(
      "Denied plain.test (198.18.25.1 2001:2:0:25::1) for live\n",
    );
    expect(await live.mustShield("allow", "198.18.30.1")).toBe("Allowed 198.18.30.1 for live\n");
    expect(await live.mustShield("deny", "198.18.30.1")).toBe("Denied 198.18.30.1 for live\n");
  });

  test("takes several targets at once, each with a line of its own", async () => {
    const targets = ["198.18.31.1", "2001:2:0:31::1", "198.18.31.2:80"];
    const { length } = (await live.mustShield("allow", ...targets)).trim().split("\n");
    expect(length).toBe(3);
    await expectReach(lab, live, {
      open: ["tcp,198.18.31.1,80", "tcp,2001:2:0:31::1,80", "tcp,198.18.31.2,80"],
      refused: ["tcp,198.18.31.2,443"],
    });
  });

  test("changes nothing when one target of several is wrong", async () => {
    const { exitCode, stdout, stderr } = await live.shield("allow", "198.18.32.1", "198.18.32.2/33");
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("198.18.32.2/33");
    await expectReach(lab, live, { refused: ["tcp,198.18.32.1,80"] });
  });

  test("says the same as JSON", async () => {
    const allowed = JSON.parse(await live.mustShield("allow", "json.test:443", "--json"));
    expect(allowed).toMatchObject({ container: "live" });
    expect(JSON.stringify(allowed)).toContain("198.18.30.2");
  });

  test("deny beats allow: an address out of an allowed range", async () => {
    const [denied, neighbour] = ["tcp,198.18.2.7,80", "tcp,198.18.2.8,80"];
    await expectReach(lab, live, { open: [denied, neighbour] });
    await live.mustShield("deny", "198.18.2.7");
    await expectReach(lab, live, { open: [neighbour], refused: [denied] });
    const { stdout, stderr } = await live.shield("allow", "198.18.2.0/24");
    expect(`${stdout}${stderr}`).toContain("198.18.2.7");
    await expectReach(lab, live, { open: [neighbour], refused: [denied] });
    await live.mustShield("allow", "198.18.2.7");
    await expectReach(lab, live, { open: [neighbour, denied] });
  });

  test("what a wider deny covers stays denied, and allow says so and fails", async () => {
    await live.mustShield("deny", "198.18.33.0/24");
    const { exitCode, stdout, stderr } = await live.shield("allow", "198.18.33.1");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(
      "198.18.33.1 stays denied: deny 198.18.33.0/24 covers it. Lift that first: terok-shield allow live 198.18.33.0/24",
    );
    await expectReach(lab, live, { refused: ["tcp,198.18.33.1,80"] });
    await live.mustShield("allow", "198.18.33.0/24");
    await expectReach(lab, live, { open: ["tcp,198.18.33.1,80"] });
  });

  test("the last decision on a target wins, also over the profile", async () => {
    const listed = ["tcp,198.18.1.1,80", "tcp,2001:2::aaaa,80"];
    for (let round = 0; round < 2; round++) {
      await live.mustShield("deny", "198.18.1.1", "2001:2::aaaa");
      await expectReach(lab, live, { refused: listed });
      await live.mustShield("allow", "198.18.1.1", "2001:2::aaaa");
      await expectReach(lab, live, { open: listed });
    }
  });

  test("deny of a name leaves alone an address that another allowed name shares", async () => {
    const shared = ["tcp,198.18.0.30,80", "tcp,2001:2::30,80"];
    expect(await live.client.resolve("one.shared.test")).toEqual(["198.18.0.30", "2001:2::30"]);
    expect(await live.client.resolve("two.shared.test")).toEqual(["198.18.0.30", "2001:2::30"]);
    const flow = await live.client.open("echo", "tcp,198.18.0.30,9000");
    await live.mustShield("deny", "one.shared.test");
    if (tier === "dnsmasq") expect(await live.client.resolve("one.shared.test")).toEqual([]);
    await expectReach(lab, live, { open: shared });
    await flow.goesOn();
    await live.mustShield("deny", "two.shared.test");
    expect((await flow.ended()).reason).toBe("ECONNRESET");
    await expectReach(lab, live, { refused: shared });
    await live.mustShield("allow", "one.shared.test", "two.shared.test");
  });

  test("a denied address stays closed when an allowed name answers it", async () => {
    await live.mustShield("deny", "198.18.26.1");
    const { stdout, stderr } = await live.shield("allow", "spoilt.test");
    expect(`${stdout}${stderr}`).toContain("198.18.26.1");
    await live.client.resolve("spoilt.test");
    await expectReach(lab, live, { open: ["tcp,198.18.26.2,80"], refused: ["tcp,198.18.26.1,80"] });
  });

  test("deny of a name's port leaves its other ports open", async () => {
    await live.mustShield("allow", "half.test");
    await live.mustShield("deny", "half.test:443");
    expect(await live.client.resolve("half.test")).toEqual(["198.18.28.1", "2001:2:0:28::1"]);
    await expectReach(lab, live, {
      open: targetsOf("half.test", [80, 9000]),
      refused: targetsOf("half.test", [443]),
    });
  });

  if (tier === "dnsmasq") {
    test("deny of a name below an allowed wildcard closes that name only", async () => {
      expect(await live.client.resolve("here.zone.test")).toEqual(["198.18.29.1"]);
      await live.mustShield("deny", "here.zone.test");
      expect(await live.client.resolve("here.zone.test")).toEqual([]);
      expect(await live.client.resolve("there.zone.test")).toEqual(["198.18.29.2"]);
      await expectReach(lab, live, { open: ["tcp,198.18.29.2,80"], refused: ["tcp,198.18.29.1,80"] });
    });

    test("deny of a wildcard closes every name below it, however it came to be allowed", async () => {
      await live.mustShield("allow", "a.wild.test");
      await live.mustShield("deny", "*.wild.test");
      await lab.internet.reset();
      expect(await live.client.resolve("a.wild.test")).toEqual([]);
      expect(await live.client.resolve("b.a.wild.test")).toEqual([]);
      expect(await live.shield("allow", "a.wild.test")).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining("a.wild.test stays denied: deny *.wild.test covers it."),
      });
      expect(await queriedNames()).toEqual([]);
    });

    test("a name and the names below it cannot have different ports, and nothing is widened", async () => {
      await live.mustShield("allow", "conflict.test:443");
      const { exitCode, stderr } = await live.shield("allow", "*.conflict.test:80");
      expect({ exitCode, lines: stderr.trim().split("\n").length }).toEqual({ exitCode: 2, lines: 1 });
      expect(await live.client.resolve("below.conflict.test")).toEqual([]);
      expect(await live.client.resolve("conflict.test")).toEqual(["198.18.30.3"]);
    });
  } else {
    test("a wildcard is refused, since only dnsmasq can tell what is below a name", async () => {
      const { exitCode, stdout, stderr } = await live.shield("allow", "*.star.test");
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain("*.star.test");
    });
  }

  test.each([
    { what: "its address", decide: ["198.18.40.1"], host: "198.18.40.1", bystander: "198.18.1.1" },
    { what: "its range", decide: ["198.18.42.0/24"], host: "198.18.42.1", bystander: "198.18.1.1" },
    {
      what: "its IPv6 address",
      decide: ["2001:2:0:40::1"],
      host: "2001:2:0:40::1",
      bystander: "2001:2::aaaa",
    },
    { what: "its ports", decide: ["198.18.41.1:1-9999"], host: "198.18.41.1", bystander: "198.18.1.1" },
    { what: "its name", decide: ["flow.test"], host: "198.18.27.1", bystander: "198.18.1.1" },
    { what: "its name, over IPv6", decide: ["flow.test"], host: "2001:2:0:27::1", bystander: "2001:2::aaaa" },
  ])("deny of $what cuts live flows within a second, and no others", async ({ decide, host, bystander }) => {
    await live.mustShield("allow", ...decide);
    await live.client.resolve("flow.test");
    const open = (address: string) =>
      Promise.all([
        live.client.open("stream", `tcp,${address},80`),
        live.client.open("echo", `tcp,${address},9000`),
        live.client.open("echo", `udp,${address},9000`),
      ]);
    const flows = await open(host);
    const others = await open(bystander);
    await Promise.all(flows.map((flow) => flow.goesOn()));

    await live.mustShield("deny", ...decide);
    const denied = monotonicSeconds();
    const ends = await Promise.all(flows.map((flow) => flow.ended()));
    expect(ends.map(({ reason }) => reason)).toEqual(["ECONNRESET", "ECONNRESET", "EPERM"]);
    expect(Math.max(...ends.map(({ at }) => at))).toBeLessThan(denied + 1);
    await Promise.all(others.map((flow) => flow.goesOn()));
    await Promise.all(others.map((flow) => flow.close()));
    await until("the others' last datagrams have arrived", async () => {
      await lab.internet.reset();
      return (await lab.internet.arrivals()).length === 0;
    });
    await expectReach(lab, live, { refused: [`tcp,${host},80`, `udp,${host},9000`] });
  });

  test("deny of a name ends flows that never fall silent, whatever packet is under way", async () => {
    const targets = ["tcp,198.18.27.1,9000", "udp,198.18.27.1,9000", "tcp,2001:2:0:27::1,9000"];
    for (let round = 0; round < 5; round++) {
      await live.mustShield("allow", "flow.test");
      await live.client.resolve("flow.test");
      const flows = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          live.client.open("echo", targets[index % targets.length] as string),
        ),
      );
      await live.mustShield("deny", "flow.test");
      const ends = await Promise.all(flows.map((flow) => flow.ended()));
      expect(new Set(ends.map(({ reason }) => reason))).toEqual(new Set(["ECONNRESET", "EPERM"]));
      await Promise.all(flows.map((flow) => flow.close()));
    }
  });

  describe("with --for", () => {
    let leased: ShieldedContainer;
    beforeAll(async () => {
      leased = await startShielded(lab, "leased", profile);
    });

    /** What `status` says that an operator decided. */
    async function listedTargets(): Promise<string[]> {
      const { stdout } = await lab.shield(["status", "leased", "--json"]);
      return (JSON.parse(stdout) as { decisions: { target: string }[] }).decisions.map(
        ({ target }) => target,
      );
    }

    /** When a lease of 4 seconds ends, given the clock before and after the command that began it. */
    const end = (before: number, after: number) => ({ earliest: before + 4, latest: after + 4 + 1 });

    test.concurrent.each([
      { target: "198.18.60.1", host: "198.18.60.1" },
      { target: "2001:2:0:60::1", host: "2001:2:0:60::1" },
      { target: "198.18.61.1:1-9999", host: "198.18.61.1" },
      { target: "lease.test", host: "198.18.62.1" },
    ])(
      "allow $target ends by itself and takes its live flows along within a second",
      async ({ target, host }) => {
        const { client, mustShield, see } = leased;
        const before = monotonicSeconds();
        await mustShield("allow", "--for", "4s", target);
        const after = monotonicSeconds();
        await client.resolve("lease.test");
        const flows = await Promise.all([
          client.open("stream", `tcp,${host},80`),
          client.open("echo", `tcp,${host},9000`),
          client.open("echo", `udp,${host},9000`),
        ]);
        const ends = await Promise.all(flows.map((flow) => flow.ended()));
        expect(ends.map(({ reason }) => reason)).toEqual(["ECONNRESET", "ECONNRESET", "EPERM"]);
        for (const { at } of ends) {
          expect(at).toBeGreaterThan(end(before, after).earliest);
          expect(at).toBeLessThan(end(before, after).latest);
        }
        expect(await see(`tcp,${host},80`)).toEqual({ [`tcp,${host},80`]: "refused" });
        expect(await listedTargets()).not.toContain(target);
      },
    );

    test.concurrent.each(["198.18.2.8", "good.test"])("deny %s ends by itself", async (target) => {
      const { client, mustShield, see } = leased;
      const address = target === "good.test" ? "198.18.0.10" : target;
      const probe = `tcp,${address},80`;
      await client.resolve("good.test");
      const flow = await client.open("stream", probe);
      const before = monotonicSeconds();
      await mustShield("deny", "--for", "4s", target);
      expect((await flow.ended()).reason).toBe("ECONNRESET");
      expect(await see(probe)).toEqual({ [probe]: "refused" });
      // Whoever opens the name again has to wait for the commands of the other tests.
      const isOpen = async () => {
        await client.resolve("good.test");
        return (await see(probe))[probe] === "open";
      };
      await until(`${target} is open again`, isOpen, 40_000);
      expect(monotonicSeconds()).toBeGreaterThan(before + 4);
    });

    test.concurrent("allow lifts a permanent deny of the same target, which then is back", async () => {
      const { mustShield, see } = leased;
      const probe = "tcp,198.18.2.9,80";
      await mustShield("deny", "198.18.2.9");
      expect(await see(probe)).toEqual({ [probe]: "refused" });
      await mustShield("allow", "--for", "4s", "198.18.2.9");
      expect(await see(probe)).toEqual({ [probe]: "open" });
      await until("the deny is back", async () => (await see(probe))[probe] === "refused");
    });

    test.concurrent("it is shown with the time that is left", async () => {
      await leased.mustShield("allow", "--for", "1h", "198.18.64.1:443");
      await leased.mustShield("deny", "--for", "2d", "198.18.65.0/24");
      const { stdout } = await lab.shield(["status", "leased"]);
      expect(stdout).toMatch(/allow 198\.18\.64\.1:443, (1h|59m\d+s) left$/m);
      expect(stdout).toMatch(/deny 198\.18\.65\.0\/24, (2d|1d23h) left$/m);
    });

    test.concurrent.each(["0s", "31d", "4", "soon", "-4s", "4s; id"])(
      "%j is no duration",
      async (duration) => {
        const { exitCode, stdout, stderr } = await leased.shield("allow", `--for=${duration}`, "198.18.63.1");
        expect({ exitCode, stdout, lines: stderr.trim().split("\n").length }).toEqual({
          exitCode: 2,
          stdout: "",
          lines: 1,
        });
      },
    );
  });

  if (tier === "getent") return;

  describe("decisions", () => {
    let kept: ShieldedContainer;
    const allowed = ["tcp,198.18.50.1,80", "tcp,2001:2:0:50::1,443", "tcp,good.test,80"];
    const refused = ["tcp,2001:2:0:50::1,80", "tcp,198.18.1.1,80", "tcp,198.18.51.1,80"];
    beforeAll(async () => {
      kept = await startShielded(lab, "kept", profile);
      await kept.mustShield("allow", "198.18.50.1", "[2001:2:0:50::1]:443", "kept.test:80");
      await kept.mustShield("deny", "198.18.1.1", "alias.test");
      await kept.mustShield("deny", "--for", "1h", "198.18.2.0/24");
      await kept.mustShield("allow", "--for", "1h", "198.18.51.2");
      expect(await kept.see("tcp,198.18.51.2,80")).toEqual({ "tcp,198.18.51.2,80": "open" });
    });

    async function expectKept(): Promise<void> {
      expect(await kept.client.resolve("kept.test")).toEqual(["198.18.50.2", "2001:2:0:50::2"]);
      const kept80 = ["tcp,198.18.50.2,80", "tcp,2001:2:0:50::2,80"];
      const kept443 = ["tcp,198.18.50.2,443", "tcp,2001:2:0:50::2,443"];
      const denied = [...refused, ...kept443, "tcp,198.18.0.40,80", "tcp,198.18.2.8,80"];
      expect(await kept.see(...allowed, ...kept80, ...denied)).toEqual({
        ...all([...allowed, ...kept80], "open"),
        ...all(denied, "refused"),
      });
    }

    test("hold", expectKept);

    test("outlive down and up", async () => {
      await kept.mustShield("down");
      await kept.mustShield("up");
      await expectKept();
      expect(await kept.see("tcp,198.18.51.2,80")).toEqual({ "tcp,198.18.51.2,80": "open" });
    });

    test.each([
      { how: "terok-shield restart", commands: ["terok-shield restart kept"] },
      { how: "stop and start", commands: ["podman stop --time=0 kept", "terok-shield start kept"] },
      {
        how: "another prepare",
        commands: [
          "podman stop --time=0 kept",
          "terok-shield prepare kept --profiles kept",
          "terok-shield start kept",
        ],
      },
      {
        how: "a new container of the name",
        commands: [
          "podman rm --force --time=0 kept",
          "terok-shield run kept --profiles kept -- -d --volume /usr:/usr:ro localhost/lab sleep infinity",
        ],
      },
    ])("outlive $how, but what was allowed for a time does not", async ({ commands }) => {
      for (const command of commands) await lab.user.mustRun("sh", ["-c", command]);
      await kept.reconnect();
      await expectKept();
      expect(await kept.client.resolve("alias.test")).toEqual([]);
      expect(await kept.see("tcp,198.18.51.2,80")).toEqual({ "tcp,198.18.51.2,80": "refused" });
      await kept.mustShield("allow", "--for", "1h", "198.18.51.2");
      expect(await kept.see("tcp,198.18.51.2,80")).toEqual({ "tcp,198.18.51.2,80": "open" });
    });

    test("are taken while the container is stopped, for its next start", async () => {
      await lab.user.mustRun("podman", ["stop", "--time=0", "kept"]);
      await kept.mustShield("allow", "198.18.52.1");
      await kept.mustShield("deny", "good.test");
      await lab.user.mustRun("terok-shield", ["start", "kept"]);
      await kept.reconnect();
      expect(await kept.client.resolve("good.test")).toEqual([]);
      expect(await kept.see("tcp,198.18.52.1,80")).toEqual({ "tcp,198.18.52.1,80": "open" });
      await expectReach(lab, kept, { open: ["tcp,198.18.52.1,80"], refused: ["tcp,198.18.0.10,80"] });
    });
  });
});
