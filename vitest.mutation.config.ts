import { defineConfig } from "vitest/config";

/** What is quick enough to be run for each mutant: neither a kernel nor a program that has to be built. */
export default defineConfig({
  test: {
    include: ["packages/{nft-ruleset,profiles,dns-tier,hook-entrypoint}/src/**/*.test.ts"],
    exclude: [
      "**/*.{kernel,fuzz}.test.ts",
      // Reaches everything and tells little apart.
      "packages/nft-ruleset/src/hostile-listing.test.ts",
      "packages/dns-tier/src/real-resolvers.test.ts",
      "packages/hook-entrypoint/src/main.test.ts",
      "packages/profiles/src/built-package.test.ts",
    ],
    setupFiles: ["e2e/mutation/repeatable-properties.ts"],
    testTimeout: 60_000,
  },
});
