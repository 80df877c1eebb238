import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, expect, test } from "vitest";
import config from "../tsup.config.ts";

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "profiles-"));
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  const entry = [fileURLToPath(new URL("index.ts", import.meta.url))];
  await build({ ...config, config: false, entry, outDir: join(directory, "dist"), dts: false, silent: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ["192.0.2.1", "192.0.2.1", false],
  ["[2001:db8::1]:443", "[2001:db8::1]:443", false],
  ["example.com:443/tcp", "example.com:443/tcp", false],
  ["*.example.com", "*.example.com", true],
  ["*.github.io", "EntryError", true],
])("parses %s and reads the public suffix list for wildcards only", (text, result, readsList) => {
  const parsed = parse(text);
  expect(parsed.result).toBe(result);
  expect(parsed.calledFunctions).toContain("parseEntry");
  expect(parsed.calledFunctions.some((name) => name.includes("tldts"))).toBe(readsList);
});

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      readonly ranges: readonly { readonly count: number }[];
    }[];
  }[];
}

/** Parses in a process of its own, away from every node_modules, and tells which functions of the package ran. */
function parse(text: string): { result: string; calledFunctions: readonly string[] } {
  const script = `
    import { parseEntry, renderEntry } from "./dist/index.js";
    try {
      console.log(renderEntry(parseEntry(${JSON.stringify(text)}, { canonicaliseRange: (range) => range })));
    } catch (error) {
      console.log(error.name);
    }`;
  const coverage = mkdtempSync(join(directory, "coverage-"));
  const result = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: directory,
    encoding: "utf8",
    env: { NODE_V8_COVERAGE: coverage },
  });
  const files = readdirSync(coverage).map((file) => readFileSync(join(coverage, file), "utf8"));
  const functions = files
    .flatMap((json) => (JSON.parse(json) as Coverage).result)
    .filter(({ url }) => url.endsWith("/dist/index.js"))
    .flatMap((script) => script.functions);
  return {
    result: result.trimEnd(),
    calledFunctions: functions
      .filter(({ ranges: [whole] }) => (whole?.count ?? 0) > 0)
      .map(({ functionName }) => functionName),
  };
}
