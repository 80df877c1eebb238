import { appendFileSync } from "node:fs";
import { basename, join } from "node:path";
import { BUNDLE_FILE } from "./contract.ts";

/** Fits one write in append mode, whatever the detail. */
const MAX_DETAIL_LENGTH = 1000;

/** Appends one line to the container's audit log; the bundle's directory has the container's name. */
export function appendEvent(
  directory: string,
  event: {
    readonly action: "setup" | "error";
    readonly detail: string;
    readonly tier?: string;
    readonly containerId?: string;
  },
): void {
  const { action, detail, ...rest } = event;
  const line = {
    v: 1,
    ts: new Date().toISOString(),
    container: basename(directory),
    action,
    detail: detail.slice(0, MAX_DETAIL_LENGTH),
    ...rest,
  };
  appendFileSync(join(directory, BUNDLE_FILE.audit), `${escapeForTerminals(JSON.stringify(line))}\n`, {
    mode: 0o600,
  });
}

/** JSON leaves these as they are, and a terminal or a line reader may not. */
function escapeForTerminals(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
