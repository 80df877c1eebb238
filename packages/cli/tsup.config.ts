import { cp } from "node:fs/promises";
import { defineConfig } from "tsup";
import { base } from "../../tsup.config.base.ts";

export default defineConfig({
  ...base,
  entry: ["src/main.ts", "src/index.ts"],
  // The workspace's packages are bundled, so that one tarball installs the product; zod, since its many files take
  // longer to find than to run.
  noExternal: [/^@terok-shield\//, "zod"],
  async onSuccess() {
    await cp("../hook-entrypoint/dist/terok-shield-hook.mjs", "dist/terok-shield-hook.mjs");
    await cp("../audit/shield-event.schema.json", "dist/shield-event.schema.json");
    await cp("../../profiles", "dist/profiles", { recursive: true });
  },
});
