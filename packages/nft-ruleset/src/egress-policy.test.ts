import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { to } from "../testing/sample-policies.ts";
import { ownerDestinations } from "./egress-policy.ts";
import { coversRange, type IpRange, mergeRanges, parseIpRange, renderIpRange } from "./ip-range.ts";
import { METADATA_ADDRESSES } from "./special-ranges.ts";

const METADATA = ["169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"];

describe("ownerDestinations", () => {
  test.each([
    { what: "nothing stays nothing", written: [], ranges: [] },
    {
      what: "overlapping, adjacent and repeated entries stay together",
      written: ["192.0.2.0/25", "192.0.2.128/25", "192.0.2.9", "192.0.2.9"],
      ranges: ["192.0.2.0/24"],
    },
    {
      what: "a private range stays: the owner's word",
      written: ["10.0.0.0/8", "fd00:1::/32"],
      ranges: ["10.0.0.0/8", "fd00:1::/32"],
    },
    {
      what: "a CIDR that covers a metadata address opens all but that",
      written: ["169.254.169.252/30"],
      ranges: ["169.254.169.252/31", "169.254.169.255"],
    },
    { what: "a /31 is not the address itself", written: ["169.254.169.254/31"], ranges: ["169.254.169.255"] },
    { what: "the address itself opens", written: ["169.254.169.254"], ranges: ["169.254.169.254"] },
    { what: "as a /32 too", written: ["169.254.169.254/32"], ranges: ["169.254.169.254"] },
    { what: "as IPv4-mapped IPv6 too", written: ["::ffff:169.254.169.254"], ranges: ["169.254.169.254"] },
    {
      what: "a CIDR and the address itself open both",
      written: ["169.254.169.252/30", "169.254.169.254"],
      ranges: ["169.254.169.252/30"],
    },
    {
      what: "NAT64 that covers a metadata address opens all but that",
      written: ["64:ff9b::169.254.169.254/127"],
      ranges: ["64:ff9b::a9fe:a9ff"],
    },
  ])("$what: $written", ({ written, ranges }) => {
    expect(ownerRanges(written.map(parseIpRange)).map(renderIpRange)).toEqual(ranges);
  });

  test("an entry keeps its ports and its end, for a part as for the whole", () => {
    const entry = { ...to("169.254.169.254/31 443/tcp"), remainingSeconds: 9 };
    expect(ownerDestinations([entry])).toEqual([{ ...to("169.254.169.255 443/tcp"), remainingSeconds: 9 }]);
    expect(ownerDestinations([to("169.254.169.254 443")])).toEqual([to("169.254.169.254 443")]);
  });

  test.each(METADATA)("all addresses there are never open %s", (address) => {
    const everything = ["0.0.0.0/0", "::/0"].map(parseIpRange);
    expect(coversRange(ownerRanges(everything), parseIpRange(address))).toBe(false);
    const ranges = ownerRanges([...everything, parseIpRange(address)]);
    expect(coversRange(ranges, parseIpRange(address))).toBe(true);
    for (const other of METADATA.filter((one) => one !== address)) {
      expect(coversRange(ranges, parseIpRange(other))).toBe(false);
    }
  });

  test("opens a metadata address only where an entry is exactly that address", () => {
    const blocks = METADATA.flatMap((address) =>
      Array.from({ length: address.includes(":") ? 129 : 33 }, (_, length) =>
        parseIpRange(`${address}/${length}`),
      ),
    );
    fc.assert(
      fc.property(fc.subarray(blocks, { maxLength: 6 }), (entries) => {
        for (const metadata of METADATA_ADDRESSES.filter(({ first, last }) => first === last)) {
          const named = entries.some(
            (entry) => entry.first === metadata.first && entry.last === metadata.last,
          );
          expect(coversRange(ownerRanges(entries), metadata)).toBe(named);
        }
      }),
    );
  });
});

/** The addresses of the destinations that entries of these ranges open. */
function ownerRanges(ranges: readonly IpRange[]): IpRange[] {
  return mergeRanges(ownerDestinations(ranges.map((range) => ({ range }))).map(({ range }) => range));
}
