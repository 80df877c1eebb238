import { describe, expect, test } from "vitest";
import { coversRange, parseIpRange, subtractRanges } from "./ip-range.ts";
import { METADATA_ADDRESSES, PRIVATE_RANGES } from "./special-ranges.ts";

const PRIVATE_IPV4: [string, string][] = [
  ["this network", "0.0.0.0/8"],
  ["RFC 1918", "10.0.0.0/8"],
  ["RFC 1918", "172.16.0.0/12"],
  ["RFC 1918", "192.168.0.0/16"],
  ["carrier-grade NAT", "100.64.0.0/10"],
  ["loopback", "127.0.0.0/8"],
  ["link-local", "169.254.0.0/16"],
  ["IETF protocol assignments", "192.0.0.0/24"],
  ["multicast", "224.0.0.0/4"],
  ["reserved, and broadcast", "240.0.0.0/4"],
];

const METADATA = ["169.254.169.254", "100.100.100.200", "192.0.0.192"];

describe("PRIVATE_RANGES", () => {
  test.each([
    ...PRIVATE_IPV4,
    ["unspecified", "::"],
    ["loopback", "::1"],
    ["IPv4-compatible", "::10.0.0.1"],
    ["IPv4-compatible, of a public address too", "::8.8.8.8"],
    ["IPv4-translated", "::ffff:0:10.0.0.1"],
    ["local-use NAT64", "64:ff9b:1::/48"],
    ["discard-only", "100::/64"],
    ["Teredo", "2001::/32"],
    ["unique local", "fc00::/7"],
    ["link-local", "fe80::/10"],
    ["site-local", "fec0::/10"],
    ["multicast", "ff00::/8"],
    ["NAT64 of 0/8", "64:ff9b::/104"],
    ["6to4 of 0/8", "2002::/24"],
  ])("%s: %s is private", (_, text) => {
    expect(coversRange(PRIVATE_RANGES, parseIpRange(text))).toBe(true);
  });

  test("IPv4-mapped IPv6 is private as IPv6", () => {
    const mapped = { ...parseIpRange("::/96"), first: 0xffff00000000n, last: 0xffffffffffffn };
    expect(coversRange(PRIVATE_RANGES, mapped)).toBe(true);
  });

  test.each([...PRIVATE_IPV4.map(([, text]) => text), ...METADATA])(
    "NAT64 and 6to4 of %s are private too, and no wider",
    (text) => {
      const [address = "", length = "32"] = text.split("/");
      const octets = address.split(".").map(Number);
      const hex = octets.map((octet) => octet.toString(16).padStart(2, "0")).join("");
      const nat64 = parseIpRange(`64:ff9b::${address}/${96 + Number(length)}`);
      const sixToFour = parseIpRange(`2002:${hex.slice(0, 4)}:${hex.slice(4)}::/${16 + Number(length)}`);
      for (const range of [nat64, sixToFour]) expect(coversRange(PRIVATE_RANGES, range)).toBe(true);
      expect(nat64.last - nat64.first + 1n).toBe(2n ** BigInt(32 - Number(length)));
      expect(sixToFour.last - sixToFour.first + 1n).toBe(2n ** BigInt(112 - Number(length)));
    },
  );

  test.each([
    "8.8.8.8",
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.18.0.0/15",
    "223.255.255.255",
    "2001:2::/48",
    "2001:1::",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "64:ff9b::8.8.8.8",
    "64:ff9b::198.18.0.1",
    "2002:808:808::",
    "2002:c612::1",
    "fbff:ffff::",
  ])("%s is not private, nor any part of it", (text) => {
    const range = parseIpRange(text);
    expect(subtractRanges([range], PRIVATE_RANGES)).toEqual([range]);
  });
});

describe("METADATA_ADDRESSES", () => {
  test.each([
    ...METADATA,
    "fd00:ec2::254",
    "64:ff9b::169.254.169.254",
    "64:ff9b::100.100.100.200",
    "64:ff9b::192.0.0.192",
    "2002:a9fe:a9fe::/48",
    "2002:6464:64c8::/48",
    "2002:c000:c0::/48",
  ])("%s is a metadata address", (text) => {
    expect(coversRange(METADATA_ADDRESSES, parseIpRange(text))).toBe(true);
  });

  test("all of them are private, so that no DNS answer opens one", () => {
    expect(subtractRanges(METADATA_ADDRESSES, PRIVATE_RANGES)).toEqual([]);
  });
});
