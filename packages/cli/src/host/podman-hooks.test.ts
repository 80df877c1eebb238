import { expect, test } from "vitest";
import { scriptRunner } from "../../testing/scripted-runner.ts";
import { readsHooksFrom } from "./podman-hooks.ts";

const help = (shown: string) =>
  `Options:\n      --hooks-dir strings           Set the OCI hooks directory path (may be set multiple times)${shown}\n      --identity string             path to SSH identity file (default [/ours])\n`;

test.each([
  ["the only one", " (default [/ours])", true],
  ["one of them", " (default [/a,/ours,/b])", true],
  ["not among them", " (default [/usr/share/containers/oci/hooks.d])", false],
  ["the beginning of another", " (default [/ours/too])", false],
  ["no part of a quoted one", ' (default ["/a,/ours"])', false],
  ["not there because none is", "", false],
])("podman says that our directory is %s", async (_, shown, isRead) => {
  const runCommand = scriptRunner([{ expect: "/usr/bin/podman --help", stdout: help(shown) }]);
  expect(await readsHooksFrom({ runCommand }, "/usr/bin/podman", "/ours")).toBe(isRead);
});
