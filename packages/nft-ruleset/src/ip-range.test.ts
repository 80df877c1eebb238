import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compareRanges,
  coversRange,
  type IpRange,
  isSingleAddress,
  listedElement,
  mergeRanges,
  overlayRanges,
  parseIpRange,
  parseListedElement,
  renderIpRange,
  subtractRanges,
} from "./ip-range.ts";

describe("parseIpRange", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1/32", "192.0.2.1"],
    ["192.0.2.77/24", "192.0.2.0/24"],
    ["255.255.255.255/0", "0.0.0.0/0"],
    ["0.0.0.0", "0.0.0.0"],
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:db8::1/128", "2001:db8::1"],
    ["2001:db8:0:ffff::1/48", "2001:db8::/48"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:3:4:5:6", "1::2:3:4:5:6"],
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["::", "::"],
    ["::/0", "::/0"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:102:304", "1.2.3.4"],
    ["0:0:0:0:0:ffff:1.2.3.4/120", "1.2.3.0/24"],
    ["::ffff:1.2.3.4/96", "0.0.0.0/0"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["::1.2.3.4", "::1.2.3.4"],
    ["::fffe:0:0/95", "::fffe:0:0/95"],
  ])("%j is %s", (text, canonical) => {
    expect(renderIpRange(parseIpRange(text))).toBe(canonical);
  });

  test.each([
    // Not an address at all.
    "",
    " ",
    "/",
    "/8",
    "localhost",
    "example.com",
    "1.1.1.1; drop",
    "1.1.1.1 }",
    "1.1.1.1\n",
    "1.1.1.1\u0000",
    " 1.1.1.1",
    "1.1.1.1 ",
    "１.1.1.1",
    "[::1]",
    "1.1.1.1:53",
    "1.1.1.1,2.2.2.2",
    "1.1.1.1-1.1.1.9",
    "*.1.1.1",
    "@allow_v4",
    // What inet_aton(3) would read as something else.
    "010.0.0.1",
    "10.0.0.01",
    "00.0.0.0",
    "10.1",
    "10.0.1",
    "167772161",
    "0x7f.0.0.1",
    "0x7f000001",
    "1e1.0.0.1",
    "1.1.1.1.",
    ".1.1.1.1",
    "1..1.1",
    "1.1.1.1.1",
    "256.0.0.1",
    "1.1.1.999",
    "-1.0.0.0",
    "+1.0.0.0",
    // Prefix lengths.
    "1.2.3.4/33",
    "1.1.1.1/",
    "1.1.1.1/+8",
    "1.1.1.1/-8",
    "1.1.1.1/ 8",
    "1.1.1.1/08",
    "1.1.1.1/8/8",
    "1.1.1.1/0x8",
    "1.1.1.1/8.0",
    "1.1.1.1/255.0.0.0",
    "::/129",
    "::/",
    "::/0128",
    "::ffff:1.2.3.4/95",
    "::ffff:0:0/0",
    // IPv6 groups.
    "fe80::1%eth0",
    "fe80::1%25eth0",
    ":",
    ":::",
    "::1::",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "00001::",
    "g::",
    "0x1::",
    "::1.2.3",
    "::1.2.3.04",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3.4.5",
    "::ffff:1.2.3.256",
  ])("%j is not a range", (text) => {
    expect(() => parseIpRange(text)).toThrow(
      new Error(`${JSON.stringify(text)} is not an IP address or CIDR range`),
    );
  });

  test("reads back every block that renderIpRange writes", () => {
    fc.assert(
      fc.property(blocks(), (range) => {
        expect(parseIpRange(renderIpRange(range))).toEqual(range);
      }),
    );
  });

  test("clears host bits: every address with a prefix length names the block that holds it", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.bigInt(0n, 2n ** 128n - 1n),
        fc.nat(128),
        (family, seed, length) => {
          const bits = family === 4 ? 32 : 128;
          const value = BigInt.asUintN(bits, seed);
          const text = `${family === 4 ? dotted(value) : groups(value)}/${length % (bits + 1)}`;
          fc.pre(family === 4 || value >> 32n !== 0xffffn);
          const range = parseIpRange(text);
          expect(range.first <= value && value <= range.last).toBe(true);
          expect(range.last - range.first + 1n).toBe(2n ** BigInt(bits - (length % (bits + 1))));
        },
      ),
    );
  });

  test("never throws anything but its one sentence, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:./%]{0,24}$/)), (text) => {
        try {
          expect(parseIpRange(renderIpRange(parseIpRange(text)))).toEqual(parseIpRange(text));
        } catch (error) {
          expect(error).toEqual(new Error(`${JSON.stringify(text)} is not an IP address or CIDR range`));
        }
      }),
    );
  });
});

describe("renderIpRange", () => {
  test.each([
    ["192.0.2.1", "192.0.2.3", "192.0.2.1-192.0.2.3"],
    ["192.0.2.1", "192.0.2.2", "192.0.2.1-192.0.2.2"],
    ["2001:db8::1", "2001:db8::ffff", "2001:db8::1-2001:db8::ffff"],
    ["0.0.0.1", "255.255.255.255", "0.0.0.1-255.255.255.255"],
  ])("from %s to %s no block fits: %s", (first, last, text) => {
    expect(renderIpRange(between(first, last))).toBe(text);
  });
});

describe("the interval algebra, against sets of single addresses", () => {
  test("merging keeps the addresses, in the fewest ranges", () => {
    fc.assert(
      fc.property(smallRanges(), (ranges) => {
        const merged = mergeRanges(ranges);
        expect(addresses(merged)).toEqual(addresses(ranges));
        for (const [index, range] of merged.entries()) {
          const next = merged[index + 1];
          if (next?.family === range.family) expect(next.first).toBeGreaterThan(range.last + 1n);
        }
      }),
    );
  });

  test("merging again, or in another order, changes nothing", () => {
    fc.assert(
      fc.property(
        smallRanges().chain((ranges) =>
          fc.tuple(
            fc.constant(ranges),
            fc.shuffledSubarray(ranges, { minLength: ranges.length, maxLength: ranges.length }),
          ),
        ),
        ([ranges, shuffled]) => {
          expect(mergeRanges(mergeRanges(ranges))).toEqual(mergeRanges(ranges));
          expect(mergeRanges(shuffled)).toEqual(mergeRanges(ranges));
        },
      ),
    );
  });

  test("subtracting leaves exactly the addresses that were not removed, merged", () => {
    fc.assert(
      fc.property(smallRanges(), smallRanges(), (ranges, removed) => {
        const left = subtractRanges(ranges, removed);
        const gone = addresses(removed);
        expect(addresses(left)).toEqual(addresses(ranges).filter((address) => !gone.includes(address)));
        expect(mergeRanges(left)).toEqual(left);
      }),
    );
  });

  test("a range is covered when each of its addresses is in some range", () => {
    fc.assert(
      fc.property(smallRanges(), smallRange(), (ranges, inner) => {
        const there = addresses(ranges);
        expect(coversRange(ranges, inner)).toBe(addresses([inner]).every((one) => there.includes(one)));
      }),
    );
  });

  test("overlaying cuts into disjoint, sorted parts that keep the addresses, each with all that cover it", () => {
    fc.assert(
      fc.property(smallRanges(), (ranges) => {
        const items = ranges.map((range) => ({ range }));
        const parts = overlayRanges(items);
        expect(addresses(parts.map(({ range }) => range))).toEqual(addresses(ranges));
        for (const [index, part] of parts.entries()) {
          const next = parts[index + 1]?.range;
          if (next?.family === part.range.family) expect(next.first).toBeGreaterThan(part.range.last);
          const covering = items.filter(({ range }) => coversRange([range], part.range));
          expect(new Set(part.items)).toEqual(new Set(covering));
          for (const { range } of items.filter((item) => !part.items.includes(item))) {
            expect(subtractRanges([part.range], [range])).toEqual([part.range]);
          }
        }
      }),
    );
  });

  test("the ends of both address spaces are ordinary addresses", () => {
    const everything = [parseIpRange("0.0.0.0/0"), parseIpRange("::/0")];
    const ends = ["0.0.0.0", "255.255.255.255", "::", `${"ffff:".repeat(7)}ffff`].map(parseIpRange);
    expect(mergeRanges([...everything, ...ends])).toEqual(everything);
    expect(subtractRanges(everything, ends).map(renderIpRange)).toEqual([
      "0.0.0.1-255.255.255.254",
      `::1-${"ffff:".repeat(7)}fffe`,
    ]);
    const parts = overlayRanges([...everything, ...ends].map((range) => ({ range })));
    expect(parts.map(({ range, items }) => `${renderIpRange(range)} ${items.length}`)).toEqual([
      "0.0.0.0 2",
      "0.0.0.1-255.255.255.254 1",
      "255.255.255.255 2",
      ":: 2",
      `::1-${"ffff:".repeat(7)}fffe 1`,
      `${"ffff:".repeat(7)}ffff 2`,
    ]);
    expect(ends.every((end) => isSingleAddress(end) && coversRange(everything, end))).toBe(true);
  });

  test("arguments are left as they were", () => {
    const ranges = ["10.0.0.0/8", "1.1.1.1", "10.1.0.0/16"].map(parseIpRange);
    const before = [...ranges];
    subtractRanges(ranges, ranges);
    expect(ranges).toEqual(before);
  });
});

test("ranges are in order by family, by first address and then by last", () => {
  const sorted = ["10.0.0.0", "10.0.0.0/8", "10.0.0.1", "11.0.0.0", "::", "::/8", "::1"].map(parseIpRange);
  for (const [index, range] of sorted.entries()) {
    expect(sorted.map((other) => Math.sign(compareRanges(other, range)))).toEqual(
      sorted.map((_, at) => Math.sign(at - index)),
    );
  }
});

describe("listed set elements", () => {
  test("reads back what listedElement says, for blocks and for other ranges", () => {
    fc.assert(
      fc.property(fc.oneof(blocks(), smallRange()), (range) => {
        expect(parseListedElement(listedElement(range))).toEqual(range);
      }),
    );
  });

  test("an IPv4-mapped address in an IPv6 set stays IPv6", () => {
    const mapped = parseListedElement("::ffff:1.2.3.4");
    expect(mapped).toMatchObject({ family: 6 });
    expect(mapped && renderIpRange(mapped)).toBe("::ffff:1.2.3.4");
  });

  test.each([
    null,
    7,
    "example.com",
    {},
    { elem: { val: "1.1.1.1", timeout: 30 } },
    { prefix: { addr: "1.1.1.1", len: 33 } },
    { prefix: { addr: "1.1.1.1", len: "8" } },
    { prefix: { addr: "1.0.0.0", len: "8" } },
    { prefix: { addr: "1.0.0.0", len: 8.5 } },
    { prefix: { addr: "1.0.0.0", len: -1 } },
    { prefix: { addr: "1.1.1.1", len: 8 } },
    { prefix: null },
    { range: ["1.1.1.1", "::1"] },
    { range: ["1.1.1.1"] },
    { range: ["1.1.1.1", "1.1.1.9", "1.1.1.20"] },
    { range: ["1.1.1.1", "example.com"] },
    { range: ["1.1.1.1", 7] },
    { range: ["1.1.1.9", "1.1.1.1"] },
    { concat: ["1.1.1.1", 80] },
  ])("%j is not an address, prefix or range", (element) => {
    expect(parseListedElement(element)).toBeUndefined();
  });
});

function blocks(): fc.Arbitrary<IpRange> {
  const block = (family: 4 | 6, bits: number) =>
    fc
      .tuple(fc.bigInt(0n, 2n ** BigInt(bits) - 1n), fc.integer({ min: 0, max: bits }))
      .map(([seed, length]) => {
        const size = 2n ** BigInt(bits - length);
        const first = (seed / size) * size;
        return { ...parseIpRange("::"), family, first, last: first + size - 1n };
      });
  const isMapped = ({ family, first, last }: IpRange) =>
    family === 6 && first >> 32n === 0xffffn && last >> 32n === 0xffffn;
  return fc.oneof(block(4, 32), block(6, 128)).filter((range) => !isMapped(range));
}

/** Within sixteen addresses of each family, so that ranges meet often. */
function smallRange(): fc.Arbitrary<IpRange> {
  return fc.tuple(fc.boolean(), fc.nat(15), fc.nat(15)).map(([isIpv4, one, other]) => {
    const [first, last] = [Math.min(one, other), Math.max(one, other)];
    return isIpv4 ? between(`10.0.0.${first}`, `10.0.0.${last}`) : between(`fd00::${first}`, `fd00::${last}`);
  });
}

function smallRanges(): fc.Arbitrary<IpRange[]> {
  return fc.array(smallRange(), { maxLength: 8 });
}

function between(first: string, last: string): IpRange {
  return { ...parseIpRange(first), last: parseIpRange(last).first };
}

function addresses(ranges: readonly IpRange[]): string[] {
  const all = ranges.flatMap(({ family, first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, index) => `${family} ${first + BigInt(index)}`),
  );
  return [...new Set(all)].sort();
}

function dotted(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
}

function groups(value: bigint): string {
  return Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  ).join(":");
}
