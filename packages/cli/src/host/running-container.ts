import { readFile, stat } from "node:fs/promises";
import { BUNDLE_FILE, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import { z } from "zod";
import { ShieldError } from "../shield-error.ts";
import { readTextFile } from "./files.ts";
import type { Host } from "./host.ts";

const schema = z.object({
  containerId: z.string(),
  pid: z.int().positive(),
  startTime: z.string(),
  networkNamespace: z.int().positive(),
  ownerPid: z.int().positive(),
  hostsFile: z.string().optional(),
});

/** The record of the container's present run; undefined when it does not run. */
export async function findRunningContainer(bundle: string): Promise<RuntimeRecord | undefined> {
  const text = await readTextFile(`${bundle}/${BUNDLE_FILE.runtime}`);
  if (text === undefined) return undefined;
  const result = schema.safeParse(parseJson(text));
  if (!result.success) return undefined;
  const { hostsFile, ...record } = result.data;
  if (!(await isSameProcess(record))) return undefined;
  return { ...record, ...(hostsFile === undefined ? {} : { hostsFile }) };
}

/**
 * Runs nft in the container's network namespace, without podman.
 * @throws ShieldError when nft or the way in fails.
 */
export async function runNft(
  host: Host,
  record: RuntimeRecord,
  args: readonly string[],
  stdin?: string,
): Promise<string> {
  const { programs } = await host.facts();
  const { stdout } = await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [
      // With --userns the container's own user namespace has no say over its network namespace.
      `--user=/proc/${record.ownerPid}/ns/user`,
      `--net=/proc/${record.pid}/ns/net`,
      "--preserve-credentials",
      "--",
      programs.nft,
      ...args,
    ],
    ...(stdin === undefined ? {} : { stdin }),
  });
  return stdout;
}

/** True when a process whose command line names `configuration` runs: the bundle's resolver or packet reader. */
export async function isHelperRunning(pidFile: string, configuration: string): Promise<boolean> {
  const pid = Number((await readTextFile(pidFile)) ?? "");
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).includes(configuration);
  } catch {
    return false;
  }
}

/** A pid comes round again; a start time and a namespace do not. */
async function isSameProcess({ pid, startTime, networkNamespace }: RuntimeRecord): Promise<boolean> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, "utf8");
    if (status.slice(status.lastIndexOf(")") + 2).split(" ")[19] !== startTime) return false;
    return (await stat(`/proc/${pid}/ns/net`)).ino === networkNamespace;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return false;
    throw new ShieldError(
      `Process ${pid} of the container cannot be looked at: ${(cause as Error).message}.`,
      { cause },
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
