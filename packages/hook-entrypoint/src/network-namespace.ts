import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** Inode of a process's namespace; undefined when the process is gone or not ours to look at. */
export function namespaceInode(pid: number | "self", type: "net" | "pid"): number | undefined {
  try {
    return statSync(`/proc/${pid}/ns/${type}`).ino;
  } catch {
    return undefined;
  }
}

/**
 * The first process of another container in the same network namespace. Podman's own port forwarder also sits
 * there, but in the host's pid namespace.
 */
export function findForeignProcess(containerPid: number): number | undefined {
  const network = readNamespace(containerPid, "net");
  const hostPids = readNamespace("self", "pid");
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .find((pid) => {
      if (pid === containerPid || readNamespace(pid, "net") !== network) return false;
      return readNamespace(pid, "pid") !== hostPids;
    });
}

/** Field 22 of /proc/PID/stat (proc(5)); what stands before the last parenthesis may hold anything. */
export function readStartTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** The name of a process's namespace; undefined when the process is gone or not ours to look at. */
export function readNamespace(pid: number | "self", type: "net" | "pid"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${type}`);
  } catch {
    return undefined;
  }
}
