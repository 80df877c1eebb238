import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PACKAGE_NAMES, ROOT, readManifest } from "./workspace.ts";

const MORE_EXPORTS: Readonly<Record<string, readonly string[]>> = {
  audit: ["./shield-event.schema.json"],
  cli: ["./shield-event.schema.json"],
  "hook-entrypoint": ["./contract"],
};

test("the packages are those of the product", () => {
  expect(PACKAGE_NAMES).toEqual(["audit", "cli", "dns-tier", "hook-entrypoint", "nft-ruleset", "profiles"]);
});

describe.each(PACKAGE_NAMES)("packages/%s", (name) => {
  const manifest = readManifest(name);

  test("can be published", () => {
    expect(manifest).toMatchObject({
      name: name === "cli" ? "terok-shield" : `@terok-shield/${name}`,
      type: "module",
      license: "Apache-2.0",
      engines: { node: ">=20" },
      files: expect.arrayContaining(["dist"]),
    });
  });

  /** What is not in `exports` cannot be imported. Beside the main module there are the hook's contract, and the schema of events. */
  test("lets itself be imported by its name, and its package.json be read", () => {
    const expected = [".", ...(MORE_EXPORTS[name] ?? []), "./package.json"];
    expect(Object.keys(manifest.exports ?? {})).toEqual(expected);
    expect(manifest.exports?.["./package.json"]).toBe("./package.json");
  });
});

test("the workspace and the licence agree", () => {
  const root = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as object;
  expect(root).toMatchObject({ private: true, license: "Apache-2.0", engines: { node: ">=20" } });
  expect(readFileSync(join(ROOT, "LICENSE"), "utf8")).toContain("Apache License");
});
