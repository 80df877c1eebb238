import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { renderKernelListing } from "../../testing/kernel-listing.ts";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { BARE_MACHINE, FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import { parseContainerName } from "../container-name.ts";
import type { Host } from "../host/host.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { readLogs } from "./logs.ts";
import { prepare } from "./prepare.ts";
import { resolve } from "./resolve.ts";
import { readContainerState } from "./start.ts";
import { readStatus } from "./status.ts";

const ENTER = `/usr/bin/nsenter --user=/proc/${process.ppid}/ns/user --net=/proc/${process.pid}/ns/net --preserve-credentials -- /usr/sbin/nft`;
const GETENT_MACHINE: HostFacts = {
  ...BARE_MACHINE,
  programs: (({ dig: _, ...programs }) => programs)(BARE_MACHINE.programs),
};
const getent = (name: string, ...addresses: string[]): ScriptedCommand => ({
  expect: `/usr/bin/getent ahosts ${name}.`,
  stdout: addresses.map((address) => `${address}  STREAM ${name}\n`).join(""),
});

/** A container "web" that runs in the getent tier and was allowed good.example at its start. */
async function makeRunning(script: ScriptedCommand[]): Promise<Host & { facts: () => Promise<HostFacts> }> {
  const host = makeTestHost({
    files: { "profiles/mine.txt": "good.example\n" },
    facts: GETENT_MACHINE,
    script: [getent("good.example", "198.18.0.7"), ...script],
  });
  await prepare(host, { container: "web", profiles: ["mine"] });
  const hostsFile = `${host.places.state}/hosts`;
  writeFileSync(hostsFile, "127.0.0.1\tlocalhost\n198.18.0.7\tgood.example\n");
  writeFiles(host.places.state, {
    "containers/web/runtime.json": JSON.stringify({ ...recordSelf(), hostsFile }),
  });
  return host;
}

describe("in a static tier", () => {
  test("fresh answers are given as they are", async () => {
    const host = await makeRunning([]);
    expect((await resolve(host, "web", { force: false })).resolved).toEqual(
      new Map([["good.example", ["198.18.0.7"]]]),
    );
  });

  test("new answers come into force in the running container, in one transaction", async () => {
    const host = await makeRunning([
      getent("good.example", "198.18.0.8", "2001:2::8"),
      {
        expect: `${ENTER} -f - < delete element inet terok_shield dns_v4 { 198.18.0.7 }\nadd element inet terok_shield dns_v4 { 198.18.0.8 }\nadd element inet terok_shield dns_v6 { 2001:2::8 }\n`,
      },
    ]);
    const { resolved } = await resolve(host, "web", { force: true });
    expect(resolved).toEqual(new Map([["good.example", ["198.18.0.8", "2001:2::8"]]]));
    expect(readFileSync(`${host.places.state}/hosts`, "utf8")).toBe(
      "127.0.0.1\tlocalhost\n198.18.0.7\tgood.example\n198.18.0.8\tgood.example\n2001:2::8\tgood.example\n",
    );
  });

  test("what was edited in a profile comes into force too, so that kernel and state agree", async () => {
    const listed: ScriptedCommand = { expect: `${ENTER} -j list ruleset`, stdout: "" };
    const edited: ScriptedCommand = {
      expect: `${ENTER} -f - < add element inet terok_shield allow_v4 { 203.0.113.0/24 }\nadd element inet terok_shield dns_v4 { 198.18.0.9 }\n`,
    };
    const host = await makeRunning([getent("other.example", "198.18.0.9"), edited, listed]);
    writeFiles(host.places.config, { "profiles/mine.txt": "good.example\nother.example\n203.0.113.0/24\n" });
    await resolve(host, "web", { force: false });
    const { policy } = await readContainerState(host, parseContainerName("web"));
    Object.assign(listed, { stdout: renderKernelListing(policy, { kind: "up" }) });
    expect((await readStatus(host, "web")).status).toEqual({ kind: "up" });
  });

  test("a dnsmasq that was installed meanwhile waits for the next start", async () => {
    const host = await makeRunning([]);
    const upgraded: Host = { ...host, facts: async () => FULL_MACHINE };
    await resolve(upgraded, "web", { force: false });
    const { tier, policy } = await readContainerState(host, parseContainerName("web"));
    expect([tier, policy.learned.kind]).toEqual(["getent", "fixed"]);
  });

  test("a container that does not run gets the answers at its next start", async () => {
    const host = makeTestHost({
      files: { "profiles/mine.txt": "good.example\n" },
      facts: GETENT_MACHINE,
      script: [getent("good.example", "198.18.0.7"), getent("good.example", "198.18.0.8")],
    });
    await prepare(host, { container: "web", profiles: ["mine"] });
    await resolve(host, "web", { force: true });
    expect(readFileSync(`${host.places.state}/containers/web/hosts`, "utf8")).toBe(
      "198.18.0.8\tgood.example\n",
    );
  });
});

describe("with dnsmasq", () => {
  test.each([
    ["", ["good.example does not resolve: the name does not resolve"]],
    ["audit: {enabled: false}\n", []],
  ])(
    "the answers are only shown, since it asks for itself; failures are noted (%j)",
    async (config, notes) => {
      const { dig: _, ...programs } = FULL_MACHINE.programs;
      const host = makeTestHost({
        files: { "profiles/mine.txt": "good.example\n", "config.yml": config },
        facts: { ...FULL_MACHINE, programs },
        script: [{ expect: "/usr/bin/getent ahosts good.example.", fails: { exitCode: 2 } }],
      });
      await prepare(host, { container: "web", profiles: ["mine"] });
      const before = readFileSync(`${host.places.state}/containers/web/bundle.json`, "utf8");
      expect(await resolve(host, "web", { force: false })).toEqual({
        resolved: new Map(),
        unresolved: [{ name: "good.example", reason: "the name does not resolve" }],
      });
      expect((await readLogs(host, { count: 10 })).map(({ detail }) => detail)).toEqual(notes);
      expect(readFileSync(`${host.places.state}/containers/web/bundle.json`, "utf8")).toBe(before);
    },
  );
});
