import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseExplainTarget } from "./explain-target.ts";
import { ShieldError } from "./shield-error.ts";

test.each([
  ["good.test", { kind: "name", name: "good.test", text: "good.test", protocols: ["tcp", "udp"] }],
  ["Good.Test:443", { kind: "name", name: "good.test", port: 443, protocols: ["tcp", "udp"] }],
  ["198.51.100.7:53/udp", { kind: "address", text: "198.51.100.7:53/udp", port: 53, protocols: ["udp"] }],
  ["[2001:DB8::0:1]:443/tcp", { kind: "address", text: "[2001:db8::1]:443/tcp", protocols: ["tcp"] }],
  ["2001:db8::1", { kind: "address", text: "2001:db8::1", protocols: ["tcp", "udp"] }],
  ["::ffff:198.51.100.7", { kind: "address", text: "198.51.100.7" }],
])("%s is one destination", (text, target) => {
  expect(parseExplainTarget(text)).toMatchObject(target);
});

test.each([
  ["198.51.100.0/24", "Write one address of it."],
  ["*.good.test", "Write one name of it."],
  ["good.test:80-90", "Write one port of it."],
  ["https://good.test/", "is a URL"],
  ["", "is empty"],
  ["good.test:443/icmp", "is not a protocol"],
])("%s is none", (text, reason) => {
  expect(() => parseExplainTarget(text)).toThrow(reason);
});

test("whatever the text, it is a usage error or one destination, which its only spelling names again", () => {
  const part = fc.constantFrom(
    "good",
    ".test",
    "198.18.0.1",
    "[2001:db8::1]",
    "*",
    ":",
    "443",
    "/tcp",
    "/24",
    "\0",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join("")),
  );
  let destinations = 0;
  fc.assert(
    fc.property(text, (written) => {
      const target = targetOf(written);
      if (target === undefined) return;
      destinations += 1;
      expect(parseExplainTarget(target.text)).toEqual(target);
    }),
    { numRuns: 1000 },
  );
  expect(destinations).toBeGreaterThan(10);
});

function targetOf(text: string) {
  try {
    return parseExplainTarget(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ShieldError);
    expect(error).toMatchObject({ code: "usage" });
    return undefined;
  }
}
