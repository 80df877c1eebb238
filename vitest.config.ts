import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "e2e/guards/**/*.test.ts"],
          setupFiles: ["e2e/bin/fixed-seed.mjs"],
          // Much of a kernel test is waiting for another process, or for something to end.
          maxWorkers: 4,
          // Property tests take seconds on a busy machine. The limit is there for a test that hangs.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      "e2e/vitest.config.ts",
      "e2e/attacks/vitest.config.ts",
    ],
  },
});
