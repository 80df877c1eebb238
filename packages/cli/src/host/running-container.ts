import { readFileSync, statSync } from "node:fs";
import { BUNDLE_FILE, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import * as z from "zod/mini";
import { ShieldError } from "../shield-error.ts";
import type { BundleLock } from "./bundle-lock.ts";
import { readTextFile } from "./files.ts";
import type { Host } from "./host.ts";

const schema = z.object({
  containerId: z.string(),
  pid: z.int().check(z.positive()),
  startTime: z.string(),
  networkNamespace: z.int().check(z.positive()),
  ownerPid: z.int().check(z.positive()),
  hostsFile: z.optional(z.string()),
});

/** The record of the container's present run; undefined when it does not run. */
export function findRunningContainer(bundle: string): RuntimeRecord | undefined {
  const text = readTextFile(`${bundle}/${BUNDLE_FILE.runtime}`);
  if (text === undefined) return undefined;
  const result = schema.safeParse(parseJson(text), { jitless: true });
  if (!result.success) return undefined;
  const { hostsFile, ...record } = result.data;
  if (!isSameProcess(record)) return undefined;
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
  lock?: BundleLock,
): Promise<string> {
  const { programs } = await host.facts();
  const { stdout } = await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [...enterNetwork(record), programs.nft, ...args],
    isBrief: true,
    ...(stdin === undefined ? {} : { stdin }),
    ...(lock === undefined ? {} : { lock }),
  });
  return stdout;
}

/** The transaction is standard input; nothing is listed unless the kernel took it. */
const LOAD_AND_LIST = '"$0" -f - && exec "$0" -j list ruleset';

/**
 * Gives the kernel a transaction and lists its rules afterwards, on one way into the container's network namespace.
 * @returns what `nft -j list ruleset` printed
 * @throws ShieldError when either fails; then the kernel is where it was, or has the whole transaction.
 */
export async function loadAndList(
  host: Host,
  record: RuntimeRecord,
  transaction: string,
  lock: BundleLock,
): Promise<string> {
  const { programs } = await host.facts();
  const { stdout } = await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [...enterNetwork(record), "/bin/sh", "-c", LOAD_AND_LIST, programs.nft],
    stdin: transaction,
    lock,
    isBrief: true,
  });
  return stdout;
}

/** nsenter's arguments before the program that is to run in the container's network namespace. */
export function enterNetwork({ ownerPid, pid }: RuntimeRecord): string[] {
  return [
    // With --userns the container's own user namespace has no say over its network namespace.
    `--user=/proc/${ownerPid}/ns/user`,
    `--net=/proc/${pid}/ns/net`,
    "--preserve-credentials",
    "--",
  ];
}

/** A pid comes round again; a start time and a namespace do not. */
function isSameProcess({ pid, startTime, networkNamespace }: RuntimeRecord): boolean {
  if (readProcessStat(pid)?.startTime !== startTime) return false;
  return readNetworkNamespace(pid) === networkNamespace;
}

/** Undefined when there is no such process. */
export function readProcessStat(
  pid: number,
): { readonly parent: number; readonly startTime: string } | undefined {
  const text = lookAt(pid, () => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (text === undefined) return undefined;
  // What stands before the last parenthesis may hold anything (proc(5)).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), startTime: fields[19] ?? "" };
}

/** Inode; undefined when there is no such process. @throws ShieldError when it is not ours to look at. */
export function readNetworkNamespace(pid: number): number | undefined {
  return lookAt(pid, () => statSync(`/proc/${pid}/ns/net`))?.ino;
}

function lookAt<Seen>(pid: number, look: () => Seen): Seen | undefined {
  try {
    return look();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw new ShieldError(`Process ${pid} of the container cannot be looked at: ${message}.`, { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
