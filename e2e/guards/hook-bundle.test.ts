import { isBuiltin } from "node:module";
import { expect, test } from "vitest";
import { parseImports, readBuilt } from "./workspace.ts";

const DIST = "packages/hook-entrypoint/dist";
const OUTPUT = "dist/terok-shield-hook.cjs";

interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<
    Record<string, { readonly imports: readonly { readonly path: string; readonly external?: boolean }[] }>
  >;
}

/** Podman runs the hook as one file, wherever it was copied: what it would have to find beside it is not there. */
const isNode = (specifier: string) => specifier.startsWith("node:") && isBuiltin(specifier);

test("the hook is made of its own sources", () => {
  const { inputs } = readMetafile();
  expect(Object.keys(inputs)).toContain("src/main.ts");
  expect(Object.keys(inputs).filter((path) => !/^src\/[a-z-]+\.ts$/.test(path))).toEqual([]);
});

test("the hook is one file, in which nothing but node: builtins is left to find", () => {
  const { outputs } = readMetafile();
  expect(Object.keys(outputs)).toEqual([OUTPUT]);
  const imports = outputs[OUTPUT]?.imports ?? [];
  expect(imports.length).toBeGreaterThan(0);
  expect(imports.filter(({ path, external }) => external !== true || !isNode(path))).toEqual([]);
});

test("the built file itself says the same", () => {
  const source = readBuilt(`${DIST}/terok-shield-hook.cjs`);
  const imports = parseImports(source);
  expect(imports.length).toBeGreaterThan(0);
  expect(imports.filter((specifier) => !isNode(specifier))).toEqual([]);
  expect(source).not.toMatch(/\bcreateRequire\b|\bimport\s*\(|\brequire\b(?!\()/);
});

function readMetafile(): Metafile {
  return JSON.parse(readBuilt(`${DIST}/metafile-cjs.json`)) as Metafile;
}
