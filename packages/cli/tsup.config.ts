import { execFile } from "node:child_process";
import { cp, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig([
  {
    ...base,
    // All is bundled, so that one tarball installs the product, and since many files take longer to find than to run.
    noExternal: [/./],
    async onSuccess() {
      await cp("../hook-entrypoint/dist/terok-shield-hook.cjs", "dist/terok-shield-hook.cjs");
      await cp("../audit/shield-event.schema.json", "dist/shield-event.schema.json");
      await cp("../../profiles", "dist/profiles", { recursive: true });
    },
  },
  {
    ...base,
    entry: { "terok-shield": "src/host/entry.ts", main: "src/main.ts" },
    format: "cjs",
    outExtension: () => ({ js: ".cjs" }),
    noExternal: [/./],
    splitting: false,
    shims: true,
    dts: false,
    clean: false,
    // Names stay, for --debug.
    minifyWhitespace: true,
    minifySyntax: true,
    esbuildOptions(options) {
      // One file, so `import()` finds its modules inside.
      options.supported = { "dynamic-import": false };
    },
    async onSuccess() {
      const { stdout } = await promisify(execFile)(process.execPath, ["dist/main.cjs", "--help"]);
      await writeFile("dist/help.txt", stdout);
    },
  },
]);
