import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../testing/temporary-directory.ts";
import { createShield, type Shield } from "./shield.ts";
import { ShieldError } from "./shield-error.ts";

let directory: string;
let shield: Shield;
beforeEach(() => {
  directory = makeTemporaryDirectory();
  writeFiles(directory, {
    "config/profiles/mine.txt": "198.51.100.7\n",
    "config/config.yml": "default_profiles: [mine]\n",
  });
  vi.stubEnv("TEROK_SHIELD_CONFIG_DIR", `${directory}/config`);
  shield = createShield({ stateDirectory: `${directory}/state` });
});
afterEach(() => vi.unstubAllEnvs());

test("preStart writes the bundle and gives podman's options", async () => {
  const options = await shield.preStart("web", ["mine"]);
  expect(options).toEqual(
    expect.arrayContaining([
      `--hooks-dir=${directory}/state/containers/web/hooks`,
      "--name=web",
      "--annotation=terok.shield.profiles=mine",
    ]),
  );
  expect(await shield.preStart("web")).toEqual(options);
  expect(await shield.shieldState("web")).toEqual({ kind: "stopped" });
});

test("preview renders the ruleset, up unless told otherwise", async () => {
  const up = await shield.preview();
  expect(up).toContain("198.51.100.7");
  expect(await shield.preview({ profiles: ["mine"], mode: { kind: "up" } })).toBe(up);
  expect(await shield.preview({ mode: { kind: "block" } })).not.toBe(up);
});

test("names that there are none of resolve to nothing", async () => {
  await shield.preStart("web");
  expect(await shield.resolve("web")).toMatchObject({ resolved: new Map(), unresolved: [] });
});

test("what is decided about a container that does not run waits for its next start", async () => {
  await shield.preStart("web");
  await shield.allowDomain("web", "*.good.example:443");
  await shield.allowIp("web", "198.51.100.0/24");
  await shield.denyDomain("web", "bad.good.example", { seconds: 600 });
  await shield.denyIp("web", "198.51.100.9");
  await shield.shieldBlock("web");
  const state = JSON.parse(readFileSync(`${directory}/state/containers/web/state.json`, "utf8"));
  const decided = state.decisions.map(({ verdict, entry }: Record<string, string>) => `${verdict} ${entry}`);
  expect([state.mode, decided]).toEqual([
    { kind: "block" },
    ["allow *.good.example:443", "allow 198.51.100.0/24", "deny bad.good.example", "deny 198.51.100.9"],
  ]);
  await shield.shieldUp("web");
  expect(await shield.shieldState("web")).toEqual({ kind: "stopped" });
});

describe("what its caller can mend is a ShieldError", () => {
  test.each<[string, (shield: Shield) => Promise<unknown>, string]>([
    ["a wrong name", ({ preStart }) => preStart("../web"), '"../web" is not a container name.'],
    ["no such container", ({ shieldState }) => shieldState("web"), "There is no shielded container web."],
    [
      "bypass of a stopped container",
      ({ shieldDown }) => shieldDown("web"),
      "There is no shielded container web.",
    ],
    ["a wrong target", ({ allowIp }) => allowIp("web", "010.0.0.1"), '"010.0.0.1" is not an IP address'],
    [
      "a time that is too long",
      ({ denyDomain }) => denyDomain("web", "good.example", { seconds: 3_000_000 }),
      '"3000000s" is not a duration.',
    ],
    ["no rules", ({ listRules }) => listRules("web"), "There is no shielded container web."],
    ["an unknown profile", ({ preview }) => preview({ profiles: ["nod"] }), 'profile "nod" does not exist.'],
  ])("%s", async (_, call, message) => {
    await expect(call(shield)).rejects.toThrow(ShieldError);
    await expect(call(shield)).rejects.toThrow(message);
  });

  test("a relative state directory", () => {
    expect(() => createShield({ stateDirectory: "state" })).toThrow(ShieldError);
  });
});
