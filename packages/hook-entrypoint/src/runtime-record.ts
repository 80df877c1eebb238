import { join } from "node:path";
import { type Bundle, checkDirectory, readOwnFile } from "./bundle.ts";
import { BUNDLE_FILE, type RuntimeRecord } from "./contract.ts";
import { namespaceInode, readStartTime } from "./network-namespace.ts";
import { ShieldRefusal } from "./shield-refusal.ts";
import { replaceFile } from "./write-own-file.ts";

export function writeRuntimeRecord(directory: string, record: RuntimeRecord): void {
  replaceFile(join(directory, BUNDLE_FILE.runtime), `${JSON.stringify(record)}\n`);
}

/** The last record that a start left in the bundle; undefined when there is none that is ours and whole. */
export function readRuntimeRecord(directory: string): RuntimeRecord | undefined {
  try {
    checkDirectory(directory);
    const record = JSON.parse(readOwnFile(join(directory, BUNDLE_FILE.runtime)).toString("utf8"));
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** True when the container that the record tells of still runs: a pid comes round again, its start time does not. */
export function isRunning({ pid, startTime, networkNamespace }: RuntimeRecord): boolean {
  try {
    return readStartTime(pid) === startTime && namespaceInode(pid, "net") === networkNamespace;
  } catch {
    return false;
  }
}

/**
 * What the hook starts here serves the container only in its network namespace. Gives the container's record.
 * @throws ShieldRefusal when this is another, or no container runs with the bundle.
 */
export function checkIsInside({ directory }: Pick<Bundle, "directory">): RuntimeRecord {
  const record = readRuntimeRecord(directory);
  if (record === undefined || !isRunning(record))
    throw new ShieldRefusal(`no container runs with the bundle ${directory}`);
  if (record.networkNamespace !== namespaceInode("self", "net"))
    throw new ShieldRefusal(`this is not the network namespace of the container that runs with ${directory}`);
  return record;
}

function isRecord(value: unknown): value is RuntimeRecord {
  const { containerId, pid, startTime, networkNamespace } = (value ?? {}) as Partial<RuntimeRecord>;
  return (
    typeof containerId === "string" &&
    typeof startTime === "string" &&
    [pid, networkNamespace].every((number) => Number.isSafeInteger(number) && Number(number) > 0)
  );
}
