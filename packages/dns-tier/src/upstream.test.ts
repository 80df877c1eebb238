import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { isIpText } from "./ip-text.ts";
import { parseUpstream, upstreamFor } from "./upstream.ts";

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

test("a resolver is an address, and a port where it is not 53", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, fc.integer({ min: 1, max: 65_535 }), (text, port) => {
      expect(parseUpstream(text)).toEqual({ address: text, port: 53 });
      expect(parseUpstream(`${text}#${port}`)).toEqual({ address: text, port });
    }),
  );
});

test.each([
  "",
  "10.0.2.3#",
  "10.0.2.3#0",
  "10.0.2.3#053",
  "10.0.2.3#65536",
  "10.0.2.3#53#53",
  "10.0.2.3@53",
  "good.test",
  "#53",
])("%j is not the address of a resolver", (text) => {
  expect(() => parseUpstream(text)).toThrow(`${JSON.stringify(text)} is not the address of a resolver`);
});

test("whatever the text, it is refused by name or an address and a port, or a network of slirp4netns", () => {
  const text = fc.oneof(anyText(), fc.stringMatching(/^[0-9a-f.:#/]{0,20}$/));
  fc.assert(
    fc.property(text, (written) => {
      const upstream = resultOf(() => parseUpstream(written));
      expect(upstream === undefined || (isIpText(upstream.address) && upstream.port > 0)).toBe(true);
      const resolver = resultOf(() => upstreamFor({ kind: "slirp4netns", cidr: written }));
      expect(resolver === undefined || isIpText(resolver)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

function resultOf<Value>(parse: () => Value): Value | undefined {
  try {
    return parse();
  } catch (error) {
    expect((error as Error).message).toMatch(
      /^".*" is not (the address of a resolver|a network of slirp4netns)/,
    );
    return undefined;
  }
}
