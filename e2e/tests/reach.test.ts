import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM } from "../src/lab/platform.ts";
import { installedShield } from "./installed-shield.ts";

const { resolver: RESOLVER, otherResolvers: OTHER_RESOLVERS } = PLATFORM.network;
const PROBE = await readFile(new URL("../src/lab/connect-probe.py", import.meta.url), "utf8");

/** Allowed in both tiers. `rebinding` names are allowed too: their answers are what must open nothing. */
const PROFILE = `
good.test
alias.test
198.18.1.1
198.18.2.0/24
198.18.2.9
2001:2::aaaa
2001:2:0:2::/64
private.test
cgnat.test
metadata.test
ula.test
nat64.test
6to4.test
`;
const WILDCARDS = "*.wild.test\n";

const TIERS = [
  { tier: "dnsmasq", hide: [], profile: `${PROFILE}${WILDCARDS}` },
  { tier: "dig", hide: ["/usr/sbin/dnsmasq"], profile: PROFILE },
  { tier: "getent", hide: ["/usr/sbin/dnsmasq", "/usr/bin/dig"], profile: PROFILE },
];

describe.each(TIERS)("a container shielded in the $tier tier", ({ tier, hide, profile }) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hide, shieldPrefix: installedShield() });
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/reach.txt`, profile);
  });
  afterAll(() => lab?.destroy());
  beforeEach(async () => {
    await lab.internet.setName("udp.test", { addresses: ["198.18.1.1", "2001:2::aaaa"] });
    await lab.internet.reset();
  });

  async function probeShielded(...targets: string[]): Promise<string[]> {
    const { stdout, stderr } = await lab.shield([
      ...["run", "reach", "--profiles", "reach", "--", "--rm", ...lab.imageArgs],
      ...["python3", "-c", PROBE, ...targets],
    ]);
    return outcomes(stdout, stderr, targets);
  }

  async function probeUnshielded(...targets: string[]): Promise<string[]> {
    const { stdout, stderr } = await lab.podman([
      ...["run", "--rm", PLATFORM.network.option, ...lab.imageArgs],
      ...["python3", "-c", PROBE, ...targets],
    ]);
    return outcomes(stdout, stderr, targets);
  }

  /** Where packets arrived, name servers aside: a resolver asks those. */
  async function reachedAddresses(): Promise<string[]> {
    const arrivals = await lab.internet.arrivals();
    return [...new Set(arrivals.filter(({ port }) => port !== 53).map(({ address }) => address))].sort();
  }

  test("says which tier it is in", async () => {
    const { stdout } = await lab.shield(["prepare", "tiers", "--profiles", "reach", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ tier, profiles: ["reach"] });
  });

  test.each([
    {
      what: "an allowed name over IPv4",
      targets: ["tcp,good.test,80"],
      address: "198.18.0.10",
      option: "-4",
    },
    { what: "an allowed name over IPv6", targets: ["tcp,good.test,80"], address: "2001:2::10", option: "-6" },
    {
      what: "the end of a chain of CNAMEs",
      targets: ["tcp,alias.test,80"],
      address: "198.18.0.40",
      option: "-4",
    },
  ])("reaches $what, from a cold start", async ({ targets, address, option }) => {
    const [, name = ""] = targets[0]?.split(",") ?? [];
    const { stdout, stderr } = await lab.shield([
      ...["run", "reach", "--profiles", "reach", "--", "--rm", ...lab.imageArgs],
      ...["curl", "-sS", option, `http://${name}/`],
    ]);
    expect(`${stdout}${stderr}`).toContain(`reached ${address}\n`);
    expect(await lab.internet.httpHits()).toEqual([expect.objectContaining({ address, host: name })]);
  });

  test.each([
    "tcp,198.18.1.1,80",
    "tcp,198.18.1.1,9000",
    "udp,198.18.1.1,9000",
    "tcp,198.18.2.77,80",
    "tcp,198.18.2.9,443",
    "tcp,2001:2::aaaa,80",
    "udp,2001:2::aaaa,9000",
    "tcp,2001:2:0:2::5,80",
  ])("reaches %s, which its profile lists", async (target) => {
    expect(await probeShielded(target)).toEqual(["answered"]);
    expect(await reachedAddresses()).toEqual([target.split(",")[1]]);
  });

  test.each([
    { target: "tcp,198.18.66.66,80", refusal: "EHOSTUNREACH" },
    { target: "tcp,198.18.3.1,443", refusal: "EHOSTUNREACH" },
    { target: "udp,198.18.66.66,9000", refusal: "EPERM" },
    { target: "tcp,2001:2::6666,80", refusal: "ECONNREFUSED" },
    { target: "udp,2001:2::6666,9000", refusal: "EPERM" },
    { target: "tcp,2001:2:0:3::1,80", refusal: "ECONNREFUSED" },
    { target: "tcp,10.77.0.7,80", refusal: "EHOSTUNREACH" },
    { target: "tcp,192.168.77.7,80", refusal: "EHOSTUNREACH" },
    { target: "tcp,100.64.7.7,80", refusal: "EHOSTUNREACH" },
    { target: "tcp,169.254.169.254,80", refusal: "EHOSTUNREACH" },
    { target: "tcp,fd77::7,80", refusal: "ECONNREFUSED" },
    { target: "tcp,fd00:ec2::254,80", refusal: "ECONNREFUSED" },
    { target: "tcp,64:ff9b::a4d:7,80", refusal: "ECONNREFUSED" },
    { target: "tcp,2002:a4d:7::1,80", refusal: "ECONNREFUSED" },
  ])("is refused $target at once, which an unshielded container reaches", async ({ target, refusal }) => {
    expect(await probeUnshielded(target)).toEqual(["answered"]);
    expect(await reachedAddresses()).toEqual([target.split(",")[1]]);
    await lab.internet.reset();
    // An errno and not silence: the kernel answered, nobody waited.
    expect(await probeShielded(target)).toEqual([refusal]);
    expect(await reachedAddresses()).toEqual([]);
  });

  test.each(["evil.test", "api.good.test", "random-label.evil.test", "wild.test"])(
    "finds no %s, and its name server never hears the name",
    async (name) => {
      expect(await probeUnshielded(`tcp,${name},80`)).toEqual(["answered"]);
      expect(await queriedNames()).toContain(name);
      await lab.internet.reset();
      expect(await probeShielded(`tcp,${name},80`)).toEqual(["no such name"]);
      expect(await queriedNames()).not.toContain(name);
      expect(await reachedAddresses()).toEqual([]);
    },
  );

  test.each([
    { upstream: RESOLVER, transport: "udp" },
    { upstream: RESOLVER, transport: "tcp" },
    ...OTHER_RESOLVERS.map((upstream) => ({ upstream, transport: "udp" })),
    { upstream: "198.18.0.53", transport: "udp" },
    { upstream: "198.18.0.53", transport: "tcp" },
    { upstream: "2001:2::53", transport: "udp" },
    { upstream: "2001:2::53", transport: "tcp" },
  ])(
    "has no way to ask $upstream straight ($transport), not even for an allowed name",
    async ({ upstream, transport }) => {
      const questions = ["evil.test", "good.test"].map((name) => `dns-${transport},${upstream},${name}`);
      if (!OTHER_RESOLVERS.includes(upstream))
        expect(await probeUnshielded(...questions)).toEqual(["answered", "answered"]);
      await lab.internet.reset();
      for (const outcome of await probeShielded(...questions)) {
        expect(outcome).toMatch(/^(EHOSTUNREACH|ECONNREFUSED|EPERM)$/);
      }
      expect((await lab.internet.dnsQueries()).filter(({ server }) => server === upstream)).toEqual([]);
      expect(await queriedNames()).not.toContain("evil.test");
    },
  );

  test.each([
    { name: "private.test", address: "10.77.0.7" },
    { name: "cgnat.test", address: "100.64.7.7" },
    { name: "metadata.test", address: "169.254.169.254" },
    { name: "ula.test", address: "fd77::7" },
    { name: "nat64.test", address: "64:ff9b::a4d:7" },
    { name: "6to4.test", address: "2002:a4d:7::1" },
  ])("an allowed $name that answers $address opens nothing", async ({ name, address }) => {
    expect(await probeUnshielded(`tcp,${name},80`)).toEqual(["answered"]);
    await lab.internet.reset();
    const [byName, byAddress] = await probeShielded(`tcp,${name},80`, `tcp,${address},80`);
    expect(byName).not.toBe("answered");
    expect(byAddress).toMatch(/^(EHOSTUNREACH|ECONNREFUSED)$/);
    expect(await reachedAddresses()).toEqual([]);
  });

  if (tier === "dnsmasq") {
    test("a wildcard opens names at both depths below it", async () => {
      expect(await probeShielded("tcp,a.wild.test,80", "tcp,b.a.wild.test,80")).toEqual([
        "answered",
        "answered",
      ]);
    });
  } else {
    test("a wildcard is refused with its line, and nothing is written", async () => {
      await lab.user.writeFile(
        `${lab.user.home}/.config/terok/shield/profiles/wild.txt`,
        "# none\n*.wild.test\n",
      );
      const { exitCode, stderr } = await lab.shield(["prepare", "wild", "--profiles", "wild"]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining("wild.txt:2: ") });
      const bundle = `${lab.user.home}/.local/state/terok/shield/containers/wild`;
      expect((await lab.user.run("ls", [bundle])).exitCode).not.toBe(0);
    });
  }

  test("holds no mark, no raw socket and no say over its rules", async () => {
    const attack = [
      "import socket,subprocess",
      "def t(f):",
      "  try: f(); return 'done'",
      "  except OSError as e: return e.strerror",
      "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)",
      "print(t(lambda: s.setsockopt(socket.SOL_SOCKET,36,0x7e530001)))",
      "print(t(lambda: socket.socket(socket.AF_INET,socket.SOCK_RAW,255)))",
      "print(t(lambda: socket.socket(socket.AF_PACKET,socket.SOCK_RAW,0)))",
      "print(subprocess.run(['nft','flush','ruleset'],capture_output=True).returncode)",
      "print(subprocess.run(['unshare','-Ur','nft','flush','ruleset'],capture_output=True).returncode)",
    ].join("\n");
    const { stdout } = await lab.shield([
      ...["run", "reach", "--profiles", "reach", "--", "--rm", ...lab.imageArgs, "python3", "-c", attack],
    ]);
    expect(stdout).toBe(`${Array(3).fill("Operation not permitted").join("\n")}\n1\n1\n`);
  });

  async function queriedNames(): Promise<string[]> {
    return (await lab.internet.dnsQueries()).map(({ name }) => name);
  }
});

function outcomes(stdout: string, stderr: string, targets: readonly string[]): string[] {
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  if (lines.length !== targets.length) throw new Error(`The probe did not finish: ${stdout}${stderr}`);
  return lines.map((line) => (JSON.parse(line) as { outcome: string }).outcome);
}
