import { expect, test } from "vitest";
import { upstreamFor } from "./upstream.ts";

test.each([
  [undefined, "10.0.2.3"],
  ["10.0.2.0/24", "10.0.2.3"],
  ["192.168.40.0/25", "192.168.40.3"],
  ["192.168.40.128/25", "192.168.40.131"],
  ["10.0.0.0/8", "10.0.0.3"],
])("slirp4netns with the network %s answers DNS at %s", (cidr, address) => {
  expect(upstreamFor({ kind: "slirp4netns", ...(cidr === undefined ? {} : { cidr }) })).toBe(address);
});

test.each([
  "",
  "10.0.2.0",
  "10.0.2.1/24",
  "10.0.2.0/26",
  "10.0.2.0/0",
  "10.0.2.0/24/24",
  "010.0.2.0/24",
  "fd00::/64",
  "10.0.2.0/x",
])("%j is not a network of slirp4netns", (cidr) => {
  expect(() => upstreamFor({ kind: "slirp4netns", cidr })).toThrow(
    `${JSON.stringify(cidr)} is not a network of slirp4netns`,
  );
});

test.each(["169.254.1.1", "fd00::53"])("pasta answers DNS where it was told: %s", (dnsForward) => {
  expect(upstreamFor({ kind: "pasta", dnsForward })).toBe(dnsForward);
});

test.each(["", "none", "169.254.1.1,--trace", "fe80::1%eth0"])(
  "%j is no address for pasta to forward from",
  (dnsForward) => {
    expect(() => upstreamFor({ kind: "pasta", dnsForward })).toThrow("is not an IP address");
  },
);
