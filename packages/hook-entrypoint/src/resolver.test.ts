import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseResolverRequest } from "./resolver.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

test.each([
  [[]],
  [["good.test"]],
  [["good.test", "GOOD.test", "a", "_x.good-1.test", `${"a".repeat(63)}.test`]],
])("%j are names to ask for", (ask) =>
  expect(parseResolverRequest(JSON.stringify({ ask, more: 1 }))).toEqual({ ask }),
);

test.each<[string, string]>([
  ["", "is not JSON"],
  ["[]", "is not a JSON object"],
  ["{}", "names no list of names to ask for"],
  ['{"ask":"good.test"}', "names no list of names to ask for"],
  ...[
    "good.test\n",
    "good.test.",
    ".good.test",
    "*.test",
    "",
    ".",
    "a..b",
    "a/b",
    "a b",
    "\u0000",
    "ü.test",
    `${"a".repeat(64)}.test`,
    `${"a.".repeat(127)}`,
    `${"a.".repeat(127)}a`,
    5,
    null,
    ["a"],
  ].map((name): [string, string] => [
    JSON.stringify({ ask: ["good.test", name] }),
    "names no list of names to ask for",
  ]),
])("%j is no request", (text, reason) => {
  expect(() => parseResolverRequest(text)).toThrow(
    new ShieldRefusal(`the request on standard input ${reason}`),
  );
});

test("whatever stands on standard input, it is names to ask for or a refusal of one line", () => {
  const name = fc.oneof(fc.constantFrom("good.test", "*.test", "a b"), fc.jsonValue());
  const text = fc.oneof(
    anyText(),
    fc.json(),
    fc.array(name, { maxLength: 3 }).map((ask) => JSON.stringify({ ask })),
  );
  fc.assert(
    fc.property(text, (request) => {
      try {
        for (const asked of parseResolverRequest(request).ask) expect(asked).toMatch(/^[\w.-]{1,253}$/);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldRefusal);
        expect((error as Error).message).not.toMatch(/\p{Cc}/u);
      }
    }),
    { numRuns: 500 },
  );
});
