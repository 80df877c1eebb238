import { describe, expect, test } from "vitest";
import { parseContainerName } from "./container-name.ts";
import { type BundleFacts, GRACE_SECONDS, type HelperFacts, planPrune } from "./prune-plan.ts";

const DIRECTORY = "/state/containers/web";
const OLD: BundleFacts = {
  container: parseContainerName("web"),
  directory: DIRECTORY,
  containerId: "a1",
  isRunning: false,
  ageSeconds: GRACE_SECONDS,
  isKept: false,
};
const RESOLVER: HelperFacts = { pid: 7, kind: "dnsmasq", bundle: DIRECTORY, isAlone: true };
const TIMER: HelperFacts = { pid: 8, kind: "timer", bundle: DIRECTORY, isAlone: false };
const PRESENT = [{ id: "a1", names: ["web"] }];

interface Scene {
  readonly bundle?: Partial<BundleFacts>;
  readonly helpers?: readonly HelperFacts[];
  readonly containers?: readonly { readonly id: string; readonly names: readonly string[] }[];
  readonly stateDirectories?: readonly string[];
  readonly all?: boolean;
}

function plan({ bundle = {}, helpers = [], containers = [], stateDirectories = [], all = false }: Scene) {
  const found = planPrune(
    { bundles: [{ ...OLD, ...bundle }], helpers, containers, stateDirectories },
    { all },
  );
  return {
    bundles: found.bundles.map(({ container }) => container),
    helpers: found.helpers.map(({ pid }) => pid),
  };
}

describe("a bundle goes", () => {
  test.each<[string, Scene]>([
    ["when podman has no such container", {}],
    ["when podman has others only", { containers: [{ id: "b2", names: ["web2", "other"] }] }],
    ["when it never had a run", { bundle: { containerId: undefined } }],
    ["new, with --all", { bundle: { ageSeconds: 0 }, all: true }],
    ["of a unit, with --all", { bundle: { isKept: true }, all: true }],
  ])("%s", (_, scene) => expect(plan(scene).bundles).toEqual(["web"]));
});

describe("a bundle stays", () => {
  test.each<[string, Scene]>([
    ["while podman has a container of its name", { containers: PRESENT, all: true }],
    [
      "while podman has the container of its last run, under any name",
      { containers: [{ id: "a1", names: ["x"] }], all: true },
    ],
    ["while a container was created with it, under any name", { stateDirectories: [DIRECTORY], all: true }],
    ["while its container runs, whatever podman says", { bundle: { isRunning: true }, all: true }],
    ["for an hour, since podman may still fetch the image", { bundle: { ageSeconds: GRACE_SECONDS - 1 } }],
    ["when the clock was set back", { bundle: { ageSeconds: -5 } }],
    ["for a unit that makes its container anew", { bundle: { isKept: true, ageSeconds: 1e9 } }],
  ])("%s", (_, scene) => expect(plan(scene).bundles).toEqual([]));
});

describe("a helper ends", () => {
  test.each<[string, Scene, number[]]>([
    ["when nobody else is left in its network", { helpers: [RESOLVER] }, [7]],
    ["also beside a container that only stopped", { helpers: [RESOLVER], containers: PRESENT }, [7]],
    [
      "also when its bundle is gone already",
      { helpers: [{ ...RESOLVER, bundle: "/state/containers/x" }] },
      [7],
    ],
    ["as the keeper of logs", { helpers: [{ ...RESOLVER, kind: "keeper" }] }, [7]],
    ["as a timer, with its bundle", { helpers: [TIMER] }, [8]],
    [
      "as a timer whose bundle is gone already",
      { helpers: [{ ...TIMER, bundle: "/state/containers/x" }] },
      [8],
    ],
  ])("%s", (_, scene, pids) => expect(plan(scene).helpers).toEqual(pids));
});

describe("a helper goes on", () => {
  test.each<[string, Scene]>([
    [
      "while a container is in its network, which may only just start",
      { helpers: [{ ...RESOLVER, isAlone: false }] },
    ],
    ["while its container runs", { helpers: [RESOLVER], bundle: { isRunning: true } }],
    ["as a timer, while its bundle stays", { helpers: [TIMER], containers: PRESENT }],
  ])("%s", (_, scene) => expect(plan(scene).helpers).toEqual([]));
});
