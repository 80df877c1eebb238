import { existsSync, mkdirSync, readdirSync, utimesSync } from "node:fs";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { describe, expect, test } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import type { ScriptedCommand } from "../../testing/scripted-runner.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestHost } from "../../testing/test-host.ts";
import { parseContainerName } from "../container-name.ts";
import { keepBundle } from "../host/bundle-use.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";
import { prune } from "./prune.ts";

const HOUR = 3_600_000;

function podmanHas(...containers: { readonly id: string; readonly name: string }[]): ScriptedCommand {
  return {
    expect: "/usr/bin/podman ps --all --format json",
    stdout: JSON.stringify(containers.map(({ id, name }) => ({ Id: id, Names: [name], State: "exited" }))),
  };
}

function makeBundle(host: Host, container: string, { ageMs = 2 * HOUR, runtime = {} } = {}): string {
  const directory = `${host.places.state}/containers/${container}`;
  writeFiles(directory, {
    [BUNDLE_FILE.manifest]: "{}",
    [BUNDLE_FILE.runtime]: JSON.stringify(runtime),
    "hooks/a.json": "{}",
  });
  const preparedAt = new Date(host.now().getTime() - ageMs);
  utimesSync(`${directory}/${BUNDLE_FILE.manifest}`, preparedAt, preparedAt);
  return directory;
}

test("where there are no bundles, podman is asked and nothing happens", async () => {
  const host = makeTestHost({ script: [podmanHas({ id: "b2", name: "other" })] });
  expect(await prune(host)).toEqual({ bundles: [], helpers: [] });
});

test("bundles without a container are removed whole, and no others", async () => {
  const host = makeTestHost({ script: [podmanHas({ id: "a1", name: "present" })] });
  makeBundle(host, "present");
  makeBundle(host, "young", { ageMs: HOUR / 2 });
  makeBundle(host, "of-a-unit");
  await keepBundle(host, parseContainerName("of-a-unit"));
  const gone = makeBundle(host, "gone");
  expect(await prune(host)).toEqual({ bundles: [{ container: "gone", directory: gone }], helpers: [] });
  expect(readdirSync(`${host.places.state}/containers`)).toEqual(["of-a-unit", "present", "young"]);
  expect(readdirSync(host.places.state)).toEqual(["containers"]);
});

test("with --all, those that are new or of a unit go, too", async () => {
  const host = makeTestHost({ script: [podmanHas({ id: "a1", name: "present" })] });
  makeBundle(host, "present", { ageMs: 0 });
  makeBundle(host, "young", { ageMs: 1 });
  makeBundle(host, "of-a-unit");
  await keepBundle(host, parseContainerName("of-a-unit"));
  expect((await prune(host, { all: true })).bundles.map(({ container }) => container)).toEqual([
    "of-a-unit",
    "young",
  ]);
});

test("with --dry-run nothing is touched", async () => {
  const host = makeTestHost({ script: [podmanHas()] });
  const gone = makeBundle(host, "gone");
  mkdirSync(`${host.places.state}/pruned-0123456789ab`);
  expect((await prune(host, { dryRun: true })).bundles).toEqual([{ container: "gone", directory: gone }]);
  expect(readdirSync(host.places.state)).toEqual(["containers", "pruned-0123456789ab"]);
});

test("what a prune that was killed left is removed", async () => {
  const host = makeTestHost({ script: [podmanHas()] });
  mkdirSync(`${host.places.state}/pruned-0123456789ab/hooks`, { recursive: true });
  mkdirSync(`${host.places.state}/pruned-by-hand`);
  await prune(host);
  expect(readdirSync(host.places.state)).toEqual(["pruned-by-hand"]);
});

describe("a bundle stays", () => {
  test("while its container runs, whatever podman says", async () => {
    const host = makeTestHost({ script: [podmanHas()] });
    const directory = makeBundle(host, "web", { runtime: recordSelf() });
    expect((await prune(host, { all: true })).bundles).toEqual([]);
    expect(existsSync(directory)).toBe(true);
  });

  test("when its container was renamed before it ever ran", async () => {
    const host = makeTestHost();
    const renamed = makeBundle(host, "web");
    const gone = makeBundle(host, "gone");
    const script = [
      podmanHas({ id: "c3", name: "renamed" }, { id: "d4", name: "other" }),
      {
        expect: "/usr/bin/podman container inspect --format {{json .Config.Annotations}} c3 d4",
        stdout: `${JSON.stringify({ "terok.shield.state_dir": renamed })}\nnull\n`,
      },
    ];
    const { runCommand } = makeTestHost({ script });
    expect((await prune({ ...host, runCommand })).bundles).toEqual([{ container: "gone", directory: gone }]);
  });

  test("when it was prepared again after podman was asked", async () => {
    const host = makeTestHost();
    const directory = makeBundle(host, "web");
    const runCommand: Host["runCommand"] = async () => {
      const now = new Date(host.now().getTime() + 1000);
      utimesSync(`${directory}/${BUNDLE_FILE.manifest}`, now, now);
      return { stdout: "[]" };
    };
    expect((await prune({ ...host, runCommand }, { all: true })).bundles).toEqual([]);
    expect(existsSync(directory)).toBe(true);
  });

  test("when its container came up after podman was asked", async () => {
    const host = makeTestHost();
    const directory = makeBundle(host, "web");
    const runCommand: Host["runCommand"] = async () => {
      writeFiles(directory, { [BUNDLE_FILE.runtime]: JSON.stringify(recordSelf()) });
      return { stdout: "[]" };
    };
    expect((await prune({ ...host, runCommand })).bundles).toEqual([]);
    expect(existsSync(directory)).toBe(true);
  });

  test.each(["", "{}", "[{}]", "not JSON"])("when podman answers %j", async (stdout) => {
    const host = makeTestHost({ script: [{ expect: "/usr/bin/podman ps --all --format json", stdout }] });
    const directory = makeBundle(host, "web");
    await expect(prune(host)).rejects.toThrow(ShieldError);
    expect(existsSync(directory)).toBe(true);
  });

  test("when podman fails", async () => {
    const failing = {
      expect: "/usr/bin/podman ps --all --format json",
      fails: { exitCode: 125, stderr: "no" },
    };
    const host = makeTestHost({ script: [failing] });
    const directory = makeBundle(host, "web");
    await expect(prune(host)).rejects.toThrow(ShieldError);
    expect(existsSync(directory)).toBe(true);
  });
});
