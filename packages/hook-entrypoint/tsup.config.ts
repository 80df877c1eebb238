import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig([
  // The hook is copied and run alone, so nothing may be split off into a chunk. As CommonJS it is there sooner: each
  // start waits for it.
  {
    ...base,
    entry: { "terok-shield-hook": "src/main.ts" },
    format: "cjs",
    outExtension: () => ({ js: ".cjs" }),
    dts: false,
    splitting: false,
    metafile: true,
    removeNodeProtocol: false,
  },
  { ...base, entry: ["src/contract.ts"], clean: false },
]);
