import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseConfirmation, renderConfirmation } from "./confirmation.ts";

const [servers, configuration] = ["0a".repeat(32), "ff".repeat(32)];

test("says which servers file is followed, and with which configuration", () => {
  expect(renderConfirmation({ servers, configuration })).toBe(`${servers} ${configuration}\n`);
});

test("reads what was written", () => {
  const sha256 = fc.stringMatching(/^[0-9a-f]{64}$/);
  fc.assert(
    fc.property(sha256, sha256, (one, other) => {
      const confirmation = { servers: one, configuration: other };
      expect(parseConfirmation(renderConfirmation(confirmation))).toEqual(confirmation);
    }),
  );
});

test.each([
  "",
  `${servers}\n`,
  `${servers} ${configuration}`,
  `${servers} ${configuration}\n\n`,
  `x${servers} ${configuration}\n`,
  `${servers}  ${configuration}\n`,
  `${servers.slice(1)} ${configuration}\n`,
  `${servers} ${configuration}0\n`,
  `${servers.toUpperCase()} ${configuration}\n`,
])("%j confirms nothing", (text) => {
  expect(parseConfirmation(text)).toBeUndefined();
});

test("no text makes it throw", () => {
  fc.assert(fc.property(anyText(), (text) => void parseConfirmation(text)));
});
