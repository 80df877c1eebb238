import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { type Kernel, openKernel } from "./kernel.ts";
import { all, expectReach, type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROFILE = "good.test\n198.18.1.1\n198.18.2.0/24\n";
const DECISIONS: readonly (readonly [string, ...string[]])[] = [
  ["deny", "198.18.2.9", "denied.test"],
  ["allow", "ports.test:80"],
  ["allow", "198.18.5.5", "--for", "1h"],
  ["deny", "198.18.2.8", "--for", "1h"],
];

const OPEN = ["tcp,198.18.1.1,80", "tcp,198.18.2.1,80", "tcp,198.18.5.5,80", "tcp,198.18.0.10,80"];
const REFUSED = ["tcp,198.18.66.66,80", "tcp,198.18.2.9,80", "tcp,198.18.2.8,80", "tcp,10.77.0.7,80"];
const [EVIL, DENIED, TIMED_DENIED] = ["tcp,198.18.66.66,80", "tcp,198.18.2.9,80", "tcp,198.18.2.8,80"];

/** What somebody does to the rules, one nft command each, in our table where no other is named. */
const RULES: readonly {
  what: string;
  commands: readonly string[];
  /** What it really opens or closes: else it proves nothing. */
  opens?: readonly string[];
  closes?: readonly string[];
  /** What status calls it. */
  reason: string;
}[] = [
  {
    what: "a rule that accepts one address is put first",
    commands: ["insert rule inet terok_shield output ip daddr 198.18.66.66 accept"],
    ...{ opens: [EVIL], reason: "chain output" },
  },
  {
    what: "a rule is added at the end of a chain",
    commands: ["add rule inet terok_shield input ip saddr 198.18.66.66 accept"],
    reason: "chain input",
  },
  {
    what: "a rule is there twice",
    commands: ["insert rule inet terok_shield output oifname lo accept"],
    reason: "chain output",
  },
  {
    what: "a chain that refuses is emptied, so that packets fall through",
    commands: ["flush chain inet terok_shield refuse_denied"],
    reason: "chain refuse_denied",
  },
  {
    what: "the chain of outgoing packets is emptied",
    commands: ["flush chain inet terok_shield output"],
    ...{ closes: OPEN, reason: "chain output" },
  },
  {
    what: "a chain accepts what no rule decides on",
    commands: [
      "flush chain inet terok_shield refuse_blocked",
      "add chain inet terok_shield output { policy accept ; }",
    ],
    ...{ opens: [EVIL], reason: "chain output" },
  },
  {
    what: "only a chain's policy is changed",
    commands: ["add chain inet terok_shield forward { policy accept ; }"],
    reason: "chain forward",
  },
  {
    what: "a chain is added",
    commands: ["add chain inet terok_shield late { type filter hook output priority 300 ; policy accept ; }"],
    reason: "chain late",
  },
  {
    what: "the number of the policy is gone",
    commands: ["delete chain inet terok_shield revision_REVISION"],
    reason: "the last command did not finish",
  },
  {
    what: "the set of denied addresses is emptied",
    commands: ["flush set inet terok_shield deny_v4"],
    ...{ opens: [DENIED], reason: "set deny_v4" },
  },
  {
    what: "an address is added to those allowed",
    commands: ["add element inet terok_shield allow_v4 { 198.18.66.66 }"],
    ...{ opens: [EVIL], reason: "set allow_v4" },
  },
  {
    what: "an address is taken from those allowed",
    commands: ["delete element inet terok_shield allow_v4 { 198.18.1.1 }"],
    ...{ closes: ["tcp,198.18.1.1,80"], reason: "set allow_v4" },
  },
  {
    what: "private addresses are forgotten",
    commands: ["flush set inet terok_shield private_v4"],
    reason: "set private_v4",
  },
  {
    what: "an address is allowed for a time",
    commands: ["add element inet terok_shield timed_allow_v4 { 198.18.66.66 timeout 1h }"],
    ...{ opens: [EVIL], reason: "set timed_allow_v4" },
  },
  {
    what: "what was allowed for an hour is allowed for a day",
    commands: [
      "delete element inet terok_shield timed_allow_v4 { 198.18.5.5 }",
      "add element inet terok_shield timed_allow_v4 { 198.18.5.5 timeout 24h }",
    ],
    reason: "set timed_allow_v4",
  },
  {
    what: "an address that was denied for a time is so no more",
    commands: ["flush set inet terok_shield timed_deny_v4"],
    ...{ opens: [TIMED_DENIED], reason: "set timed_deny_v4" },
  },
  {
    what: "a set is added",
    commands: ["add set inet terok_shield more { type ipv4_addr ; }"],
    reason: "set more",
  },
  {
    what: "another table sends packets elsewhere, once they were let out",
    commands: [
      "add table ip elsewhere",
      "add chain ip elsewhere out { type route hook output priority 100 ; }",
      "add rule ip elsewhere out ip daddr 198.18.1.1 ip daddr set 198.18.66.66",
    ],
    ...{ closes: ["tcp,198.18.1.1,80"], reason: 'table "elsewhere"' },
  },
  {
    what: "another table gives packets the mark of our resolver",
    commands: [
      "add table inet marks",
      "add chain inet marks out { type filter hook output priority -200 ; }",
      "add rule inet marks out meta mark set 0x7e510001",
    ],
    reason: 'table "marks"',
  },
];

describe("status never flatters", () => {
  let lab: Lab;
  let web: ShieldedContainer;
  let kernel: Kernel;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    await lab.internet.setName("ports.test", { addresses: ["198.18.6.6"] });
    await lab.internet.setName("denied.test", { addresses: ["198.18.7.7"] });
    web = await startShielded(lab, "web", PROFILE);
    kernel = await openKernel(lab, "web");
    for (const [verb, ...options] of DECISIONS) await web.mustShield(verb, ...options);
    await expectWhole();
  });
  afterAll(() => lab?.destroy());

  const bundle = () => `${lab.user.home}/.local/state/terok/shield/containers/web`;

  async function readStatus(): Promise<{ exitCode: number; kind: string; reason?: string }> {
    const { exitCode, stdout } = await lab.shield(["status", "web", "--json"]);
    return { exitCode, ...JSON.parse(stdout).status };
  }

  async function tamper(commands: readonly string[]): Promise<void> {
    const revision = String(await kernel.revision());
    for (const command of commands) await kernel.nft(...command.replace("REVISION", revision).split(" "));
  }

  /** Up, and it is true. */
  async function expectWhole(): Promise<void> {
    expect(await readStatus()).toEqual({ exitCode: 0, kind: "up" });
    expect(await web.client.resolve("good.test")).toEqual(["198.18.0.10", "2001:2::10"]);
    expect(await web.client.resolve("ports.test")).toEqual(["198.18.6.6"]);
    expect(await web.client.resolve("denied.test")).toEqual([]);
    await expectReach(lab, web, {
      open: [...OPEN, "tcp,198.18.6.6,80"],
      refused: [...REFUSED, "tcp,198.18.6.6,443"],
    });
  }

  describe.each(RULES)("when $what", ({ commands, opens = [], closes = [], reason }) => {
    test("it says so, and up --repair puts it right", async () => {
      await tamper(commands);
      expect(await readStatus()).toEqual({
        ...{ exitCode: 3, kind: "error" },
        reason: expect.stringMatching(/Run terok-shield up --repair web$/),
      });
      expect((await readStatus()).reason).toContain(reason);
      expect(await web.see(...opens)).toEqual(all(opens, "open"));
      for (const outcome of Object.values(await web.see(...closes))) expect(outcome).not.toBe("open");
      await web.mustShield("up", "--repair");
      await expectWhole();
    });

    test("the next allow finds it, and puts it right, too", async () => {
      await tamper(commands);
      const { exitCode, stderr } = await web.shield("allow", "198.18.1.1");
      expect({ exitCode, stderr }).toEqual({
        exitCode: 0,
        stderr: expect.stringContaining(
          "note: the kernel was not at the last policy, so everything was loaded anew",
        ),
      });
      await expectWhole();
    });
  });

  test("when the table is gone it says unprotected, and up --repair brings it back", async () => {
    await tamper(["delete table inet terok_shield"]);
    expect(await readStatus()).toEqual({ exitCode: 3, kind: "unprotected" });
    expect(await web.see(EVIL, DENIED)).toEqual(all([EVIL, DENIED], "open"));
    await web.mustShield("up", "--repair");
    await expectWhole();
  });

  test("when the kernel is in another mode than the disk says", async () => {
    await lab.user.mustRun("cp", ["-a", bundle(), `${bundle()}.before`]);
    await web.mustShield("down");
    const files = ["state.json", "ruleset.nft", "listing.json", "bundle.json"];
    for (const file of files) await lab.user.mustRun("cp", ["-a", `${bundle()}.before/${file}`, bundle()]);
    await lab.user.mustRun("rm", ["-r", `${bundle()}.before`]);
    expect(await readStatus()).toMatchObject({
      ...{ exitCode: 3, kind: "error" },
      reason: expect.stringContaining("the last command did not finish: the kernel is at policy "),
    });
    expect(await web.see(EVIL)).toEqual(all([EVIL], "open"));
    await web.mustShield("up", "--repair");
    await expectWhole();
  });

  test("while it is blocked, when somebody lets something out", async () => {
    await web.mustShield("block");
    await tamper(["insert rule inet terok_shield output accept"]);
    expect(await readStatus()).toMatchObject({ exitCode: 3, kind: "error" });
    expect(await web.see(EVIL)).toEqual(all([EVIL], "open"));
    await web.mustShield("block");
    expect(await readStatus()).toEqual({ exitCode: 0, kind: "block" });
    await expectReach(lab, web, { refused: [...OPEN, ...REFUSED] });
    await web.mustShield("up");
    await expectWhole();
  });

  /** The resolver of the container. */
  async function resolver(): Promise<number> {
    const found = (await lab.user.processes()).filter(
      ({ name, command }) => name === "dnsmasq" && command.includes(bundle()),
    );
    expect(found).toHaveLength(1);
    return found[0]?.pid ?? 0;
  }

  test("when dnsmasq was killed", async () => {
    await lab.user.mustRun("kill", ["-9", String(await resolver())]);
    await until("it says so", async () => (await readStatus()).exitCode === 3);
    expect((await readStatus()).reason).toContain("dnsmasq does not run");
    expect(await web.client.resolve("good.test")).toEqual([]);
    await web.mustShield("up", "--repair");
    await expectWhole();
  });

  test("when dnsmasq was told to follow other names", async () => {
    const file = `${bundle()}/dns-servers.active`;
    const others = "server=/evil.test/198.18.0.53\nserver=/good.test/198.18.0.53\n";
    await lab.user.writeFile(file, others, 0o600);
    await lab.user.mustRun("kill", ["-HUP", String(await resolver())]);
    expect(await readStatus()).toMatchObject({
      ...{ exitCode: 3, kind: "error" },
      reason: expect.stringContaining("dnsmasq was not seen to follow the names of the policy"),
    });
    await web.mustShield("up", "--repair");
    await expectWhole();
    expect(await web.client.resolve("evil.test")).toEqual([]);
  });

  test.each([
    { what: "removed", command: "rm FILE" },
    { what: "damaged", command: "echo '{' > FILE" },
    { what: "emptied", command: ": > FILE" },
    { what: "of an earlier run", command: `sed -i 's/"startTime":"[0-9]*"/"startTime":"1"/' FILE` },
  ])("when the record of its run is $what", async ({ command }) => {
    await lab.user.mustRun("sh", ["-c", command.replace("FILE", `${bundle()}/runtime.json`)]);
    expect(await readStatus()).toMatchObject({
      ...{ exitCode: 3, kind: "error" },
      reason: expect.stringContaining("runtime.json, the record of its run, is missing or damaged"),
    });
    await web.mustShield("up", "--repair");
    await expectWhole();
    await tamper(["delete table inet terok_shield"]);
    await lab.user.mustRun("sh", ["-c", command.replace("FILE", `${bundle()}/runtime.json`)]);
    expect(await readStatus()).toEqual({ exitCode: 3, kind: "unprotected" });
    await web.mustShield("up", "--repair");
    await expectWhole();
  });

  test.each([
    ["ruleset.nft", "ruleset.nft is not as sealed"],
    ["listing.json", "listing.json is not as sealed"],
    ["dnsmasq.conf", "dnsmasq was started with another configuration"],
    ["bundle.json", "bundle.json is missing or damaged"],
    ["dns-servers", "dns-servers is not as sealed"],
  ])("when %s is not what the next start was promised", async (file, reason) => {
    await lab.user.mustRun("sh", ["-c", `echo '#' >> ${bundle()}/${file}`]);
    expect(await readStatus()).toMatchObject({
      ...{ exitCode: 3, kind: "error" },
      reason: expect.stringContaining(reason),
    });
    await web.mustShield("up", "--repair");
    await expectWhole();
  });

  test("when state.json is damaged, nobody makes a policy up", async () => {
    const file = `${bundle()}/state.json`;
    await lab.user.mustRun("sh", ["-c", `cp ${file} ${file}.kept && echo '{' > ${file}`]);
    const shown = await lab.shield(["status", "--json"]);
    expect({ exitCode: shown.exitCode, status: JSON.parse(shown.stdout)[0].status }).toEqual({
      exitCode: 3,
      status: { kind: "error", reason: expect.stringContaining("state.json") },
    });
    expect((await lab.shield(["status", "web"])).exitCode).not.toBe(0);
    for (const command of [["up", "--repair"], ["allow", "198.18.66.66"], ["block"]] as const) {
      const [verb, ...options] = command;
      expect(await web.shield(verb, ...options)).toMatchObject({ exitCode: 1, stdout: "" });
    }
    await expectReach(lab, web, { open: OPEN, refused: REFUSED });
    await lab.user.mustRun("mv", [`${file}.kept`, file]);
    await expectWhole();
  });

  test("without the packet reader it is up, and it says what is missing", async () => {
    const [reader] = (await lab.user.processes()).filter(
      ({ name, command }) => name === "ulogd" && command.includes(bundle()),
    );
    await lab.user.mustRun("kill", ["-9", String(reader?.pid)]);
    const missing = "ulogd does not run: refused packets are counted, but not listed";
    await until("it says so", async () => (await lab.shield(["status", "web"])).stdout.includes(missing));
    expect(await readStatus()).toEqual({ exitCode: 0, kind: "up" });
    await web.mustShield("up", "--repair");
    expect((await lab.shield(["status", "web"])).stdout).not.toContain(missing);
    await expectWhole();
  });

  test("a container of that name without a shield is unprotected", async () => {
    await web.remove();
    expect(await readStatus()).toEqual({ exitCode: 0, kind: "stopped" });
    await lab.user.mustRun("podman", ["run", "-d", "--name", "web", ...lab.imageArgs, "sleep", "infinity"]);
    expect(await readStatus()).toEqual({ exitCode: 3, kind: "unprotected" });
    expect(await web.shield("up", "--repair")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("was not started by terok-shield"),
    });
    await web.remove();
  });
});
