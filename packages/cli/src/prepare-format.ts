import type { Prepared } from "./commands/prepare.ts";
import { renderComposeFile } from "./compose-file.ts";
import { namesOneByOne } from "./podman-options.ts";
import { renderQuadletUnit } from "./quadlet-unit.ts";

/** What `prepare` can print: options for a shell, one JSON document, or a file for what starts the container. */
export type PrepareFormat = "shell" | "json" | "quadlet" | "compose";

/** Notes are part of `json` alone. */
export function renderPrepared(prepared: Prepared, format: PrepareFormat): string {
  switch (format) {
    case "shell":
      return `${prepared.podmanOptions.join(" ")}\n`;
    case "json": {
      const { container, tier, profiles, podmanOptions, notes } = prepared;
      return `${JSON.stringify({ container, tier, profiles, podmanOptions, notes })}\n`;
    }
    case "quadlet":
      return renderQuadletUnit(prepared);
    case "compose":
      return renderComposeFile({
        ...prepared,
        podmanOptions: namesOneByOne(prepared.podmanOptions, prepared.resolved),
      });
  }
}
