import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { findLongFlag, findShortFlag } from "./podman-arguments-flags.ts";

const PODMAN = process.env.PODMAN ?? "podman";
const HELP = spawnSync(PODMAN, ["run", "--help"], { encoding: "utf8", timeout: 10_000 }).stdout ?? "";

// The reason to skip is that there is no podman to ask.
describe.skipIf(HELP === "")("the installed podman", () => {
  const options = [...HELP.matchAll(/^ {2,6}(?:-(\w), )?--([\w-]+)( \S+)?(?: {2,}|$)/gm)];

  test("names its options in a form that this test reads", () => {
    expect(options.length).toBeGreaterThan(100);
  });

  test.each(
    options.map(([, letter, name = "", type]) => [name, letter, type === undefined ? "nothing" : "value"]),
  )("takes --%s (-%s) with %s", (name = "", letter, takes) => {
    expect(findLongFlag(name)).toEqual({ name, takes });
    if (letter !== undefined) expect(findShortFlag(letter)?.name).toBe(name);
  });
});
