import { ProfileNameError } from "@terok-shield/profiles";
import { describe, expect, test } from "vitest";
import { PodmanArgumentError } from "../podman-arguments.ts";
import { ShieldError } from "../shield-error.ts";
import { isInputError, renderError, renderUsageError } from "./error.ts";

const nested = new ShieldError("nft refused the ruleset.", {
  cause: new Error("/dev/stdin:14:3: syntax error\nand more"),
});

describe("a fault of the user is one sentence, with the cause beneath", () => {
  test.each([
    [new ShieldError("It is not there. Make it."), "It is not there. Make it.\n"],
    [nested, "nft refused the ruleset.\n    /dev/stdin:14:3: syntax error\n"],
    [new ShieldError("a.txt:1: no\na.txt:2: no", { code: "usage" }), "a.txt:1: no\na.txt:2: no\n"],
    [new ShieldError("It failed.", { cause: "text" }), "It failed.\n"],
    [
      new ShieldError("a: no space is left.", { cause: new Error("no space is left") }),
      "a: no space is left.\n",
    ],
    [new PodmanArgumentError("--privileged opens the shield."), "--privileged opens the shield.\n"],
    [new ProfileNameError('"A" is not a profile name.'), '"A" is not a profile name.\n'],
  ])("%s", (cause, text) => expect(renderError(cause, { debug: false })).toBe(text));
});

test.each([
  ["a fault of the user with --debug", new ShieldError("It is not there."), true],
  ["a fault of ours", new TypeError("x is not a function"), false],
])("%s shows the sentence once, and where it was thrown", (_, cause, debug) => {
  const [sentence, place, ...rest] = renderError(cause, { debug }).split("\n");
  expect(sentence).toMatch(new RegExp(`^(Type)?Error: ${cause.message}$`));
  expect(place).toMatch(/^ {4}at .*error\.test\.ts:/);
  expect(rest.join("\n")).not.toContain(cause.message);
});

test("what is thrown without being an error is shown as text", () => {
  expect(renderError("no", { debug: false })).toBe("no\n");
  expect(renderError(undefined, { debug: true })).toBe("undefined\n");
});

test("errors of the pure packages about what the user wrote are known by name", () => {
  expect([new ProfileNameError(""), new PodmanArgumentError("")].every(isInputError)).toBe(true);
  expect([new Error(""), new ShieldError(""), "ProfileError", undefined].some(isInputError)).toBe(false);
});

test.each([
  [
    "error: unknown option '--jsn'\n(Did you mean --json?)\n",
    "unknown option '--jsn' (Did you mean --json?)\n",
  ],
  ["error: missing required argument 'container'\n", "missing required argument 'container'\n"],
])("commander's %j is one line", (text, line) => expect(renderUsageError(text)).toBe(line));
