import { describe, expect, test } from "vitest";
import { findMissingProgram } from "./machine.ts";

const descriptor = (path: string, ...args: string[]) => ({
  path: "/hooks.d/terok-shield-x.json",
  content: JSON.stringify({ version: "1.0.0", hook: { path, args } }),
});

describe("a program that installed hooks name and that is not there", () => {
  test.each([
    ["the hook's own", descriptor("/nonexistent/node", "node"), "/nonexistent/node"],
    [
      "an argument",
      descriptor("/bin/sh", "sh", "-c", "exit 0", "/nonexistent/nsenter"),
      "/nonexistent/nsenter",
    ],
    ["nothing", descriptor("/bin/sh", "sh", "/dev/null"), undefined],
    ["no sed script", descriptor("/bin/sh", "sed", '/"createRuntime":\\[/s/a/b/g'), undefined],
    ["nothing in what is no descriptor", { path: "/hooks.d/terok-shield-x.json", content: "{" }, undefined],
    ["nothing in the hook itself", { path: "/terok-shield-hook.cjs", content: "//" }, undefined],
  ])("%s", async (_, file, program) => {
    expect(await findMissingProgram([descriptor("/bin/sh"), file])).toBe(program);
  });
});
