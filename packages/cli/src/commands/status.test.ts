import { rmSync } from "node:fs";
import type { EgressPolicy, ShieldMode } from "@terok-shield/nft-ruleset";
import { describe, expect, test } from "vitest";
import { renderKernelListing } from "../../testing/kernel-listing.ts";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import { composePolicy } from "../compose-policy.ts";
import { parseContainerName } from "../container-name.ts";
import type { Host } from "../host/host.ts";
import { prepare } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";
import { readRules } from "./rules.ts";
import { isProtected, readAllStatus, readStatus } from "./status.ts";

const ENTER = `/usr/bin/nsenter --user=/proc/${process.ppid}/ns/user --net=/proc/${process.pid}/ns/net --preserve-credentials -- /usr/sbin/nft`;
const WEB = parseContainerName("web");

/** A container "web" that runs, in the sense that its record is of a process that does. */
async function makeRunning(script: ScriptedCommand[]): Promise<Host> {
  const host = makeTestHost({
    files: {
      "profiles/mine.txt": "203.0.113.7\n",
      "config.yml": "dns: {tier: dig}\naudit: {enabled: false}\n",
    },
    facts: FULL_MACHINE,
    script,
  });
  await prepare(host, { container: "web", profiles: ["mine"] });
  writeFiles(host.places.state, { "containers/web/runtime.json": JSON.stringify(recordSelf()) });
  return host;
}

/** Adds the answer that can only be known when the bundle is there: the second look is the one under the lock. */
async function readStatusWith(looks: 1 | 2, listing: (policy: EgressPolicy) => string) {
  const answer = { expect: `${ENTER} -j list ruleset`, stdout: "" };
  const host = await makeRunning(Array.from({ length: looks }, () => answer));
  answer.stdout = listing(composePolicy(readContainerState(host, WEB), host.moment()).policy);
  return (await readStatus(host, "web")).status;
}

const inMode = (mode: ShieldMode) => (policy: EgressPolicy) => renderKernelListing(policy, mode);

test("a container whose kernel has the rules of its policy is up", async () => {
  expect(await readStatusWith(1, inMode({ kind: "up" }))).toEqual({ kind: "up" });
});

test("a kernel without rules leaves the container unprotected", async () => {
  expect(await readStatusWith(1, () => '{"nftables":[]}')).toEqual({ kind: "unprotected" });
});

describe("an error, with the reason and what to do, is", () => {
  test.each<[string, (policy: EgressPolicy) => string, RegExp]>([
    [
      "another mode than policy says",
      inMode({ kind: "block" }),
      /^the kernel's rules are those of "block", and policy says "up"/,
    ],
    [
      "bypass that nobody asked for",
      inMode({ kind: "down", privateRanges: "open" }),
      /^the kernel's rules are those of "down"/,
    ],
    [
      "another revision",
      (policy) => renderKernelListing({ ...policy, revision: 7 }, { kind: "up" }),
      /^the last command did not finish: the kernel is at policy 7, and the bundle at 1\./,
    ],
    ["one rule less", withoutFirstRule, /^the kernel's rules are not what policy says: chain /],
  ])("%s", async (_, listing, reason) => {
    const status = await readStatusWith(2, listing);
    expect(status).toMatchObject({ kind: "error", reason });
    expect(status).toMatchObject({ reason: /\. Run terok-shield up --repair web$/ });
  });
});

function withoutFirstRule(policy: EgressPolicy): string {
  const listing = JSON.parse(renderKernelListing(policy, { kind: "up" }));
  const first = listing.nftables.findIndex((object: object) => "rule" in object);
  listing.nftables.splice(first, 1);
  return JSON.stringify(listing);
}

describe("a container that does not run", () => {
  test("is stopped, and nothing is run to find out", async () => {
    const host = await makeRunning([]);
    rmSync(`${host.places.state}/containers/web/runtime.json`);
    expect(await readStatus(host, "web")).toEqual({
      container: "web",
      status: { kind: "stopped" },
      tier: "dig",
      profiles: ["mine"],
      trustedMounts: [],
      decisions: [],
      notes: [],
    });
  });

  test("is in error when its next start would be refused", async () => {
    const host = await makeRunning([]);
    rmSync(`${host.places.state}/containers/web/runtime.json`);
    writeFiles(host.places.state, { "containers/web/ruleset.nft": "" });
    expect((await readStatus(host, "web")).status).toEqual({
      kind: "error",
      reason:
        "ruleset.nft is not as sealed, so its next start would be refused. Run terok-shield up --repair web",
    });
  });
});

describe("all containers", () => {
  test("are reported by name, and a damaged bundle hides no other", async () => {
    const host = makeTestHost({ files: { "profiles/mine.txt": "" } });
    for (const container of ["web", "api"]) await prepare(host, { container, profiles: ["mine"] });
    writeFiles(host.places.state, {
      "containers/broken/state.json": "{",
      "containers/empty/audit.jsonl": "",
    });
    expect((await readAllStatus(host)).map(({ container, status }) => [container, status])).toEqual([
      ["api", { kind: "stopped" }],
      [
        "broken",
        {
          kind: "error",
          reason: `${host.places.state}/containers/broken/state.json is damaged or of another version, so nobody knows what was allowed and denied. Remove the file, run terok-shield prepare again, and decide anew.`,
        },
      ],
      [
        "empty",
        {
          kind: "error",
          reason: "There is no shielded container empty. Make it with terok-shield run empty -- IMAGE",
        },
      ],
      ["web", { kind: "stopped" }],
    ]);
  });

  test("are none before the first", async () => {
    expect(await readAllStatus(makeTestHost())).toEqual([]);
  });
});

test("of one container whose state is damaged, that is its status; one that never was is a fault", async () => {
  const host = makeTestHost();
  writeFiles(host.places.state, { "containers/broken/state.json": "{" });
  expect((await readStatus(host, "broken")).status).toMatchObject({ kind: "error", reason: /is damaged/ });
  await expect(readStatus(host, "api")).rejects.toThrow("There is no shielded container api.");
});

test("only what the owner chose counts as protected", () => {
  const kinds = ["up", "down", "down_all", "block", "stopped", "unprotected"] as const;
  expect(kinds.filter((kind) => !isProtected({ kind }))).toEqual(["unprotected"]);
  expect(isProtected({ kind: "error", reason: "" })).toBe(false);
});

describe("rules", () => {
  test("are what nft prints in the container's namespace", async () => {
    const host = await makeRunning([{ expect: `${ENTER} list ruleset`, stdout: "table inet x {}\n" }]);
    expect(await readRules(host, "web")).toBe("table inet x {}\n");
  });

  test("of a container that does not run are none", async () => {
    const host = makeTestHost({ files: { "profiles/mine.txt": "" } });
    await prepare(host, { container: "web", profiles: ["mine"] });
    await expect(readRules(host, "web")).rejects.toThrow(
      "The container web does not run, so the kernel has no rules for it. See terok-shield preview",
    );
    await expect(readRules(host, "api")).rejects.toThrow("There is no shielded container api.");
  });
});
