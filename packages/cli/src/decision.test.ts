import { renderEntry } from "@terok-shield/profiles";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { decisionOf, entryOf } from "../testing/test-state.ts";
import { lifts, parseTarget } from "./decision.ts";
import { ShieldError } from "./shield-error.ts";

describe("an operator's words are read as a profile's line is", () => {
  test.each([
    ["Example.COM.", { kind: "name", name: "example.com" }],
    ["api.example.com:443", { kind: "name", name: "api.example.com", ports: { first: 443, last: 443 } }],
    ["*.example.com", { kind: "wildcard", parent: "example.com" }],
    ["198.18.7.9/15", { kind: "range", range: "198.18.0.0/15" }],
    ["::ffff:1.2.3.4", { kind: "range", range: "1.2.3.4" }],
    [
      "[2001:2::7]:8000-8010/tcp",
      { kind: "range", range: "2001:2::7", ports: { first: 8000, last: 8010, protocol: "tcp" } },
    ],
  ])("%s", (text, entry) => expect(entryOf(text)).toEqual(entry));

  test.each([
    "",
    "a b",
    "010.0.0.1",
    "good.example:0",
    "https://good.example",
    "host",
    "good.example\u001b[2J",
  ])("%j is a usage error", (text) =>
    expect(() => parseTarget(text, { allowPublicSuffixWildcards: true })).toThrow(
      expect.objectContaining({ code: "usage", message: expect.any(String) }),
    ),
  );

  test("wildcards of public suffixes are for those who insist", () => {
    expect(() => parseTarget("*.com", { allowPublicSuffixWildcards: false })).toThrow(ShieldError);
    expect(parseTarget("*.com", { allowPublicSuffixWildcards: true })).toEqual({
      kind: "wildcard",
      parent: "com",
    });
  });
});

describe("a temporary allow lifts the permanent deny of the very same entry", () => {
  test.each([
    ["allow a.test --for 1m", "deny a.test", true],
    ["allow a.test", "deny a.test", false],
    ["allow a.test --for 1m", "deny a.test --for 1h", false],
    ["allow a.test:443 --for 1m", "deny a.test", false],
    ["allow a.test --for 1m", "deny *.test", false],
    ["allow 198.18.0.0/16 --for 1m", "deny 198.18.0.0/16", true],
    ["allow 198.18.0.1 --for 1m", "deny 198.18.0.0/16", false],
  ])("%s, %s: %s", (allow, deny, expected) =>
    expect(lifts(decisionOf(allow), decisionOf(deny))).toBe(expected),
  );
});

test("whatever an operator writes, it is a usage error or an entry, which its only spelling names again", () => {
  const part = fc.constantFrom(
    "*.",
    "good",
    ".test",
    "1.2.3.4",
    "::",
    "ffff",
    "[",
    "]",
    ":",
    "8",
    "-",
    "/",
    "udp",
    "\u001b",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join("")),
  );
  const options = { allowPublicSuffixWildcards: true };
  let entries = 0;
  fc.assert(
    fc.property(text, (written) => {
      try {
        const entry = parseTarget(written, options);
        entries += 1;
        expect(parseTarget(renderEntry(entry), options)).toEqual(entry);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldError);
        expect((error as Error).message).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      }
    }),
    { numRuns: 2000 },
  );
  expect(entries).toBeGreaterThan(20);
});
