import { expect, test } from "vitest";
import { renderHostsEntries, renderHostsFile } from "./hosts-entries.ts";

const RESOLVED = new Map([
  ["a.test", ["198.18.0.7", "2001:2::7"]],
  ["b.test", ["198.18.0.8"]],
]);

test("renders an --add-host value for each address", () => {
  expect(renderHostsEntries(RESOLVED)).toEqual([
    "a.test:198.18.0.7",
    "a.test:2001:2::7",
    "b.test:198.18.0.8",
  ]);
});

test("renders a line of /etc/hosts for each address", () => {
  expect(renderHostsFile(RESOLVED)).toBe("198.18.0.7\ta.test\n2001:2::7\ta.test\n198.18.0.8\tb.test\n");
  expect(renderHostsFile(new Map())).toBe("");
});
