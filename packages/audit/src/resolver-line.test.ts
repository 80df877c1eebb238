import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { parseResolverLine, resolveClock } from "./resolver-line.ts";

const clock = "Nov 24 06:06:07";
const query = "8547 7";
const asker = "8547 127.0.0.1/35152";
const parse = (text: string) => parseResolverLine(`${clock} dnsmasq[8547]: ${text}`);
const ofQuery = (text: string) => parse(`7 127.0.0.1/35152 ${text}`);

test.each([
  ["query[A] good.test from 127.0.0.1", { kind: "query", query, asker, name: "good.test", type: "A" }],
  ["query[type=65399] t from 127.0.0.1", { kind: "query", query, asker, name: "t", type: "type=65399" }],
  ["query[NS] . from 127.0.0.1", { kind: "query", query, asker, name: ".", type: "NS" }],
  ["query[A] a b.test from 127.0.0.1", { kind: "query", query, asker, name: "a b.test", type: "A" }],
  ["query[A] x] y.test from 127.0.0.1", { kind: "query", query, asker, name: "x] y.test", type: "A" }],
  [
    "query[A] a from 1.2.3.4 from 127.0.0.1",
    { kind: "query", query, asker, name: "a from 1.2.3.4", type: "A" },
  ],
  [
    "query[A] <name unprintable> from 127.0.0.1",
    { kind: "query", query, asker, name: "<name unprintable>", type: "A" },
  ],
  ["config error is REFUSED (EDE: not ready)", { kind: "refused", query, isListed: false }],
  ["config error is REFUSED", { kind: "refused", query, isListed: false }],
  ["config denied.test is NXDOMAIN", { kind: "refused", query, isListed: true }],
  ["config denied.test is NODATA-IPv6", { kind: "refused", query, isListed: true }],
  ["reply good.test is 198.18.0.5", { kind: "answer", query, address: "198.18.0.5" }],
  ["cached good.test is 2001:2::5", { kind: "answer", query, address: "2001:2::5" }],
  ["reply alias.test is <CNAME>", { kind: "other" }],
  ["reply nowhere.test is NXDOMAIN", { kind: "other" }],
  ["reply x]: 8 127.0.0.1/1 reply y is 1.2.3.4", { kind: "other" }],
  ["forwarded good.test to 10.0.2.3", { kind: "other" }],
])("%s", (text, line) => {
  expect(ofQuery(text)).toEqual({ clock, ...line });
});

test("what belongs to no query is told from it", () => {
  expect(parse("started, version 2.90 cache disabled")).toEqual({ clock, kind: "started" });
  expect(parse("exiting on receipt of SIGTERM")).toEqual({ clock, kind: "other" });
});

test.each([
  "",
  "Nov 24 06:06:07 dnsm",
  "Nov 24 06:06:07 dnsmasq: started",
  "Nov 24 06:06:07 ulogd[1]: started, version",
  " Nov 24 06:06:07 dnsmasq[1]: started, version",
])("%j is no line of dnsmasq", (line) => {
  expect(parseResolverLine(line)).toBeUndefined();
});

describe("a clock without a year shows the newest time that can be meant", () => {
  test.each([
    ["Nov 24 06:06:07", "2026-11-24T06:06:08Z", "2026-11-24T06:06:07Z"],
    ["a clock that is ahead", "2026-11-24T06:06:00Z", "2026-11-24T06:06:07Z", "Nov 24 06:06:07"],
    ["a day of one digit", "2026-11-24T00:00:00Z", "2026-11-04T23:59:59Z", "Nov  4 23:59:59"],
    ["before New Year", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z", "Dec 31 23:59:59"],
    [
      "after New Year, by a clock that is ahead",
      "2026-12-31T23:59:59Z",
      "2027-01-01T00:00:01Z",
      "Jan  1 00:00:01",
    ],
    ["a year ago", "2026-11-24T06:06:08Z", "2025-11-26T06:06:07Z", "Nov 26 06:06:07"],
    ["the 29th of February", "2026-11-24T06:06:08Z", "2024-02-29T12:00:00Z", "Feb 29 12:00:00"],
  ])("%s, seen from %s, is %s", (what, notAfter, time, text = what) => {
    expect(resolveClock(text, Date.parse(notAfter))).toBe(Date.parse(time));
  });

  test.each(["Nov 31 06:06:07", "Xyz 24 06:06:07", "Feb 30 00:00:00", ""])("%j is none", (text) => {
    expect(resolveClock(text, Date.parse("2026-11-24T06:06:08Z"))).toBeUndefined();
  });
});

test("whatever a name holds, its query is read as that name, and nothing else in it", () => {
  const name = fc.oneof(
    fc.string({ unit: "grapheme-ascii" }),
    fc.constantFrom(
      "config error is REFUSED",
      "x from 1.2.3.4",
      "reply a is 1.2.3.4",
      "a]: 8 127.0.0.1/1 query[A] b",
    ),
  );
  fc.assert(
    fc.property(name, (asked) => {
      expect(ofQuery(`query[A] ${asked} from 127.0.0.1`)).toEqual({
        clock,
        kind: "query",
        query,
        asker,
        name: asked,
        type: "A",
      });
    }),
  );
});

test("any text is none or a line with its clock", () => {
  const part = fc.constantFrom(
    "query[A] ",
    "reply ",
    " is ",
    "config ",
    " from ",
    "127.0.0.1",
    "]: ",
    "NXDOMAIN",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(part).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (rest) => {
      const line = parse(rest);
      expect(line === undefined || line.clock === clock).toBe(true);
      expect(parseResolverLine(rest)).toBeUndefined();
    }),
  );
});
