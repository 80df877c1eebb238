import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["packages/*/src/**/*.test.ts", "e2e/guards/**/*.test.ts"] } },
      "e2e/vitest.config.ts",
    ],
  },
});
