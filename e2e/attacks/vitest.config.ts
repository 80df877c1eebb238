import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "attacks",
    root: import.meta.dirname,
    include: ["*.test.ts"],
    globalSetup: ["../tests/global-setup.ts"],
    // As for the e2e tests.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
