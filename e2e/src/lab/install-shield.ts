import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

export interface InstalledShield {
  readonly prefix: string;
  remove(): Promise<void>;
}

/** Packs the built CLI and installs the package as its users do. */
export async function installShield(): Promise<InstalledShield> {
  const directory = await mkdtemp(path.join(tmpdir(), "terok-shield-installed-"));
  const remove = () => rm(directory, { recursive: true });
  try {
    const { packageManager } = JSON.parse(await readFile(path.join(ROOT, "package.json"), "utf8"));
    const packed = path.join(directory, "terok-shield.tgz");
    await run("npx", [
      "--yes",
      packageManager,
      "--dir",
      path.join(ROOT, "packages/cli"),
      "pack",
      "--out",
      packed,
    ]);
    const prefix = path.join(directory, "prefix");
    const quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"];
    await run("npm", ["install", "--global", "--prefix", prefix, ...quiet, packed]);
    return { prefix, remove };
  } catch (cause) {
    await remove();
    throw cause;
  }
}

/** Without the settings of the npm or pnpm that may have started this process. */
async function run(file: string, args: readonly string[]): Promise<void> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
  await execa(file, args, { cwd: tmpdir(), env, extendEnv: false });
}
