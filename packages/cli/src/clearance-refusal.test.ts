import type { NameEvent, PacketEvent } from "@terok-shield/audit";
import { renderEntry } from "@terok-shield/profiles";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { describeRefusal } from "./clearance-refusal.ts";

const ORIGIN = { v: 1, ts: "2026-12-01T10:15:00.000Z", container: "web" } as const;

function packet(fields: Partial<PacketEvent>) {
  return describeRefusal({
    ...ORIGIN,
    ...{ action: "packet", verdict: "blocked", protocol: "tcp", address: "198.18.66.1", port: 443 },
    ...fields,
  });
}

function name(text: string, queryType = "A") {
  const event: NameEvent = { ...ORIGIN, action: "name", verdict: "refused", name: text, queryType };
  return describeRefusal(event);
}

describe("the entry that a verdict would be about", () => {
  test.each([
    { refusal: packet({}), entry: "198.18.66.1:443/tcp" },
    { refusal: packet({ name: "api.good.test" }), entry: "api.good.test:443/tcp" },
    { refusal: packet({ address: "2001:db8::1", protocol: "udp" }), entry: "[2001:db8::1]:443/udp" },
    // No name opens a private address.
    {
      refusal: packet({ verdict: "private", address: "10.0.0.1", name: "good.test" }),
      entry: "10.0.0.1:443/tcp",
    },
    { refusal: packet({ name: "bad name" }), entry: "198.18.66.1:443/tcp" },
    { refusal: name("tracker.test"), entry: "tracker.test" },
    { refusal: name("<name unprintable>"), entry: undefined },
    { refusal: name(`${"x".repeat(64)}.test`), entry: undefined },
  ])("is $entry", ({ refusal, entry }) => {
    expect(refusal).toBeDefined();
    expect(refusal?.entry && renderEntry(refusal.entry)).toBe(entry);
  });
});

test.each([packet({ verdict: "denied" }), packet({ verdict: "allowed" }), packet({ verdict: "bypass" })])(
  "nobody is asked about what was denied already, nor about what was let through",
  (refusal) => expect(refusal).toBeUndefined(),
);

describe("what deserves a second look is marked", () => {
  test.each([
    { refusal: packet({ verdict: "private", address: "169.254.169.254" }), mark: "METADATA" },
    { refusal: packet({ verdict: "private", address: "fd00:ec2::254" }), mark: "METADATA" },
    { refusal: packet({ verdict: "private", address: "192.168.1.1" }), mark: "PRIVATE" },
    { refusal: name("xn--pple-43d.com"), mark: "ODD" },
    { refusal: name(`${"q7z".repeat(15)}.evil.test`), mark: "ODD" },
    { refusal: name("0123456789abcdef0123.evil.test"), mark: "ODD" },
    { refusal: name("a.evil.test", "TXT"), mark: "ODD" },
    { refusal: name("registry.npmjs.org"), mark: undefined },
    { refusal: packet({ name: "github.com" }), mark: undefined },
  ])("$refusal.what: $mark", ({ refusal, mark }) => expect(refusal?.danger?.mark).toBe(mark));
});

test("whatever a name is made of, what is shown is printable ASCII, and what is no name stands in quotes", () => {
  fc.assert(
    fc.property(anyText({ maxLength: 60 }), (text) => {
      for (const refusal of [name(text), packet({ name: text })]) {
        expect(refusal?.what).toMatch(/^[\x20-\x7e]*$/);
      }
      if (!/^[\w.-]+$/.test(text)) expect(name(text)?.what).toMatch(/^name ".*"$/);
    }),
  );
});
