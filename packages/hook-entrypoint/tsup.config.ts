import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig([
  // The hook is copied and run alone, so nothing may be split off into a chunk. Where no package.json says
  // what a `.js` is, Node before 20.19 takes it for CommonJS.
  {
    ...base,
    entry: { "terok-shield-hook": "src/main.ts" },
    outExtension: () => ({ js: ".mjs" }),
    dts: false,
    splitting: false,
    metafile: true,
    removeNodeProtocol: false,
  },
  { ...base, entry: ["src/contract.ts"], clean: false },
]);
