import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIpRange } from "./ip-range.ts";
import { renderSetEdit } from "./set-edit.ts";

describe("renderSetEdit", () => {
  test.each([
    { what: "nothing changes nothing", before: [], after: [], text: undefined },
    {
      what: "the same addresses in other words change nothing",
      before: ["192.0.2.0/25", "192.0.2.128/25"],
      after: ["192.0.2.7", "192.0.2.0/24"],
      text: undefined,
    },
    {
      what: "an entry inside a range that stays changes nothing",
      before: ["10.0.0.0/8"],
      after: ["10.0.0.0/8", "10.1.2.3"],
      text: undefined,
    },
    {
      what: "only what differs is touched, one line for each family",
      before: ["192.0.2.1", "198.51.100.1"],
      after: ["192.0.2.1", "203.0.113.1", "2001:db8::1"],
      text: `delete element inet terok_shield deny_v4 { 198.51.100.1 }
add element inet terok_shield deny_v4 { 203.0.113.1 }
add element inet terok_shield deny_v6 { 2001:db8::1 }
`,
    },
    {
      what: "a neighbour makes a new range: the old one goes first",
      before: ["192.0.2.0/25"],
      after: ["192.0.2.0/25", "192.0.2.128/25"],
      text: `delete element inet terok_shield deny_v4 { 192.0.2.0/25 }
add element inet terok_shield deny_v4 { 192.0.2.0/24 }
`,
    },
    {
      what: "taking one address out of a range leaves two",
      before: ["192.0.2.0/30"],
      after: ["192.0.2.0", "192.0.2.2/31"],
      text: `delete element inet terok_shield deny_v4 { 192.0.2.0/30 }
add element inet terok_shield deny_v4 { 192.0.2.0, 192.0.2.2/31 }
`,
    },
    {
      what: "metadata addresses may be denied like any other",
      before: [],
      after: ["169.254.0.0/16"],
      text: "add element inet terok_shield deny_v4 { 169.254.0.0/16 }\n",
    },
  ])("$what", ({ before, after, text }) => {
    expect(renderSetEdit("deny", before.map(parseIpRange), after.map(parseIpRange))).toBe(text);
  });

  test("an allow edit leaves metadata addresses out unless they are named", () => {
    expect(renderSetEdit("allow", [], [parseIpRange("169.254.169.254/31")])).toBe(
      "add element inet terok_shield allow_v4 { 169.254.169.255 }\n",
    );
    expect(
      renderSetEdit("allow", [parseIpRange("10.0.0.1")], ["10.0.0.1", "169.254.169.254"].map(parseIpRange)),
    ).toBe("add element inet terok_shield allow_v4 { 169.254.169.254 }\n");
  });

  test("an edit and the edit back are each other's mirror", () => {
    const ranges = fc.array(
      fc
        .tuple(fc.nat(255), fc.integer({ min: 24, max: 32 }))
        .map(([host, length]) => parseIpRange(`192.0.2.${host}/${length}`)),
    );
    const words = { add: "delete", delete: "add" } as Record<string, string>;
    fc.assert(
      fc.property(ranges, ranges, (before, after) => {
        const forth = renderSetEdit("deny", before, after)?.trim().split("\n").reverse();
        const back = renderSetEdit("deny", after, before)?.trim().split("\n");
        expect(forth?.map((line) => line.replace(/^\w+/, (word) => words[word] ?? word))).toEqual(back);
      }),
    );
  });
});
