import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";

const TIERS = [
  { tier: "dnsmasq", hide: [] },
  { tier: "dig", hide: ["/usr/sbin/dnsmasq"] },
];

describe.each(TIERS)("what profiles say, in the $tier tier", ({ tier, hide }) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hide, shieldPrefix: installedShield() });
  });
  afterAll(() => lab?.destroy());
  beforeEach(() => lab.internet.reset());

  const writeProfile = (name: string, text: string) =>
    lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/${name}.txt`, text);
  const bundle = (name: string) => `${lab.user.home}/.local/state/terok/shield/containers/${name}`;

  /** What curl says of each address or name, from one new container: its exit code, 0 for reached. */
  async function curlFrom(profile: string, ...targets: string[]): Promise<number[]> {
    const script = targets.map((target) => `curl -s -o /dev/null http://${target}/; echo $?`).join("; ");
    const args = ["run", "curl", "--profiles", profile, "--", "--rm", ...lab.imageArgs, "sh", "-c", script];
    const { stdout, stderr } = await lab.shield(args);
    if (stdout === "") throw new Error(stderr);
    return stdout.trim().split("\n").map(Number);
  }

  test("a CIDR, a host in it, the same host again and both families load and open what they name", async () => {
    await writeProfile(
      "overlap",
      "198.18.4.0/24\n198.18.4.7\n198.18.4.7\n198.18.4.128/25\n2001:2:0:4::/64\n2001:2:0:4::7\n::ffff:198.18.5.5\n",
    );
    const targets = [
      "198.18.4.1",
      "198.18.4.7",
      "198.18.4.200",
      "[2001:2:0:4::7]",
      "198.18.5.5",
      "198.18.5.6",
    ];
    expect(await curlFrom("overlap", ...targets)).toEqual([0, 0, 0, 0, 0, 7]);
  });

  test("an entry with a port opens that port alone, for addresses and names", async () => {
    await writeProfile(
      "web-only",
      "198.18.4.1:80/tcp\n198.18.4.7:81/tcp\n[2001:2:0:4::7]:80\ngood.test:80\n",
    );
    const targets = ["198.18.4.1", "198.18.4.7", "[2001:2:0:4::7]", "good.test"];
    expect(await curlFrom("web-only", ...targets)).toEqual([0, 7, 0, 0]);
    await writeProfile("elsewhere", "good.test:81\n198.18.4.7\n");
    expect(await curlFrom("elsewhere", "good.test", "198.18.4.7")).toEqual([7, 0]);
  });

  test("10 000 addresses load, and the first, the last and one not among them are told apart", async () => {
    const addresses = Array.from(
      { length: 10_000 },
      (_, index) => `198.19.${index >> 7}.${(index & 127) * 2}`,
    );
    await writeProfile("many", addresses.join("\n"));
    expect(await curlFrom("many", "198.19.0.0", addresses.at(-1) ?? "", "198.19.0.1")).toEqual([0, 0, 7]);
  });

  test("names that do not resolve, or whose server never answers, are noted and no reason not to start", async () => {
    await writeProfile("late", "late.test\nsilent.test\ngood.test\n");
    await lab.internet.removeName("late.test");
    const args = ["--", "-d", ...lab.imageArgs, "sleep", "infinity"];
    expect(await lab.shield(["run", "late", "--profiles", "late", ...args])).toMatchObject({ exitCode: 0 });
    const curl = (name: string) => lab.podman(["exec", "late", "curl", "-sS", "-m", "3", `http://${name}/`]);
    expect((await curl("good.test")).exitCode).toBe(0);
    expect((await curl("late.test")).exitCode).toBe(6);
    await lab.internet.setName("late.test", { addresses: ["198.18.6.6"] });
    const { stdout, stderr } = await lab.shield(["resolve", "late", "--force"]);
    expect(stdout).toContain("late.test -> 198.18.6.6");
    expect(stderr).toContain("silent.test does not resolve");
    expect(await curl("late.test")).toMatchObject({ exitCode: 0, stdout: "reached 198.18.6.6\n" });
    expect(await lab.shield(["status", "late"])).toMatchObject({ exitCode: 0 });
    const { stdout: log } = await lab.shield(["logs", "--container", "late", "--only", "lifecycle"]);
    expect(log).toContain("silent.test does not resolve");
    await lab.podman(["rm", "--force", "--time=0", "late"]);
  });

  test("18 names that nobody answers are asked all at once", async () => {
    const names = Array.from({ length: 18 }, (_, index) => `n${index}.silent.test`);
    for (const name of names) await lab.internet.setName(name, { silent: true });
    await writeProfile("silent", names.join("\n"));
    const { exitCode, stdout } = await lab.shield(["prepare", "silent", "--profiles", "silent", "--json"]);
    expect(exitCode).toBe(0);
    if (tier !== "dnsmasq") {
      const { notes } = JSON.parse(stdout) as { notes: string[] };
      expect(
        names.filter((name) => !notes.some((note) => note.startsWith(`${name} does not resolve`))),
      ).toEqual([]);
    }
  });

  test("an edited profile counts at the next run, and at the next start", async () => {
    await writeProfile("edited", "198.18.7.1\n");
    expect(await curlFrom("edited", "198.18.7.1", "198.18.7.2")).toEqual([0, 7]);
    await writeProfile("edited", "198.18.7.2\n");
    expect(await curlFrom("edited", "198.18.7.1", "198.18.7.2")).toEqual([7, 0]);
    const args = ["--", "-d", ...lab.imageArgs, "sleep", "infinity"];
    await lab.shield(["run", "edited", "--profiles", "edited", ...args]);
    await lab.user.mustRun("podman", ["stop", "--time=0", "edited"]);
    await writeProfile("edited", "198.18.7.3\n");
    expect(await lab.shield(["start", "edited"])).toMatchObject({ exitCode: 0 });
    const curl = (address: string) => lab.podman(["exec", "edited", "curl", "-sS", `http://${address}/`]);
    expect([(await curl("198.18.7.2")).exitCode, (await curl("198.18.7.3")).exitCode]).toEqual([7, 0]);
    await lab.podman(["rm", "--force", "--time=0", "edited"]);
  });

  test("an address that the owner wrote outlives every timeout, and one that DNS brought does not outlive disuse", async () => {
    await writeProfile("timed", "198.18.8.8\ngood.test\n");
    await lab.user.writeFile(
      `${lab.user.home}/.config/terok/shield/config.yml`,
      shieldConfig("dns: {timeout_seconds: 1}\n"),
    );
    await lab.shield([
      "run",
      "timed",
      "--profiles",
      "timed",
      "--",
      "-d",
      ...lab.imageArgs,
      "sleep",
      "infinity",
    ]);
    const curl = async (target: string) =>
      (await lab.podman(["exec", "timed", "curl", "-s", `http://${target}/`])).exitCode;
    expect(await curl("good.test")).toBe(0);
    if (tier === "dnsmasq") {
      // Awaited by listing: each try of the client would renew it.
      await until(
        "the kernel forgot the address",
        async () => !(await lab.shield(["rules", "timed"])).stdout.includes("198.18.0.10"),
      );
      expect(await curl("198.18.0.10")).toBe(7);
      expect(await curl("good.test")).toBe(0);
    } else {
      expect(await curl("198.18.0.10")).toBe(0);
    }
    expect(await curl("198.18.8.8")).toBe(0);
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/config.yml`, shieldConfig());
    await lab.podman(["rm", "--force", "--time=0", "timed"]);
  });

  const longLabel = "a".repeat(64);
  test.each(
    [
      ["010.0.0.1"],
      ["1.2.3.4/33"],
      ["10.1"],
      ["0x7f.0.0.1"],
      ["1.2.3.4/"],
      ["1.2.3.4/-1"],
      ["256.1.1.1"],
      ["1.2.3"],
      ["fe80::1%eth0"],
      ["::1::2"],
      ["2001:db8::/129"],
      ["[2001:db8::1"],
      ["exa mple.com"],
      ["a..b"],
      [".example.com"],
      ["example..com"],
      [`${longLabel}.com`],
      [`${"a.".repeat(127)}com`],
      ["-a.example.com"],
      ["a-.example.com"],
      ["*.com"],
      ["*.github.io"],
      ["*.co.uk"],
      ["*"],
      ["*.*.example.com"],
      ["foo*.com"],
      ["a.*.example.com"],
      ["localhost"],
      ["nul\0.example.com"],
      ["bell\u0007.example.com"],
      ["line\\n.example.com"],
      ["$(id).example.com"],
      ["`id`.example.com"],
      ["example.com;id"],
      ["example.com|id"],
      ["example.com&"],
      ["1.1.1.1; drop"],
      ["{ 1.1.1.1 }"],
      ["1.1.1.1 accept"],
      ["server=/x/1.1.1.1"],
      ["address=/#/1.2.3.4"],
      ["example.com/1.1.1.1"],
      ["https://example.com"],
      ["user@example.com"],
      ["example.com:0"],
      ["example.com:70000"],
      ["example.com:443/icmp"],
    ].slice(0, tier === "dnsmasq" ? undefined : 4),
  )("the line %j is refused with its place, and no state is written", async (line) => {
    await writeProfile("bad", `good.test\n\n${line}\n`);
    const { exitCode, stdout, stderr } = await lab.shield([
      "run",
      "bad",
      "--profiles",
      "bad",
      "--",
      ...lab.imageArgs,
      "true",
    ]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("/profiles/bad.txt:3: ");
    expect(stderr).not.toMatch(/[^\n\P{Cc}]/u);
    expect((await lab.user.run("ls", [bundle("bad")])).exitCode).not.toBe(0);
  });
});
