import { expect, test } from "vitest";
import { renderOpenServersFile, renderServersFile } from "./servers-file.ts";

const UPSTREAM = "10.0.2.3";

test.each([
  [
    "an exact name closes what is below it",
    ["good.test"],
    [],
    ["server=/good.test/10.0.2.3", "server=/*.good.test/"],
  ],
  ["a wildcard says nothing of its parent", [], ["wild.test"], ["server=/*.wild.test/10.0.2.3"]],
  [
    "an exact name and its own wildcard",
    ["wild.test"],
    ["wild.test"],
    ["server=/wild.test/10.0.2.3", "server=/*.wild.test/10.0.2.3"],
  ],
  [
    "a wildcard covers exact names at any depth",
    ["a.wild.test", "c.b.wild.test"],
    ["wild.test"],
    ["server=/*.wild.test/10.0.2.3"],
  ],
  ["a wildcard covers narrower ones", [], ["a.wild.test", "wild.test"], ["server=/*.wild.test/10.0.2.3"]],
  [
    "a name that only ends alike is not covered",
    ["notwild.test"],
    ["wild.test"],
    ["server=/notwild.test/10.0.2.3", "server=/*.notwild.test/", "server=/*.wild.test/10.0.2.3"],
  ],
  [
    "an exact name below another",
    ["x.test", "y.x.test"],
    [],
    ["server=/x.test/10.0.2.3", "server=/*.x.test/", "server=/y.x.test/10.0.2.3", "server=/*.y.x.test/"],
  ],
  [
    "a wildcard below an exact name",
    ["x.test"],
    ["sub.x.test"],
    ["server=/x.test/10.0.2.3", "server=/*.x.test/", "server=/*.sub.x.test/10.0.2.3"],
  ],
  [
    "names given twice and out of order",
    ["b.test", "a.test", "b.test"],
    [],
    ["server=/a.test/10.0.2.3", "server=/*.a.test/", "server=/b.test/10.0.2.3", "server=/*.b.test/"],
  ],
  ["no names", [], [], []],
])("%s", (_, exact, wildcards, lines) => {
  expect(renderServersFile({ exact, wildcards }, UPSTREAM)).toBe(lines.map((line) => `${line}\n`).join(""));
});

test("the file of a bypass forwards every name", () => {
  expect(renderOpenServersFile("fd00::3#5353")).toBe("server=fd00::3#5353\n");
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
  expect(() => renderServersFile({ exact: [name], wildcards: [] }, UPSTREAM)).toThrow(
    "is not a canonical domain name",
  );
  expect(() => renderServersFile({ exact: [], wildcards: [name] }, UPSTREAM)).toThrow(
    "is not a canonical domain name",
  );
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
  expect(() => renderServersFile({ exact: [], wildcards: [] }, upstream)).toThrow(
    "is not the address of a resolver",
  );
  expect(() => renderOpenServersFile(upstream)).toThrow("is not the address of a resolver");
});
