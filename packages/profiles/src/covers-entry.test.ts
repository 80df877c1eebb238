import fc from "fast-check";
import { expect, test } from "vitest";
import { coversEntry } from "./covers-entry.ts";
import { type AllowlistEntry, parseEntry } from "./parse-entry.ts";
import { canonicaliseRange } from "./stand-in-range.ts";

const options = { canonicaliseRange };
const covers = (wider: string, narrower: string) =>
  coversEntry(parseEntry(wider, options), parseEntry(narrower, options), coversSlash8);
/** Stands in for the algebra that cli passes: a /8 covers what begins with its first number. */
const coversSlash8 = (wider: string, narrower: string) =>
  wider === narrower || (wider.endsWith(".0.0.0/8") && narrower.startsWith(`${wider.split(".")[0]}.`));

test.each([
  ["good.test", "good.test"],
  ["*.good.test", "api.good.test"],
  ["*.good.test", "a.b.good.test"],
  ["*.good.test", "*.good.test"],
  ["*.good.test", "*.api.good.test"],
  ["10.0.0.0/8", "10.1.2.3"],
  ["10.1.2.3", "10.1.2.3"],
  ["good.test", "good.test:443"],
  ["good.test", "good.test:443/udp"],
  ["good.test:443", "good.test:443"],
  ["good.test:443", "good.test:443/tcp"],
  ["good.test:400-500", "good.test:443"],
  ["good.test:1-65535/tcp", "good.test:443-500/tcp"],
  ["*.good.test:443", "api.good.test:443/tcp"],
  ["*.good.test", "*.api.good.test:53/udp"],
  ["10.0.0.0/8:443", "10.1.2.3:443/tcp"],
])("%s covers %s", (wider, narrower) => {
  expect(covers(wider, narrower)).toBe(true);
});

test.each([
  ["good.test", "api.good.test"],
  ["good.test", "*.good.test"],
  ["api.good.test", "good.test"],
  ["*.good.test", "good.test"],
  ["*.good.test", "verygood.test"],
  ["*.good.test", "*.verygood.test"],
  ["*.api.good.test", "*.good.test"],
  ["10.1.2.3", "10.0.0.0/8"],
  ["10.0.0.0/8", "11.1.2.3"],
  ["good.test:443", "good.test"],
  ["good.test:1-65535", "good.test"],
  ["good.test:443/tcp", "good.test:443"],
  ["good.test:443/tcp", "good.test:443/udp"],
  ["good.test:443", "good.test:443-444"],
  ["good.test:443", "good.test:442-443"],
  ["good.test:443", "other.test:443"],
  ["*.good.test:443", "api.good.test"],
  ["10.0.0.0/8:443", "10.1.2.3"],
  ["10.0.0.0/8:443", "11.1.2.3:443"],
  ["*.good.test", "10.1.2.3"],
  ["10.0.0.0/8", "api.good.test"],
  ["10.0.0.0/8", "*.good.test"],
])("%s does not cover %s", (wider, narrower) => {
  expect(covers(wider, narrower)).toBe(false);
});

test("an entry covers another exactly when it opens every packet that the other opens", () => {
  const names = ["a", "b"].flatMap((top) => [
    top,
    `a.${top}`,
    `b.${top}`,
    `a.b.${top}`,
    `b.a.b.${top}`,
    `a.a.${top}`,
  ]);
  const packets = names.flatMap((name) =>
    [1, 2, 3, 4].flatMap((port) => ["tcp", "udp", "icmp"].map((protocol) => ({ name, port, protocol }))),
  );
  const domain = fc.constantFrom("a", "b", "a.a", "a.b", "b.a", "b.b");
  const port = fc.integer({ min: 1, max: 4 });
  const ports = fc
    .record({
      one: port,
      other: port,
      protocol: fc.constantFrom({}, { protocol: "tcp" }, { protocol: "udp" }),
    })
    .map(({ one, other, protocol }) => ({
      first: Math.min(one, other),
      last: Math.max(one, other),
      ...protocol,
    }));
  const target = fc.oneof(
    domain.map((name) => ({ kind: "name", name })),
    fc.constantFrom("a", "b", "a.b").map((parent) => ({ kind: "wildcard", parent })),
  );
  const entry = fc
    .tuple(target, fc.option(ports, { nil: undefined }))
    .map(
      ([host, scope]) => ({ ...host, ...(scope === undefined ? {} : { ports: scope }) }) as AllowlistEntry,
    );
  let covering = 0;
  fc.assert(
    fc.property(entry, entry, (wider, narrower) => {
      const opened = packets.filter((packet) => opens(narrower, packet));
      const isCovered = opened.every((packet) => opens(wider, packet));
      expect(coversEntry(wider, narrower, coversSlash8)).toBe(isCovered);
      covering += Number(isCovered);
    }),
    { numRuns: 5000 },
  );
  expect(covering).toBeGreaterThan(100);
});

interface Packet {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

function opens(entry: AllowlistEntry, { name, port, protocol }: Packet): boolean {
  const isTarget =
    (entry.kind === "name" && entry.name === name) ||
    (entry.kind === "wildcard" && name.endsWith(`.${entry.parent}`));
  const { ports } = entry;
  if (ports === undefined || !isTarget) return isTarget;
  const isProtocol = ports.protocol === undefined ? protocol !== "icmp" : ports.protocol === protocol;
  return isProtocol && ports.first <= port && port <= ports.last;
}
