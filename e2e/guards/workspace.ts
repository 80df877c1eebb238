import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGES = join(ROOT, "packages");

interface Manifest {
  readonly name: string;
  readonly license?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly files?: readonly string[];
  readonly type?: string;
}

/** The packages of packages/, by their directory's name. */
export const PACKAGE_NAMES: readonly string[] = readdirSync(PACKAGES).sort();

export function readManifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(PACKAGES, name, "package.json"), "utf8")) as Manifest;
}

export interface Import {
  /** From the workspace's root. */
  readonly file: string;
  readonly specifier: string;
}

/** What the TypeScript files below a directory import, in whatever form. */
export function findImports(directory: string): Import[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.[cm]?tsx?$/.test(name) && !/(^|\/)(node_modules|dist)\//.test(name))
    .sort()
    .flatMap((name) => {
      const file = join(directory, name);
      return parseImports(readFileSync(file, "utf8")).map((specifier) => ({
        file: file.slice(ROOT.length),
        specifier,
      }));
    });
}

/** Every module that a source text names: import, export from, import(), require() and import types. */
export function parseImports(source: string): string[] {
  return ts.preProcessFile(source, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** What a build left in dist/, or what to do when it is not there. */
export function readBuilt(path: string): string {
  const file = join(ROOT, path);
  if (!existsSync(file)) throw new Error(`${path} is missing. Run npm run build first`);
  return readFileSync(file, "utf8");
}
