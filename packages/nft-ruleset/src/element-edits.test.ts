import { expect, test } from "vitest";
import { clusterEdits } from "./element-edits.ts";
import { type ElementEdit, editElements } from "./elements.ts";
import { parseIpRange, renderIpRange } from "./ip-range.ts";

const edit = (range: string, set = "allow", isBound = false): ElementEdit => ({
  ...{ verb: "add", set, text: range, range: parseIpRange(range) },
  ...(isBound ? { isBound } : {}),
});

test.each<[string, ElementEdit[], string[][]]>([
  ["nothing", [], []],
  ["addresses apart", [edit("192.0.2.1"), edit("192.0.2.3")], [["192.0.2.1"], ["192.0.2.3"]]],
  ["neighbours", [edit("192.0.2.1"), edit("192.0.2.2")], [["192.0.2.1"], ["192.0.2.2"]]],
  [
    "the same address in two sets",
    [edit("192.0.2.1"), edit("192.0.2.9"), edit("192.0.2.1", "deny")],
    [["192.0.2.1", "192.0.2.1"], ["192.0.2.9"]],
  ],
  [
    "a range and what is in it, whichever comes first",
    [edit("192.0.2.200"), edit("192.0.2.7"), edit("192.0.2.0/24"), edit("192.0.3.0")],
    [["192.0.2.0/24", "192.0.2.7", "192.0.2.200"], ["192.0.3.0"]],
  ],
  [
    "ranges of both families",
    [edit("::/0"), edit("192.0.2.1"), edit("2001:db8::1")],
    [["192.0.2.1"], ["::/0", "2001:db8::1"]],
  ],
])("%s: what speaks of the same addresses stays together", (_, edits, clusters) => {
  expect(clusterEdits(edits).map((cluster) => cluster.map(textOf))).toEqual(clusters);
});

test("what belongs together by its set, and what has no addresses, comes first and in one", () => {
  const flush = editElements("flush", "dns_v4", [{ text: "" }]);
  const edits = [
    edit("192.0.2.1"),
    ...flush,
    edit("192.0.2.5", "timed", true),
    edit("192.0.2.5"),
    edit("192.0.2.9"),
  ];
  expect(clusterEdits(edits).map((cluster) => cluster.map(textOf))).toEqual([
    ["flush", "192.0.2.5", "192.0.2.5"],
    ["192.0.2.1"],
    ["192.0.2.9"],
  ]);
});

function textOf({ verb, range }: ElementEdit): string {
  return range === undefined ? verb : renderIpRange(range);
}
