import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM, shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { openKernel } from "./kernel.ts";
import { eventsOf } from "./shield-events.ts";
import { type ShieldedContainer, startShielded } from "./shielded-container.ts";

interface Explained {
  readonly target: string;
  readonly verdict: string;
  readonly by: string;
  readonly parts: readonly {
    readonly address?: string;
    readonly verdict: string;
    readonly by: string;
    readonly text: string;
    readonly disagreement?: string;
  }[];
  readonly hint?: string;
}

const PROFILE = `# explained
good.test
*.wild.test:80
v4only.test:443/tcp
private.test
198.18.1.0/24
198.18.2.9:80/tcp
198.18.2.0/25:9000/udp
198.18.2.128/25:8000-8100
10.77.0.7:80
2001:2:0:2::/64
[2001:2::aaaa]:80-443/tcp
169.254.0.0/16
198.18.66.66
`;

const RANGES = ["198.18.1", "198.18.2", "198.18.3"];
const ADDRESSES = [
  ...["198.18.0.10", "198.18.0.13", "198.18.0.21", "198.18.66.66", "10.77.0.7", "192.168.77.7", "100.64.7.7"],
  ...["169.254.169.254", "2001:2::10", "2001:2::aaaa", "2001:2::6666", "2001:2:0:2::5", "2001:2:0:2:8000::5"],
  ...["2001:2:0:3::1", "fd77::7", "64:ff9b::a4d:7", "fd00:ec2::254"],
];
const NAMES = [
  ...["good.test", "api.good.test", "a.wild.test", "b.a.wild.test", "wild.test", "v4only.test"],
  ...["private.test", "other.test", "evil.test"],
];
/** All of them are served at every address of the lab, by TCP. */
const PORTS = [7, 80, 443, 8080, 9000];
const AT_ONCE = 76;
const SEED = Number(process.env.SEED ?? Math.trunc(Math.random() * 2 ** 31));
const PROBE = await readFile(new URL("../src/lab/outbound-probe.py", import.meta.url), "utf8");

let lab: Lab;
let container: ShieldedContainer;

beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  container = await startShielded(lab, "explained", PROFILE);
});
afterAll(() => lab?.destroy());
beforeEach(() => lab.internet.reset());

async function explain(...targets: readonly string[]): Promise<Explained[]> {
  const { stdout, stderr } = await container.shield("explain", "--json", ...targets);
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as { targets: Explained[] }).targets;
}

describe(`explain, over random destinations (SEED=${SEED})`, () => {
  const random = randomNumbers(SEED);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;

  const steps: { mode: string; commands: readonly (readonly string[])[] }[] = [
    { mode: "up", commands: [] },
    { mode: "with denies", commands: [["deny", "198.18.1.0/25", "a.wild.test", "2001:2:0:2::/65"]] },
    {
      mode: "with temporary decisions",
      commands: [
        ["allow", "198.18.3.0/24:80", "other.test", "--for", "1h"],
        ["deny", "198.18.2.0/26", "good.test:443", "--for", "1h"],
        ["allow", "198.18.1.0/25", "--for", "1h"],
      ],
    },
    { mode: "in bypass", commands: [["down"]] },
    { mode: "in bypass with private ranges, for a time", commands: [["down", "--all", "--for", "1h"]] },
    { mode: "blocked", commands: [["block"]] },
    { mode: "up again", commands: [["up"]] },
  ];

  let compared = 0;
  test.each(steps)("$mode: says of each what a real attempt meets", async ({ mode, commands }) => {
    for (const [verb = "", ...rest] of commands) await container.mustShield(verb, ...rest);
    const tried = Array.from({ length: AT_ONCE }, () => {
      const host =
        random() < 0.12
          ? pick(NAMES)
          : random() < 0.5
            ? pick(ADDRESSES)
            : `${pick(RANGES)}.${Math.floor(random() * 256)}`;
      return { host, port: pick(PORTS), protocol: pick(["tcp", "udp"]) };
    });
    const targets = tried.map(({ host, port, protocol }) =>
      host.includes(":") ? `[${host}]:${port}/${protocol}` : `${host}:${port}/${protocol}`,
    );

    const explained = await explain(...targets);
    const unlisted = explained.filter(({ verdict }) => verdict === "unknown").map(({ target }) => target);
    const asked = new Set((await lab.internet.dnsQueries()).map(({ name }) => name));
    const seen = await probe(tried.map(({ protocol, host, port }) => [protocol, host, port]));
    const arrived = new Set(
      (await lab.internet.arrivals()).map(({ protocol, address, port }) => `${protocol} ${address} ${port}`),
    );

    const disagreements = explained.flatMap(({ target, verdict, parts }, index) => {
      const { host = "", protocol = "", port = 0 } = tried[index] ?? {};
      const reached = Object.entries(seen[index] ?? {}).map(([address, outcome]) => {
        const hasArrived = arrived.has(`${protocol} ${address} ${port}`);
        return `${address} ${outcomeOf(outcome, hasArrived)}`;
      });
      // Nothing is reached by a name that does not resolve.
      if (verdict === "unknown" || (NAMES.includes(host) && reached.length === 0 && verdict === "refused"))
        return [];
      const said = parts.map(({ address, verdict: of }) => `${address} ${of}`);
      return said.sort().join() === reached.sort().join() ? [] : [{ target, said, reached }];
    });
    expect(disagreements).toEqual([]);
    compared += explained.length - unlisted.length;
    // Only of names that bypass alone opens nothing can be said, and they do not leave the host by that.
    for (const target of unlisted) {
      const name = target.replace(/:.*/, "");
      expect([mode.startsWith("in bypass"), NAMES.includes(name), asked.has(name)]).toEqual([
        true,
        true,
        false,
      ]);
    }
    expect(explained.flatMap(({ parts }) => parts.flatMap(({ disagreement = [] }) => disagreement))).toEqual(
      [],
    );
    const verdicts = new Set(explained.map(({ verdict }) => verdict));
    expect(verdicts.has("refused")).toBe(true);
    expect(verdicts.has("passes")).toBe(mode !== "blocked");
  });

  test("of 500 destinations or more", () => {
    expect(compared).toBeGreaterThanOrEqual(500);
  });
});

/** Tries each in the container, a name at each of its addresses. */
async function probe(
  targets: readonly (readonly [string, string, number])[],
): Promise<Record<string, string>[]> {
  const python = ["python3", "-c", PROBE, JSON.stringify(targets)];
  const { stdout, stderr } = await lab.podman(["exec", "explained", ...python]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>[];
}

/** What a refusal looks like in the container, while nothing arrives; and the other way round. */
function outcomeOf(outcome: string, hasArrived: boolean): string {
  if (outcome === "passed" && hasArrived) return "passes";
  if (REFUSALS.has(outcome) && !hasArrived) return "refused";
  return `${outcome}, ${hasArrived ? "and arrived" : "and did not arrive"}`;
}

const REFUSALS = new Set(["EHOSTUNREACH", "ECONNREFUSED", "EPERM", "EACCES"]);

/** mulberry32 */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("explain says who decided", () => {
  const file = () => `${lab.user.home}/.config/terok/shield/profiles/named.txt`;
  const entry = (text: string, line: number) => `entry "${text}" (profile named, ${file()}:${line})`;
  let named: ShieldedContainer;

  beforeAll(async () => {
    named = await startShielded(
      lab,
      "named",
      "# named\ngood.test\n*.wild.test:443\n198.18.1.0/24\n198.18.1.7:80/tcp\n",
    );
  });
  afterAll(() => named?.remove());

  async function say(target: string): Promise<readonly string[]> {
    const { stdout, stderr } = await named.shield("explain", "--json", target);
    if (stdout === "") throw new Error(stderr);
    const [found] = (JSON.parse(stdout) as { targets: Explained[] }).targets;
    return [found?.verdict ?? "", ...new Set(found?.parts.map(({ text }) => text))];
  }

  test("an entry of a profile, with its file and line, by address and by name", async () => {
    expect(await say("198.18.1.9:443")).toEqual(["passes", `allowed: ${entry("198.18.1.0/24", 4)}`]);
    expect(await say("198.18.1.7:80/tcp")).toEqual(["passes", `allowed: ${entry("198.18.1.7:80/tcp", 5)}`]);
    expect(await say("good.test")).toEqual(["passes", `allowed: ${entry("good.test", 2)}`]);
    expect(await say("a.wild.test:443")).toEqual([
      "passes",
      `allowed: ${entry("*.wild.test:443", 3)}, as a.wild.test`,
    ]);
    expect(await say("198.18.0.21:443")).toEqual(await say("a.wild.test:443"));
    expect(await say("a.wild.test:80")).toEqual([
      "refused",
      `refused: no entry names this port of it, ${entry("*.wild.test:443", 3)} is for others`,
    ]);
  });

  test("what no entry names, and what an address is that stays closed", async () => {
    expect(await say("evil.test")).toEqual(["refused", "refused: no entry names it"]);
    expect(await say("198.18.66.66")).toEqual(["refused", "refused: no entry names it"]);
    expect(await say("10.77.0.7:80")).toEqual([
      "refused",
      "refused: private range 10.0.0.0/8, an entry that names it exactly would open it",
    ]);
    expect(await say("169.254.169.254")).toEqual([
      "refused",
      "refused: a cloud metadata address, only an entry of exactly that address would open it",
    ]);
    expect((await say(`${PLATFORM.network.resolver}:53`)).join()).toContain("the container's own network");
    expect(await say("127.0.0.1:53")).toEqual(["passes", "allowed: it is the container itself"]);
    expect(await lab.internet.dnsQueries()).toEqual([]);
  });

  test("and what it asks for is no event of the container", async () => {
    const refusedNames = async () =>
      (await eventsOf(lab, "named")).flatMap(({ action, name }) => (action === "name" ? [name] : []));
    expect(await refusedNames()).toEqual([]);
    expect(await named.client.resolve("evil.test")).toEqual([]);
    await until("what the container asks for is one", async () =>
      (await refusedNames()).includes("evil.test"),
    );
    expect(new Set(await refusedNames())).toEqual(new Set(["evil.test"]));
    const before = (await refusedNames()).length;
    expect(await say("evil.test")).toEqual(["refused", "refused: no entry names it"]);
    expect(await refusedNames()).toHaveLength(before);
  });

  test("without a port, for which ports it passes", async () => {
    const { stdout } = await named.shield("explain", "a.wild.test", "198.18.1.9");
    expect(stdout).toContain("a.wild.test  passes in part\n    198.18.0.21 2001:2::21 443/tcp 443/udp\n");
    expect(stdout).toContain(`198.18.1.9  passes\n    198.18.1.9 every port\n`);
    expect(stdout).toContain("by the rule output: ip daddr @allow_v4 goto admit_allowed");
    expect(stdout).toContain("to close it: terok-shield deny named 198.18.1.9\n");
  });

  test("an operator's decision, and the time that is left of it", async () => {
    await named.mustShield("deny", "198.18.1.64/26", "good.test");
    await named.mustShield("allow", "198.18.3.1:80", "other.test", "--for", "1h");
    expect(await say("198.18.1.70")).toEqual(["refused", "refused: deny 198.18.1.64/26 by the operator"]);
    expect(await say("good.test")).toEqual(["refused", "refused: deny good.test by the operator"]);
    for (const target of ["198.18.3.1:80", "other.test:443"]) {
      const [verdict, text] = await say(target);
      expect([verdict, text]).toEqual([
        "passes",
        expect.stringMatching(/^allowed: allow \S+ by the operator, (1h|59m\d+s) left$/),
      ]);
    }
    await named.mustShield("allow", "good.test");
    expect(await say("good.test")).toEqual(["passes", `allowed: ${entry("good.test", 2)}`]);
  });

  test("bypass with the time that is left, a name that nobody lists is not asked for, and what is denied stays so", async () => {
    await named.mustShield("down", "--for", "1h");
    await lab.internet.reset();

    const [verdict, text] = await say("198.18.66.66:80");
    expect([verdict, text]).toEqual([
      "passes",
      expect.stringMatching(/^bypass: no entry names it \(down, (1h|59m\d+s) left\)$/),
    ]);
    expect(await say("198.18.1.70")).toEqual(["refused", "refused: deny 198.18.1.64/26 by the operator"]);
    const unknown = await named.shield("explain", "evil.test");
    expect(unknown).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining("evil.test  cannot tell\n"),
    });
    expect(await lab.internet.dnsQueries()).toEqual([]);
    // What the container looked up itself is known.
    expect(await named.client.resolve("evil.test")).toEqual(["198.18.66.66", "2001:2::6666"]);
    expect((await say("evil.test:80"))[0]).toBe("passes");
    await named.mustShield("up");
    expect(await say("evil.test:80")).toEqual(["refused", "refused: no entry names it"]);
  });

  test("a rule that somebody put before ours comes first", async () => {
    await named.mustShield("block");
    expect(await say("198.18.1.9")).toEqual(["refused", "refused: blocked, nothing passes until up"]);
    await named.mustShield("up");
    const { nft } = await openKernel(lab, "named");
    await nft("insert rule inet terok_shield output ip daddr 198.18.66.66 accept");

    const { stdout } = await named.shield("explain", "198.18.66.66:80/tcp");
    expect(stdout).toMatch(/^198\.18\.66\.66:80\/tcp {2}passes\n {4}the kernel and the policy disagree: /);
    expect(stdout).toContain("by the rule output: ip daddr 198.18.66.66 accept");
    expect(stdout).toContain("to make them agree: terok-shield up --repair named\n");
    expect(await named.see("tcp,198.18.66.66,80")).toEqual({ "tcp,198.18.66.66,80": "open" });

    await nft("flush ruleset");
    expect((await say("192.0.2.1")).join()).toContain("the kernel has none of the shield's rules");
    await named.mustShield("up", "--repair");
    expect(await say("198.18.66.66:80/tcp")).toEqual(["refused", "refused: no entry names it"]);
  });

  test("what is no single destination, and a container that does not run", async () => {
    expect(await named.shield("explain", "198.18.0.0/16")).toMatchObject({ exitCode: 2 });
    expect(await named.shield("explain", "*.wild.test")).toMatchObject({ exitCode: 2 });
    await lab.user.mustRun("podman", ["stop", "--time=0", "named"]);
    expect(await named.shield("explain", "198.18.1.9")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("does not run"),
    });
  });
});

test("without a resolver, by the names that were resolved before the start", async () => {
  const config = `${lab.user.home}/.config/terok/shield/config.yml`;
  await lab.user.writeFile(config, shieldConfig("dns: {tier: dig}\n"));
  const { client } = await startShielded(lab, "static", "good.test:80\nother.test\n198.18.1.0/24\n");
  const { stdout } = await lab.shield([
    "explain",
    "static",
    "--json",
    "good.test:80",
    "good.test:443",
    "evil.test",
  ]);
  const explained = (JSON.parse(stdout) as { targets: Explained[] }).targets;
  expect(explained.map(({ target, verdict, by }) => [target, verdict, by])).toEqual([
    ["good.test:80", "passes", "entry"],
    ["good.test:443", "refused", "nothing"],
    ["evil.test", "refused", "nothing"],
  ]);
  expect(explained[0]?.parts.map(({ address }) => address).sort()).toEqual(["198.18.0.10", "2001:2::10"]);
  const tried = await client.attempt("tcp,good.test,80", "tcp,good.test,443", "tcp,evil.test,80");
  expect(tried).toEqual(["answered", expect.stringMatching(/^E(HOSTUNREACH|CONNREFUSED)$/), "no such name"]);
});
