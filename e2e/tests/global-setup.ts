import type { TestProject } from "vitest/node";
import { installShield } from "../src/lab/install-shield.ts";

declare module "vitest" {
  interface ProvidedContext {
    shield: { prefix: string } | { failure: string };
  }
}

/** Installs the packed CLI once for all tests; only those that ask for it fail when that is not possible. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  try {
    const { prefix, remove } = await installShield();
    project.provide("shield", { prefix });
    return remove;
  } catch (error) {
    project.provide("shield", { failure: String(error) });
    return undefined;
  }
}
