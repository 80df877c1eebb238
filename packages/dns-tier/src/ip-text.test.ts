import { isIP, isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isCanonicalIpText, isCidrText, isIpText, isIpv4Text, isIpv6Text } from "./ip-text.ts";

test.each(["0.0.0.0", "198.18.0.7", "255.255.255.255"])("%s is IPv4", (text) => {
  expect(isIpv4Text(text)).toBe(true);
});

test.each([
  "::",
  "::1",
  "1::",
  "2001:2::7",
  "1:2:3:4:5:6:7:8",
  "::ffff:10.0.0.1",
  "1:2:3:4:5:6:1.2.3.4",
  "FE80::A",
])("%s is IPv6", (text) => expect(isIpv6Text(text)).toBe(true));

test.each([
  "",
  "010.0.0.1",
  "10.1",
  "10.0.0.256",
  "10.0.0.1.",
  " 10.0.0.1",
  "0x7f.0.0.1",
  "１.2.3.4",
  "1.2.3.4/32",
  ":",
  ":::",
  "1::2::3",
  ":1::",
  "1::2:",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7::8",
  "1:2:3:4:5:6:7:8:9",
  "12345::",
  "g::",
  "fe80::1%eth0",
  "1.2.3.4::",
  "::1.2.3",
  "::1.2.3.4:5",
  "::10.0.0.010",
])("%j is no address", (text) => {
  expect(isIpText(text)).toBe(false);
});

test.each([
  ["198.18.0.7", true],
  ["2001:2::7", true],
  ["::", true],
  ["2001:2:0:1::1", true],
  ["2001:2::1:0:0:1", true],
  ["2001:2:0:1:1:1:1:1", true],
  ["2001:0002::7", false],
  ["2001:DB8::1", false],
  ["2001:2:0:0:0:0:0:7", false],
  ["2001:2::1:1:1:1:1", false],
  ["1::2:0:0:0:3", false],
  ["::ffff:198.18.0.7", false],
  ["::ffff:c612:7", true],
  ["198.18.0.07", false],
  ["fe80::1%eth0", false],
  ["", false],
  ["]/[::", false],
])("%s is an address in its only spelling: %j", (text, expected) => {
  expect(isCanonicalIpText(text)).toBe(expected);
});

test.each([
  ["10.0.0.0/8", true],
  ["0.0.0.0/0", true],
  ["::/0", true],
  ["fd00::/128", true],
  ["10.0.0.0/33", false],
  ["::/129", false],
  ["10.0.0.0/08", false],
  ["10.0.0.0/", false],
  ["10.0.0.0", false],
  ["10.0.0.0/8/8", false],
])("%s is a CIDR range: %j", (text, expected) => {
  expect(isCidrText(text)).toBe(expected);
});

test("agrees with the address parser of Node on generated and broken addresses", () => {
  const broken = fc
    .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(45), fc.constantFrom("", ":", ".", "0", "f", "9"))
    .map(([text, index, insert]) => text.slice(0, index) + insert + text.slice(index + 1));
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), broken), (text) => {
      expect([isIpv4Text(text), isIpv6Text(text), isIpText(text)]).toEqual([
        isIPv4(text),
        isIPv6(text),
        isIP(text) !== 0,
      ]);
    }),
    { numRuns: 2000 },
  );
});
