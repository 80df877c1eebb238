import { appendFileSync, mkdirSync, readFileSync, renameSync, symlinkSync } from "node:fs";
import { renderEntry } from "@terok-shield/profiles";
import { beforeEach, describe, expect, test } from "vitest";
import { answeredQuery, packetLine, refusedQuery, textOf } from "../../testing/event-logs.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { parseContainerName } from "../container-name.ts";
import type { Host } from "../host/host.ts";
import { renderLearned, renderLearnedJson } from "../print/learn.ts";
import { ShieldError } from "../shield-error.ts";
import { allow, deny } from "./allow-deny.ts";
import { learn } from "./learn.ts";
import { prepare } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";

const NOW = Date.parse("2026-12-01T10:15:00.000Z") / 1000;
const FILES = {
  "profiles/mine.txt": "# mine\nkept.test # because\n",
  "profiles/others.txt": "198.18.0.0/16\n",
};

let host: Host;
beforeEach(async () => {
  host = await prepareHost();
});

async function prepareHost(files: Readonly<Record<string, string>> = FILES): Promise<Host> {
  const made = makeTestHost({ files });
  await prepare(made, { container: "web", profiles: ["base", "mine"] });
  return made;
}

function log(file: "packets.jsonl" | "dnsmasq.log", ...lines: readonly string[]): void {
  appendFileSync(`${host.places.state}/containers/web/${file}`, textOf(lines));
}

function logUse(name: string, address: string, port = 443, at = NOW - 60): void {
  log("dnsmasq.log", ...answeredQuery(at, port, name, address));
  const more = { "ip.protocol": 6, src_port: 51308, dest_port: port };
  log("packets.jsonl", packetLine(at + 1, "BYPASS", address, more));
}

function profile(name: string): string {
  return readFileSync(`${host.places.config}/profiles/${name}.txt`, "utf8");
}

const state = () => readContainerState(host, parseContainerName("web"));

describe("learn", () => {
  test("proposes, and changes nothing", async () => {
    logUse("good.test", "198.18.0.10");
    log("dnsmasq.log", ...refusedQuery(NOW - 50, 9, "asked.test"));
    const before = await state();
    const learned = await learn(host, { container: "web" });
    expect(renderLearned(learned)).toBe(`--- in force for web (base, mine)
+++ proposed for the profile mine
+# asked for and never reached, so no port is known and every port opens
+asked.test
+good.test:443/tcp

To put them there: terok-shield learn web --profile mine --write
`);
    expect(JSON.parse(renderLearnedJson(learned))).toEqual({
      container: "web",
      profile: "mine",
      profiles: ["base", "mine"],
      add: [
        { entry: "asked.test", count: 1 },
        { entry: "good.test:443/tcp", count: 1 },
      ],
      inForce: [],
      apart: [],
      leftOut: 0,
    });
    expect(profile("mine")).toBe(FILES["profiles/mine.txt"]);
    expect(await state()).toEqual(before);
  });

  test("by what is decided: what is allowed for good is in force, what is denied is not proposed", async () => {
    logUse("good.test", "198.18.0.10");
    logUse("evil.test", "198.18.66.66", 80);
    await allow(host, { container: "web", targets: ["good.test:443"] });
    await deny(host, { container: "web", targets: ["198.18.66.0/24", "evil.test"] });
    const { proposal } = await learn(host, { container: "web" });
    expect(proposal).toMatchObject({
      added: [],
      apart: [{ what: "evil.test:80/tcp", reason: "you denied it" }],
    });
    expect(proposal.kept.map(renderEntry)).toEqual(["good.test:443/tcp"]);
  });

  test("since a time", async () => {
    logUse("old.test", "198.18.0.10", 443, NOW - 3600);
    logUse("new.test", "198.18.0.11", 80);
    const { proposal } = await learn(host, { container: "web", since: "10m" });
    expect(proposal.added.map(({ entry }) => renderEntry(entry))).toEqual(["new.test:80/tcp"]);
  });

  test("what dnsmasq cannot tell from an entry in force is set apart", async () => {
    host = await prepareHost({ "profiles/mine.txt": "*.wild.test:443\n" });
    logUse("a.wild.test", "198.18.0.10", 80);
    const { proposal } = await learn(host, { container: "web" });
    expect(proposal.added).toEqual([]);
    expect(proposal.apart).toMatchObject([
      { what: "a.wild.test:80/tcp", reason: expect.stringContaining("dnsmasq cannot tell apart") },
    ]);
  });

  test("for a container without a profile of the user's: one of its own name", async () => {
    host = makeTestHost();
    await prepare(host, { container: "web", profiles: ["base"] });
    logUse("good.test", "198.18.0.10");
    await learn(host, { container: "web", write: true });
    expect(profile("web")).toBe("# learned from web, 2026-12-01 10:15 UTC\ngood.test:443/tcp\n");
    expect((await state()).request.profiles).toEqual(["base", "web"]);
  });

  test("not where nothing was recorded", async () => {
    host = await prepareHost({ ...FILES, "config.yml": "audit: {enabled: false}\n" });
    await expect(learn(host, { container: "web" })).rejects.toThrow(/^Nothing is recorded of web/);
    await expect(learn(host, { container: "none" })).rejects.toThrow(/no shielded container none/);
  });
});

describe("learn --write", () => {
  test("adds to the profile, loses nothing of it, and puts it in force with its place", async () => {
    logUse("good.test", "198.18.0.10");
    const learned = await learn(host, { container: "web", write: true });
    const file = `${host.places.config}/profiles/mine.txt`;
    expect(learned.written).toEqual({ file, isRunning: false, mode: "up" });
    expect(profile("mine")).toBe(
      `${FILES["profiles/mine.txt"]}\n# learned from web, 2026-12-01 10:15 UTC\ngood.test:443/tcp\n`,
    );
    const { entries, request } = await state();
    expect(request.profiles).toEqual(["base", "mine"]);
    expect(entries).toContainEqual({
      ...{ kind: "name", name: "good.test", ports: { first: 443, last: 443, protocol: "tcp" } },
      source: { file, line: 5 },
    });
    // The next prepare reads the same from the file.
    await prepare(host, { container: "web", profiles: request.profiles });
    expect((await state()).entries).toEqual(entries);
  });

  test("twice adds nothing the second time", async () => {
    logUse("good.test", "198.18.0.10");
    await learn(host, { container: "web", write: true });
    const [text, { revision }] = [profile("mine"), await state()];
    const again = await learn(host, { container: "web", write: true });
    expect(again.written).toBeUndefined();
    expect(renderLearned(again)).toContain("\n good.test:443/tcp\n\nThere is nothing to add.\n");
    expect([profile("mine"), (await state()).revision]).toEqual([text, revision]);
  });

  test("of two at once, both stay", async () => {
    await prepare(host, { container: "second", profiles: ["mine"] });
    logUse("good.test", "198.18.0.10");
    mkdirSync(`${host.places.state}/containers/second`, { recursive: true });
    appendFileSync(
      `${host.places.state}/containers/second/packets.jsonl`,
      textOf([packetLine(NOW - 5, "BLOCKED", "198.18.0.99")]),
    );
    await Promise.all(["web", "second"].map((container) => learn(host, { container, write: true })));
    expect(profile("mine")).toContain("\ngood.test:443/tcp\n");
    expect(profile("mine")).toContain("\n198.18.0.99:443/tcp\n");
    expect(profile("mine").startsWith(FILES["profiles/mine.txt"])).toBe(true);
  });

  test("does not replace a bundled profile, nor take up another's, untold", async () => {
    logUse("good.test", "198.18.0.10");
    for (const name of ["base", "others"]) {
      const untold = learn(host, { container: "web", profile: name, write: true });
      await expect(untold).rejects.toThrow(expect.objectContaining({ code: "usage" }));
    }
    expect(profile("others")).toBe(FILES["profiles/others.txt"]);
    expect(() => profile("base")).toThrow(/ENOENT/);

    await learn(host, { container: "web", profile: "others", write: true, yes: true });
    const { entries, request } = await state();
    expect(request.profiles).toEqual(["base", "mine", "others"]);
    // The rest of it waits for the next start.
    expect(entries.map(renderEntry)).not.toContain("198.18.0.0/16");

    logUse("more.test", "198.18.0.11");
    const bundled = readFileSync(`${host.places.bundledProfiles}/base.txt`, "utf8");
    await learn(host, { container: "web", profile: "base", write: true, yes: true });
    expect(profile("base").startsWith(bundled.trimEnd())).toBe(true);
    expect(profile("base")).toContain("\nmore.test:443/tcp\n");
  });

  test("leaves a profile with a wrong line as it is, and says where", async () => {
    logUse("good.test", "198.18.0.10");
    const file = `${host.places.config}/profiles/mine.txt`;
    appendFileSync(file, "*.com\n");
    const refused = await learn(host, { container: "web", write: true }).catch((cause: unknown) => cause);
    expect(refused).toBeInstanceOf(ShieldError);
    expect(refused).toMatchObject({ code: "usage", message: expect.stringContaining(`${file}:3: `) });
    expect(profile("mine")).not.toContain("good.test");
  });

  test("writes through a link", async () => {
    logUse("good.test", "198.18.0.10");
    const [file, elsewhere] = [`${host.places.config}/profiles/mine.txt`, `${host.places.config}/mine.txt`];
    renameSync(file, elsewhere);
    symlinkSync(elsewhere, file);
    await learn(host, { container: "web", write: true });
    expect(readFileSync(elsewhere, "utf8")).toContain("good.test:443/tcp");
  });
});
