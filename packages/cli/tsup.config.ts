import { cp } from "node:fs/promises";
import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig({
  ...base,
  entry: ["src/main.ts", "src/index.ts"],
  // The workspace's packages are bundled, so that one tarball installs the product.
  noExternal: [/^@terok-shield\//],
  async onSuccess() {
    await cp("../hook-entrypoint/dist/terok-shield-hook.js", "dist/terok-shield-hook.js");
    await cp("../../profiles", "dist/profiles", { recursive: true });
  },
});
