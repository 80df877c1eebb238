import { basename, join } from "node:path";
import { BUNDLE_FILE } from "./contract.ts";
import { escapeForTerminals } from "./escape-for-terminals.ts";
import { appendOwnFile } from "./write-own-file.ts";

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
  appendOwnFile(join(directory, BUNDLE_FILE.audit), `${escapeForTerminals(JSON.stringify(line))}\n`);
}
