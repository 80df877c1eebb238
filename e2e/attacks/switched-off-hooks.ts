import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { HookCheck } from "./hook-checks.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const HOOK_SOURCE = path.join(ROOT, "packages/hook-entrypoint/src");

/** The hook's source with one check switched off. @throws unless its text stands there exactly once. */
export function switchOff(source: string, { file, text, instead }: HookCheck): string {
  const [before, after, ...more] = source.split(text);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`This does not stand exactly once in ${file}: ${text}`);
  return `${before}${instead}${after}`;
}

/** Builds a hook without each of the checks, as the hook itself is built. Their texts are in the order of `checks`. */
export async function buildWithout(checks: readonly HookCheck[]): Promise<string[]> {
  const directory = await mkdtemp(path.join(tmpdir(), "terok-shield-holes-"));
  try {
    const entry: Record<string, string> = {};
    for (const [index, check] of checks.entries()) {
      const source = path.join(directory, String(index), "src");
      await mkdir(path.dirname(source));
      await cp(HOOK_SOURCE, source, { recursive: true, filter: (name) => !name.endsWith(".test.ts") });
      const file = path.join(source, check.file);
      await writeFile(file, switchOff(await readFile(file, "utf8"), check));
      entry[`hole-${index}`] = path.join(source, "main.ts");
    }
    await symlink(path.join(ROOT, "node_modules"), path.join(directory, "node_modules"));
    const config = path.join(directory, "tsup.config.mjs");
    const usual = JSON.stringify(path.join(ROOT, "packages/hook-entrypoint/tsup.config.ts"));
    const changes = { entry, outDir: path.join(directory, "built"), metafile: false };
    await writeFile(
      config,
      `import usual from ${usual};\nexport default { ...usual[0], ...${JSON.stringify(changes)} };\n`,
    );
    const tsup = path.join(ROOT, "node_modules/.bin/tsup");
    await execa(tsup, ["--silent", "--config", config], { cwd: path.join(ROOT, "packages/hook-entrypoint") });
    const names = await readdir(path.join(directory, "built"));
    return await Promise.all(
      checks.map((_, index) => {
        const name = names.find((built) => built.startsWith(`hole-${index}.`)) ?? "";
        return readFile(path.join(directory, "built", name), "utf8");
      }),
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}
