import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findImports, type Import, PACKAGE_NAMES, parseImports, ROOT, readManifest } from "./workspace.ts";

/** Packages are put together in one place, so that each can be read, tested and replaced alone. */
const COMPOSER = "cli";
/** A package is imported by its name; the hook, which runs as a file of its own, by its contract. */
const PUBLIC_NAMES = PACKAGE_NAMES.filter((name) => name !== COMPOSER).map((name) =>
  name === "hook-entrypoint" ? "@terok-shield/hook-entrypoint/contract" : `@terok-shield/${name}`,
);
const CONFIG_FILE = /\.config\.ts$/;

test("the reader of imports finds every form", () => {
  const source = `
    import a from "./a.ts"; import type { B } from "b"; export * from "c"; export { d } from 'd';
    import "e"; const f = await import("f"); const g = require("g"); let h: import("h").H;
    // import "comment";
    const text = 'import "text"';
  `;
  expect(parseImports(source)).toEqual(["./a.ts", "b", "c", "d", "e", "f", "g", "h"]);
});

describe.each(PACKAGE_NAMES)("packages/%s", (name) => {
  const imports = findImports(join(ROOT, "packages", name));

  test("has imports to look at", () => {
    expect(imports.length).toBeGreaterThan(0);
  });

  test("imports no file of another package", () => {
    expect(imports.filter(leavesPackage)).toEqual([]);
  });

  test(name === COMPOSER ? "imports the others by their public names" : "imports no other package", () => {
    const allowed = name === COMPOSER ? PUBLIC_NAMES : [];
    const named = imports.filter(({ specifier }) => /^(@terok-shield\/|terok-shield(\/|$))/.test(specifier));
    expect(named.filter(({ specifier }) => !allowed.includes(specifier))).toEqual([]);
  });

  test("names no other package in its package.json unless it is the cli", () => {
    const { name: own, ...rest } = readManifest(name);
    const others = PACKAGE_NAMES.map((other) => readManifest(other).name).filter((other) => other !== own);
    const text = JSON.stringify(rest);
    const named = others.filter((other) => text.includes(JSON.stringify(other)));
    expect(named).toEqual(name === COMPOSER ? others : []);
  });
});

/** The base of a tool's configuration is the one thing that packages share by a relative path. */
function leavesPackage({ file, specifier }: Import): boolean {
  if (specifier.startsWith("/") || specifier.startsWith("file:")) return true;
  if (!specifier.startsWith(".")) return false;
  const target = join(file, "..", specifier);
  const own = file.split("/").slice(0, 2).join("/");
  return !target.startsWith(`${own}/`) && !(CONFIG_FILE.test(file) && !target.includes("/"));
}
