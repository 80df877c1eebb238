import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { TestProject } from "vitest/node";
import { installShield } from "../src/lab/install-shield.ts";

declare module "vitest" {
  interface ProvidedContext {
    shield: { prefix: string } | { failure: string };
  }
}

/** Installs the packed CLI once for all tests; only those that ask for it fail when that is not possible. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  await chooseDistribution();
  try {
    const { prefix, remove } = await installShield();
    project.provide("shield", { prefix });
    return remove;
  } catch (error) {
    project.provide("shield", { failure: String(error) });
    return undefined;
  }
}

/** E2E_DISTRIBUTION names a release of Debian that is not this machine's; labs are made of its tree then. */
async function chooseDistribution(): Promise<void> {
  const release = process.env.E2E_DISTRIBUTION;
  if (release === undefined) return;
  const makeTree = fileURLToPath(new URL("../bin/make-tree.sh", import.meta.url));
  const { stdout } = await execa("sh", [makeTree, release], { stderr: "inherit" });
  // The processes of the tests get the environment of this one.
  process.env.E2E_TREE = stdout;
}
