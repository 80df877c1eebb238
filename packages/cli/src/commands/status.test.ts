import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import type { ShieldMode } from "@terok-shield/nft-ruleset";
import { describe, expect, onTestFinished, test } from "vitest";
import { renderKernelListing } from "../../testing/kernel-listing.ts";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { FULL_MACHINE, makeTestHost } from "../../testing/test-host.ts";
import { parseContainerName } from "../container-name.ts";
import type { Host } from "../host/host.ts";
import { prepare } from "./prepare.ts";
import { readRules } from "./rules.ts";
import { readContainerState } from "./start.ts";
import { type ContainerStatus, isProtected, readAllStatus, readStatus } from "./status.ts";

const ENTER = `/usr/bin/nsenter --user=/proc/${process.ppid}/ns/user --net=/proc/${process.pid}/ns/net --preserve-credentials -- /usr/sbin/nft`;
const WEB = parseContainerName("web");

/** A container "web" that runs, in the sense that its record is of a process that does. */
async function makeRunning(tier: "dnsmasq" | "dig", script: ScriptedCommand[]): Promise<Host> {
  const host = makeTestHost({
    files: { "profiles/mine.txt": "203.0.113.7\n", "config.yml": `dns: {tier: ${tier}}\n` },
    facts: FULL_MACHINE,
    script,
  });
  await prepare(host, { container: "web", profiles: ["mine"] });
  writeFiles(host.places.state, { "containers/web/runtime.json": JSON.stringify(recordSelf()) });
  return host;
}

/** Adds the answer that can only be known when the bundle is there. */
async function readStatusWith(tier: "dnsmasq" | "dig", listing: (host: Host) => Promise<string>) {
  const script: ScriptedCommand[] = [];
  const answer = { expect: `${ENTER} -j list ruleset`, stdout: "" };
  script.push(answer);
  const host = await makeRunning(tier, script);
  answer.stdout = await listing(host);
  return (await readStatus(host, "web")).status;
}

const inMode = (mode: ShieldMode) => async (host: Host) =>
  renderKernelListing((await readContainerState(host, WEB)).policy, mode);

describe("the status is what the kernel lists", () => {
  test.each<[ShieldMode, ContainerStatus["kind"]]>([
    [{ kind: "up" }, "up"],
    [{ kind: "down", privateRanges: "closed" }, "down"],
    [{ kind: "down", privateRanges: "open" }, "down_all"],
    [{ kind: "block" }, "block"],
  ])("%j is %s", async (mode, kind) => {
    expect(await readStatusWith("dig", inMode(mode))).toEqual({ kind });
  });

  test("a kernel without rules leaves the container unprotected", async () => {
    expect(await readStatusWith("dig", async () => '{"nftables":[]}')).toEqual({ kind: "unprotected" });
  });

  test("one rule less is an error", async () => {
    const status = await readStatusWith("dig", async (host) => {
      const listing = JSON.parse(await inMode({ kind: "up" })(host));
      const first = listing.nftables.findIndex((object: object) => "rule" in object);
      listing.nftables.splice(first, 1);
      return JSON.stringify(listing);
    });
    expect(status).toMatchObject({ kind: "error", reason: /^the kernel's rules are not what policy says: / });
  });

  test("a container whose process has ended is stopped, and nothing is run to find out", async () => {
    const host = await makeRunning("dig", []);
    rmSync(`${host.places.state}/containers/web/runtime.json`);
    expect(await readStatus(host, "web")).toEqual({
      container: "web",
      status: { kind: "stopped" },
      tier: "dig",
      profiles: ["mine"],
      trustedMounts: [],
    });
  });
});

describe("a container with dnsmasq", () => {
  test("is in error when dnsmasq does not run", async () => {
    expect(await readStatusWith("dnsmasq", inMode({ kind: "up" }))).toEqual({
      kind: "error",
      reason: "dnsmasq does not run, so no name resolves",
    });
  });

  test("is up when it runs", async () => {
    const status = await readStatusWith("dnsmasq", async (host) => {
      const bundle = `${host.places.state}/containers/web`;
      const child = spawn("/bin/sh", ["-c", "read x", "dnsmasq", `--conf-file=${bundle}/dnsmasq.conf`]);
      onTestFinished(() => void child.kill());
      writeFiles(bundle, { "dnsmasq.pid": `${child.pid}\n` });
      return inMode({ kind: "up" })(host);
    });
    expect(status).toEqual({ kind: "up" });
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
          reason: `${host.places.state}/containers/broken/state.json is damaged or of another version. Run terok-shield prepare again.`,
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

test("only what the owner chose counts as protected", () => {
  const kinds = ["up", "down", "down_all", "block", "stopped", "unprotected"] as const;
  expect(kinds.filter((kind) => !isProtected({ kind }))).toEqual(["unprotected"]);
  expect(isProtected({ kind: "error", reason: "" })).toBe(false);
});

describe("rules", () => {
  test("are what nft prints in the container's namespace", async () => {
    const host = await makeRunning("dig", [{ expect: `${ENTER} list ruleset`, stdout: "table inet x {}\n" }]);
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
