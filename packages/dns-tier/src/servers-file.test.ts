import { expect, test } from "vitest";
import { policyOf } from "../testing/name-policies.ts";
import { renderOpenServersFile, renderServersFile } from "./servers-file.ts";

const UPSTREAM = "10.0.2.3";
const NOTHING = policyOf({});

test.each([
  [
    "an exact name closes what is below it",
    { exact: ["good.test"] },
    ["/good.test/10.0.2.3", "/*.good.test/"],
  ],
  ["a wildcard says nothing of its parent", { wildcards: ["wild.test"] }, ["/*.wild.test/10.0.2.3"]],
  [
    "an exact name and its own wildcard",
    { exact: ["wild.test"], wildcards: ["wild.test"] },
    ["/wild.test/10.0.2.3"],
  ],
  [
    "a wildcard covers exact names at any depth",
    { exact: ["a.wild.test", "c.b.wild.test"], wildcards: ["wild.test"] },
    ["/*.wild.test/10.0.2.3"],
  ],
  ["a wildcard covers narrower ones", { wildcards: ["a.wild.test", "wild.test"] }, ["/*.wild.test/10.0.2.3"]],
  [
    "a name that only ends alike is not covered",
    { exact: ["notwild.test"], wildcards: ["wild.test"] },
    ["/notwild.test/10.0.2.3", "/*.notwild.test/", "/*.wild.test/10.0.2.3"],
  ],
  [
    "an exact name below another",
    { exact: ["x.test", "y.x.test"] },
    ["/x.test/10.0.2.3", "/*.x.test/", "/y.x.test/10.0.2.3", "/*.y.x.test/"],
  ],
  [
    "a wildcard below an exact name",
    { exact: ["x.test"], wildcards: ["sub.x.test"] },
    ["/*.sub.x.test/10.0.2.3", "/x.test/10.0.2.3", "/*.x.test/"],
  ],
  [
    "names given twice and out of order",
    { exact: ["b.test", "a.test", "b.test"] },
    ["/a.test/10.0.2.3", "/*.a.test/", "/b.test/10.0.2.3", "/*.b.test/"],
  ],
  [
    "a closed name leaves those below it to the wildcard",
    { wildcards: ["wild.test"], closedExact: ["bad.wild.test"] },
    ["/bad.wild.test/", "/*.bad.wild.test/10.0.2.3", "/*.wild.test/10.0.2.3"],
  ],
  [
    "a closed wildcard leaves its parent to the wider one",
    { wildcards: ["wild.test"], closedWildcards: ["bad.wild.test"] },
    ["/*.bad.wild.test/", "/*.wild.test/10.0.2.3"],
  ],
  [
    "a closed name with its closed wildcard",
    { wildcards: ["wild.test"], closedExact: ["bad.wild.test"], closedWildcards: ["bad.wild.test"] },
    ["/bad.wild.test/", "/*.wild.test/10.0.2.3"],
  ],
  [
    "closed beats open",
    {
      exact: ["a.test", "b.c.test"],
      wildcards: ["c.test"],
      closedExact: ["a.test"],
      closedWildcards: ["test"],
    },
    [],
  ],
  ["what is closed anyway needs no line", { closedExact: ["a.test"], closedWildcards: ["b.test"] }, []],
  ["no names", {}, []],
])("%s", (_, lists, lines) => {
  expect(renderServersFile(policyOf(lists), UPSTREAM)).toBe(lines.map((line) => `server=${line}\n`).join(""));
});

test.each([
  ["every name", {}, []],
  [
    "every name but a closed one, whose lower names stay open",
    { closedExact: ["bad.test"] },
    ["/bad.test/", "/*.bad.test/fd00::3#5353"],
  ],
  ["every name but those below a closed wildcard", { closedWildcards: ["bad.test"] }, ["/*.bad.test/"]],
  [
    "every name but a closed one and those below it",
    { closedExact: ["bad.test"], closedWildcards: ["bad.test"] },
    ["/bad.test/"],
  ],
  [
    "a closed name once when a closed wildcard covers it",
    { closedExact: ["x.bad.test"], closedWildcards: ["bad.test"] },
    ["/*.bad.test/"],
  ],
])("the file of a bypass forwards %s", (_, lists, lines) => {
  expect(renderOpenServersFile(policyOf(lists), "fd00::3#5353")).toBe(
    ["fd00::3#5353", ...lines].map((line) => `server=${line}\n`).join(""),
  );
});

test("a marker is the last line, and no entry is beside it in its zone", () => {
  const marker = "r7-c0ffee.terok-shield.invalid";
  const policy = policyOf({
    exact: ["good.test", marker],
    wildcards: ["terok-shield.invalid", "invalid"],
    closedExact: ["x.terok-shield.invalid"],
  });
  expect(renderServersFile(policy, UPSTREAM, marker)).toBe(
    `${renderServersFile(policy, UPSTREAM)}server=/${marker}/\n`,
  );
  expect(renderOpenServersFile(policy, UPSTREAM, marker)).toBe(`server=10.0.2.3\nserver=/${marker}/\n`);
  expect(renderServersFile(policy, UPSTREAM).match(/terok-shield/)).toBeNull();
});

test.each([
  "good.test",
  "terok-shield.invalid",
  "xterok-shield.invalid",
  "a b.terok-shield.invalid",
  ".terok-shield.invalid",
  "",
])("refuses the marker %j", (marker) => {
  expect(() => renderServersFile(NOTHING, UPSTREAM, marker)).toThrow(/is not a (?:name in|canonical)/);
  expect(() => renderOpenServersFile(NOTHING, UPSTREAM, marker)).toThrow(/is not a (?:name in|canonical)/);
});

test("no line is longer than dnsmasq reads", () => {
  const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  const upstream = "2001:0db8:aaaa:bbbb:cccc:dddd:eeee:ffff#65535";
  const lines = renderServersFile(policyOf({ exact: [longest] }), upstream).split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(400);
});

test.each([
  "",
  ".",
  "good.test.",
  ".good.test",
  "Good.test",
  "*.good.test",
  "*",
  "a..b",
  "-a.test",
  "a-.test",
  "good.test/1.1.1.1",
  "good.test\nserver=1.1.1.1",
  "good test",
  "bücher.test",
  `${"a".repeat(64)}.test`,
  "#",
  Array(64).fill("abc").join("."),
])("refuses the name %j", (name) => {
  for (const list of ["exact", "wildcards", "closedExact", "closedWildcards"] as const) {
    expect(() => renderServersFile(policyOf({ [list]: [name] }), UPSTREAM)).toThrow(
      "is not a canonical domain name",
    );
  }
  for (const list of ["closedExact", "closedWildcards"] as const) {
    expect(() => renderOpenServersFile({ ...NOTHING, [list]: [name] }, UPSTREAM)).toThrow(
      "is not a canonical domain name",
    );
  }
});

test.each([
  "",
  "resolver.test",
  "10.0.2.3#",
  "10.0.2.3#0",
  "10.0.2.3#65536",
  "10.0.2.3#53#53",
  "10.0.2.3@eth0",
  "fe80::1%eth0",
  "10.0.2.3\n",
])("refuses the upstream %j", (upstream) => {
  expect(() => renderServersFile(NOTHING, upstream)).toThrow("is not the address of a resolver");
  expect(() => renderOpenServersFile(NOTHING, upstream)).toThrow("is not the address of a resolver");
});
