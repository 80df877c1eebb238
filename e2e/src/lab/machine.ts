import { readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { PLATFORM } from "./platform.ts";
import { until } from "./until.ts";
import { NAMESERVERS } from "./zone.ts";

/** A set of namespaces that acts as a machine of its own; everything in it ends with its first process. */
export interface Machine {
  readonly name: string;
  /** The first process, as this side numbers it. */
  readonly pid: number;
  readonly uid: number;
  readonly userName: string;
  /** Where this side finds a file of the machine. */
  path(inside: string): string;
  stop(): Promise<void>;
}

export interface MachineOptions {
  /** Absolute paths below /usr that shall not exist in the machine. */
  readonly hide?: readonly string[];
  /** Prefix of an installation, to be found at /run/lab/shield. */
  readonly shieldPrefix?: string | undefined;
}

const USER_NAME = "lab";
let machinesStarted = 0;

export async function startMachine({ hide = [], shieldPrefix }: MachineOptions): Promise<Machine> {
  if (process.getuid?.() !== 0) {
    throw new Error("The e2e lab needs root to make network namespaces. Run it as root.");
  }
  machinesStarted += 1;
  const name = `terok-shield-lab-${process.pid}-${machinesStarted}`;
  const uid = freeUid();
  // Ends with this process, however this process ends.
  const holder = execa(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc"],
      ...["--uts", "--mount-proc", "bash", fileURLToPath(new URL("./machine.sh", import.meta.url))],
    ],
    {
      env: {
        LAB_NAME: name,
        LAB_USER: USER_NAME,
        LAB_UID: String(uid),
        LAB_TREE: PLATFORM.tree ?? "",
        LAB_NODE: PLATFORM.tree === undefined ? process.execPath : "",
        LAB_RUNTIME: PLATFORM.runtime ?? "",
        LAB_SHIELD: shieldPrefix ?? "",
        LAB_HIDE: hide.join("\n"),
        LAB_NAMESERVERS: NAMESERVERS.join(" "),
      },
      stdin: "ignore",
      reject: false,
      buffer: { stdout: false },
    },
  );
  const ready = new Promise<void>((resolve) => holder.stdout.once("data", () => resolve()));
  const ended = holder.then(({ stderr }) => {
    throw new Error(stderr || "the lab's first process ended");
  });
  ended.catch(() => {});
  await Promise.race([ready, ended]);
  const pid = await onlyChildOf(holder.pid);

  const machine: Machine = {
    name,
    pid,
    uid,
    userName: USER_NAME,
    path: (inside) => `/proc/${pid}/root${inside}`,
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    const cgroup = machine.path(`/sys/fs/cgroup/${name}`);
    await writeFile(`${cgroup}/cgroup.kill`, "1");
    await until("every process of the lab's user has ended", async () =>
      (await readFile(`${cgroup}/cgroup.events`, "utf8")).includes("populated 0"),
    );
    await removeCgroup(cgroup);
    // The kernel ends a first process only after every other process of its namespace.
    process.kill(pid, "SIGKILL");
    await holder;
  }
  await removeAbandonedCgroups(machine.path("/sys/fs/cgroup"));
  return machine;
}

/** The machine has its own accounts, so any uid that no real account has will do. */
function freeUid(): number {
  return 1_900_000_000 + ((process.pid * 16 + machinesStarted) % 1_000_000);
}

/** The process that `unshare --fork` or `nsenter --pid` started in the other namespace. */
export async function onlyChildOf(pid: number | undefined): Promise<number> {
  const child = Number(await readFile(`/proc/${pid}/task/${pid}/children`, "utf8"));
  if (child === 0) {
    throw new Error(`Process ${pid} has no child: what it started has ended.`);
  }
  return child;
}

/** A harness that was killed takes its processes, mounts and files along, but not its cgroup. */
async function removeAbandonedCgroups(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const owner = /^terok-shield-lab-(\d+)-\d+$/.exec(name)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) {
      await removeCgroup(path.join(root, name));
    }
  }
}

/** Another harness may be removing the same one. */
async function removeCgroup(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(toleratingAbsence);
  for (const entry of entries ?? []) {
    if (entry.isDirectory()) {
      await removeCgroup(path.join(directory, entry.name));
    }
  }
  await rmdir(directory).catch(toleratingAbsence);
}

function toleratingAbsence(cause: NodeJS.ErrnoException): undefined {
  if (cause.code !== "ENOENT") {
    throw cause;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
