import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { isAtLeast, parseDnsmasqVersion } from "./dnsmasq-facts.ts";

const DEBIAN_12 = `Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley
Compile time options: IPv6 GNU-getopt DBus no-UBus i18n IDN2 DHCP DHCPv6 no-Lua TFTP conntrack ipset nftset auth cryptohash DNSSEC loop-detect inotify dumpfile

This software comes with ABSOLUTELY NO WARRANTY.
`;

describe("parseDnsmasqVersion", () => {
  test("reads the version and the options that are in", () => {
    const { version, options } = parseDnsmasqVersion(DEBIAN_12);
    expect(version).toEqual([2, 90]);
    expect(options.has("nftset")).toBe(true);
    expect(options.has("conntrack")).toBe(true);
    expect([...options].filter((option) => /lua|ubus/i.test(option))).toEqual([]);
  });

  test.each([
    ["2.91rc5", [2, 91]],
    ["2.87test8", [2, 87]],
    ["3.0", [3, 0]],
    ["10.1", [10, 1]],
    ["2.100-1+deb14u1", [2, 100]],
  ])("reads version %s", (text, version) => {
    expect(parseDnsmasqVersion(DEBIAN_12.replace("2.90", text)).version).toEqual(version);
  });

  test.each([
    ["", "nothing"],
    ["command not found", "another text"],
    [DEBIAN_12.replace("2.90", "UNKNOWN"), "no number"],
    [DEBIAN_12.replace("2.90", "2"), "no minor number"],
    [DEBIAN_12.replace("2.90", "2.90.1"), "three numbers"],
    [DEBIAN_12.replace("Dnsmasq version", "Not Dnsmasq version"), "another program's version"],
    [DEBIAN_12.replace("Compile time", "Other Compile time"), "other options"],
    [DEBIAN_12.replace("Compile time options", "Options"), "no options"],
    [DEBIAN_12.replace("nftset", "nftset;id"), "a stray character among the options"],
  ])("refuses %j: %s", (output) => {
    expect(() => parseDnsmasqVersion(output)).toThrow("which names no version and options");
  });

  test("throws nothing but an Error on any text", () => {
    fc.assert(
      fc.property(anyText(), (output) => {
        expect(() => parseDnsmasqVersion(output)).toThrow("dnsmasq --version answered");
      }),
    );
  });
});

test.each([
  [[2, 87], true],
  [[2, 88], true],
  [[3, 0], true],
  [[2, 86], false],
  [[1, 99], false],
] as const)("version %j is at least 2.87: %j", (version, expected) => {
  expect(isAtLeast(version, [2, 87])).toBe(expected);
});
