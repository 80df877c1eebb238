import { readFileSync, statSync } from "node:fs";
import { ANNOTATION, BUNDLE_FILE, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import { listOwnProcesses } from "./helper-processes.ts";
import { findRunningContainer, readNetworkNamespace, readProcessStat } from "./running-container.ts";

export type ContainerRun =
  | { readonly kind: "stopped" }
  /** `isRecorded`: the hook's record is there; else it was put together from what podman's monitor was started with. */
  | { readonly kind: "running"; readonly record: RuntimeRecord; readonly isRecorded: boolean }
  /** A container of that name runs which was not started with this bundle. */
  | { readonly kind: "foreign" };

/**
 * Whether the container of a bundle runs, without podman. A record that is lost or damaged must not make a container
 * that runs look stopped, so podman's monitors are looked at, too: one conmon stays beside every running container.
 */
export function findContainerRun(bundle: string, container: string): ContainerRun {
  const record = findRunningContainer(bundle);
  if (record !== undefined) return { kind: "running", record, isRecorded: true };
  let found: ContainerRun = { kind: "stopped" };
  for (const { pid, argv } of listOwnProcesses()) {
    const monitor = parseMonitor(argv);
    if (monitor?.name !== container) continue;
    const process = findMonitored(pid, monitor.pidFile);
    if (process === undefined) continue;
    if (!isOf(bundle, monitor.bundle, process.pid)) {
      found = { kind: "foreign" };
      continue;
    }
    const { id } = monitor;
    const hostsFile = `${monitor.bundle}/hosts`;
    return {
      kind: "running",
      record: { containerId: id, ...process, ownerPid: pid, hostsFile },
      isRecorded: false,
    };
  }
  return found;
}

interface Monitor {
  readonly name: string;
  readonly id: string;
  /** The OCI bundle. */
  readonly bundle: string;
  readonly pidFile: string;
}

/** conmon(8), as podman starts it for a container; those of `podman exec` monitor no container of their own. */
function parseMonitor(argv: readonly string[]): Monitor | undefined {
  if (!/(^|\/)conmon$/.test(argv[0] ?? "") || argv.includes("-e") || argv.includes("--exec"))
    return undefined;
  const value = (option: string) => argv[argv.indexOf(option, 1) + 1] ?? "";
  return { name: value("-n"), id: value("-c"), bundle: value("-b"), pidFile: value("-p") };
}

/** The container's first process; undefined while the container is only being made, or has ended. */
function findMonitored(
  monitorPid: number,
  pidFile: string,
): Pick<RuntimeRecord, "pid" | "startTime" | "networkNamespace"> | undefined {
  const pid = Number(orUndefined(() => readFileSync(pidFile, "utf8"))?.trim());
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const found = readProcessStat(pid);
  const networkNamespace = readNetworkNamespace(pid);
  if (found?.parent !== monitorPid || networkNamespace === undefined) return undefined;
  return { pid, startTime: found.startTime, networkNamespace };
}

/**
 * True for a container that was created with the bundle. Where it has a user namespace of its own, its specification is
 * not ours to read; then it is told by the resolv.conf that is mounted in it.
 */
function isOf(bundle: string, ociBundle: string, pid: number): boolean {
  const specification = orUndefined(() => readFileSync(`${ociBundle}/config.json`, "utf8"));
  if (specification !== undefined) return readStateDirectory(specification) === bundle;
  const files = [`/proc/${pid}/root/etc/resolv.conf`, `${bundle}/${BUNDLE_FILE.resolvConf}`];
  const [mounted, own] = files.map((file) => orUndefined(() => statSync(file)));
  return mounted !== undefined && mounted.ino === own?.ino && mounted.dev === own.dev;
}

function orUndefined<Seen>(look: () => Seen): Seen | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function readStateDirectory(specification: string): unknown {
  try {
    return JSON.parse(specification).annotations?.[ANNOTATION.stateDirectory];
  } catch {
    return undefined;
  }
}
