import type { Options } from "tsup";

export const base: Options = {
  entry: ["src/index.ts"],
  format: "esm",
  target: "node20",
  // WORKAROUND(tsup-base-url): tsup 8 sets `baseUrl` for its declarations, which TypeScript 6 deprecates. Goes with tsup 9.
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
  clean: true,
  sourcemap: false,
};
