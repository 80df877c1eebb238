import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { renderKernelListing } from "../../testing/kernel-listing.ts";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { BARE_MACHINE, FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import { decisionOf } from "../../testing/test-state.ts";
import { composePolicy } from "../compose-policy.ts";
import { parseContainerName } from "../container-name.ts";
import { renderContainerState } from "../container-state.ts";
import type { Host } from "../host/host.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { settle } from "../settle.ts";
import { readLogs } from "./logs.ts";
import { prepare } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";
import { resolve } from "./resolve.ts";

const WEB = parseContainerName("web");
const GETENT_MACHINE: HostFacts = {
  ...BARE_MACHINE,
  programs: (({ dig: _, ...programs }) => programs)(BARE_MACHINE.programs),
};

interface Machine extends Host {
  /** What the resolver answers. */
  readonly answers: Map<string, readonly string[]>;
  /** The transactions that the kernel got. */
  readonly transactions: string[];
}

/** A container "web" in the getent tier, prepared with good.example at 198.18.0.7; its kernel does as it is told. */
async function makePrepared(): Promise<Machine> {
  const answers = new Map([["good.example", ["198.18.0.7"]]]);
  const transactions: string[] = [];
  const host: Machine = {
    ...makeTestHost({ files: { "profiles/mine.txt": "good.example\n" }, facts: GETENT_MACHINE }),
    answers,
    transactions,
    runCommand: async ({ program, args, stdin }) => {
      if (program === "getent") {
        const name = String(args[1]).replace(/\.$/, "");
        return {
          stdout: (answers.get(name) ?? []).map((address) => `${address}  STREAM ${name}\n`).join(""),
        };
      }
      if (stdin !== undefined) transactions.push(stdin);
      const { policy, mode } = composePolicy(readContainerState(host, WEB), host.moment());
      return { stdout: args.join(" ").includes("list ruleset") ? renderKernelListing(policy, mode) : "" };
    },
  };
  await prepare(host, { container: "web", profiles: ["mine"] });
  return host;
}

async function makeRunning(): Promise<Machine> {
  const host = await makePrepared();
  const hostsFile = `${host.places.state}/hosts`;
  writeFileSync(hostsFile, "127.0.0.1\tlocalhost\n198.18.0.7\tgood.example\n");
  writeFiles(host.places.state, {
    "containers/web/runtime.json": JSON.stringify({ ...recordSelf(), hostsFile }),
  });
  return host;
}

const readBundle = ({ places }: Host, file: string) =>
  readFileSync(`${places.state}/containers/web/${file}`, "utf8");

describe("in a static tier", () => {
  test("fresh answers are given as they are, and nothing is touched", async () => {
    const host = await makeRunning();
    const before = readBundle(host, "state.json");
    expect((await resolve(host, "web", { force: false })).resolved).toEqual(
      new Map([["good.example", ["198.18.0.7"]]]),
    );
    expect([readBundle(host, "state.json"), host.transactions]).toEqual([before, []]);
  });

  test("new answers come into force in the running container, in one transaction", async () => {
    const host = await makeRunning();
    host.answers.set("good.example", ["198.18.0.8", "2001:2::8"]);
    const { resolved } = await resolve(host, "web", { force: true });
    expect(resolved).toEqual(new Map([["good.example", ["198.18.0.8", "2001:2::8"]]]));
    expect(host.transactions).toHaveLength(1);
    expect(host.transactions[0]?.split("\n")).toEqual(
      expect.arrayContaining([
        "delete chain inet terok_shield revision_1",
        "delete element inet terok_shield dns_v4 { 198.18.0.7 }",
        "add element inet terok_shield dns_v4 { 198.18.0.8 }",
        "add element inet terok_shield dns_v6 { 2001:2::8 }",
      ]),
    );
    expect(readFileSync(`${host.places.state}/hosts`, "utf8")).toBe(
      "127.0.0.1\tlocalhost\n198.18.0.7\tgood.example\n198.18.0.8\tgood.example\n2001:2::8\tgood.example\n",
    );
    expect(readBundle(host, "hosts")).toBe("198.18.0.8\tgood.example\n2001:2::8\tgood.example\n");
  });

  test("what was edited in a profile comes into force too", async () => {
    const host = await makeRunning();
    writeFiles(host.places.config, { "profiles/mine.txt": "good.example\nother.example\n203.0.113.0/24\n" });
    host.answers.set("other.example", ["198.18.0.9"]);
    await resolve(host, "web", { force: false });
    expect(host.transactions.join("").split("\n")).toEqual(
      expect.arrayContaining([
        "add element inet terok_shield allow_v4 { 203.0.113.0/24 }",
        "add element inet terok_shield dns_v4 { 198.18.0.9 }",
      ]),
    );
  });

  test("what was edited into a profile and cannot be enforced is refused, and nothing is touched", async () => {
    const host = await makeRunning();
    const before = readBundle(host, "state.json");
    writeFiles(host.places.config, { "profiles/mine.txt": "good.example\n*.wild.example\n" });
    await expect(resolve(host, "web", { force: true })).rejects.toThrow("*.wild.example needs dnsmasq");
    expect([readBundle(host, "state.json"), host.transactions]).toEqual([before, []]);
  });

  test("names that were allowed later are resolved too, and denied ones are not", async () => {
    const host = await makePrepared();
    const state = readContainerState(host, WEB);
    const decisions = ["deny good.example", "allow more.example"].map((text) => decisionOf(text));
    writeFiles(host.places.state, {
      "containers/web/state.json": renderContainerState(settle(state, { ...state, decisions })),
    });
    host.answers.set("more.example", ["198.18.0.9"]);
    expect((await resolve(host, "web", { force: true })).resolved).toEqual(
      new Map([["more.example", ["198.18.0.9"]]]),
    );
    expect(readBundle(host, "hosts")).toBe("198.18.0.9\tmore.example\n");
  });

  test("a dnsmasq that was installed meanwhile waits for the next start", async () => {
    const host = await makeRunning();
    host.answers.set("good.example", ["198.18.0.8"]);
    await resolve({ ...host, facts: async () => FULL_MACHINE }, "web", { force: true });
    const { tier, network } = readContainerState(host, WEB);
    expect([tier, network.upstream]).toEqual(["getent", undefined]);
  });

  test("a container that does not run gets the answers at its next start", async () => {
    const host = await makePrepared();
    host.answers.set("good.example", ["198.18.0.8"]);
    await resolve(host, "web", { force: true });
    expect(host.transactions).toEqual([]);
    expect(readBundle(host, "hosts")).toBe("198.18.0.8\tgood.example\n");
    expect(readBundle(host, "ruleset.nft")).toContain("198.18.0.8");
  });

  test("a name that does not resolve any more is closed, and noted", async () => {
    const host = await makePrepared();
    host.answers.delete("good.example");
    const { unresolved } = await resolve(host, "web", { force: true });
    expect(unresolved.map(({ name }) => name)).toEqual(["good.example"]);
    expect(readBundle(host, "hosts")).toBe("");
    const notes = (await readLogs(host, { count: 1 })).map((event) => "detail" in event && event.detail);
    expect(notes).toEqual(["good.example does not resolve: the name has no address"]);
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
      const script: ScriptedCommand[] = [
        { expect: "/usr/bin/getent ahosts good.example.", fails: { exitCode: 2 } },
      ];
      const host = makeTestHost({
        files: { "profiles/mine.txt": "good.example\n", "config.yml": config },
        facts: { ...FULL_MACHINE, programs },
        script,
      });
      await prepare(host, { container: "web", profiles: ["mine"] });
      const before = readFileSync(`${host.places.state}/containers/web/bundle.json`, "utf8");
      expect(await resolve(host, "web", { force: false })).toEqual({
        resolved: new Map(),
        unresolved: [{ name: "good.example", reason: "the name does not resolve" }],
      });
      expect((await readLogs(host, { count: 10 })).map((event) => "detail" in event && event.detail)).toEqual(
        notes,
      );
      expect(readFileSync(`${host.places.state}/containers/web/bundle.json`, "utf8")).toBe(before);
    },
  );
});
