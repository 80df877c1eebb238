import { readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { setTimeout } from "node:timers/promises";
import { execa } from "execa";
import { type Machine, onlyChildOf } from "./machine.ts";
import { until } from "./until.ts";

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The program is killed after that time, and the call fails. */
  readonly timeoutMs?: number;
  /** Gives the program a terminal; stdout then holds everything that it shows. */
  readonly tty?: boolean;
  readonly workingDirectory?: string;
}

export interface Finished {
  /** 128 + its number where a signal ended the program, as shells say it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  /** The program itself, as this side numbers it. */
  readonly pid: number;
  readonly stdin: NodeJS.WritableStream;
  readonly stdout: NodeJS.ReadableStream;
  readonly finished: Promise<Finished>;
  /** What the program has written until now, on both outputs. */
  output(): string;
  waitForOutput(text: string, timeoutMs?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): void;
}

export interface UserProcess {
  /** As the machine numbers it. */
  readonly pid: number;
  readonly uid: number;
  /** Z is a zombie. */
  readonly state: string;
  readonly name: string;
  readonly command: string;
}

/** Somebody who works on a machine. */
export interface HostUser {
  readonly uid: number;
  readonly home: string;
  readonly runtimeDirectory: string;
  /** Never fails because of an exit code. */
  run(file: string, args?: readonly string[], options?: RunOptions): Promise<Finished>;
  /** As run, but an exit code other than 0 is an error; gives stdout. */
  mustRun(file: string, args?: readonly string[], options?: RunOptions): Promise<string>;
  spawn(file: string, args?: readonly string[], options?: RunOptions): Promise<Running>;
  writeFile(path: string, content: string, mode?: number): Promise<void>;
  /** Every process of the user and of the containers, zombies too. */
  processes(): Promise<UserProcess[]>;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const PATH = "/run/lab/shield/bin:/run/lab/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/** Joins the lab's cgroup, says so and becomes the program. */
const ENTER = 'echo 0 > "$1" && cd "$2" && shift 2 && echo entered >&3 && exec 3>&- && exec "$@"';

export function hostUser(machine: Machine, account: "ordinary" | "root"): HostUser {
  const uid = account === "root" ? 0 : machine.uid;
  const home = account === "root" ? "/root" : `/home/${machine.userName}`;
  const runtimeDirectory = `/run/user/${uid}`;
  const becomeUser = ["setpriv", "--pdeathsig", "KILL", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];

  function start(file: string, args: readonly string[] = [], options: RunOptions = {}) {
    const command =
      options.tty === true
        ? ["script", "-qec", [file, ...args].map(quote).join(" "), "/dev/null"]
        : [file, ...args];
    const cgroup = `/sys/fs/cgroup/${machine.name}/user/cgroup.procs`;
    const namespaces = ["-t", String(machine.pid), "--mount", "--pid", "--net", "--ipc", "--uts"];
    const running = execa(
      "nsenter",
      [
        ...[...namespaces, "sh", "-c", ENTER, "sh", cgroup, options.workingDirectory ?? home],
        ...[...becomeUser, ...command],
      ],
      {
        extendEnv: false,
        env: {
          ...{ PATH, HOME: home, USER: machine.userName, LOGNAME: machine.userName, SHELL: "/bin/sh" },
          ...{ XDG_RUNTIME_DIR: runtimeDirectory, LANG: "C.UTF-8", TERM: "xterm" },
          ...options.env,
        },
        stdio: ["pipe", "pipe", "pipe", "pipe"],
        reject: false,
        buffer: false,
      },
    );
    const written = { stdout: "", stderr: "", both: "" };
    for (const name of ["stdout", "stderr"] as const) {
      running[name].setEncoding("utf8").on("data", (chunk: string) => {
        written[name] += chunk;
        written.both += chunk;
      });
    }
    running.stdin.on("error", () => {}); // The program need not read it.
    const finished = running.then(
      ({ exitCode, signal }): Finished => ({
        exitCode: exitCode ?? 128 + (signal === undefined ? 0 : constants.signals[signal]),
        stdout: written.stdout,
        stderr: written.stderr,
      }),
    );
    return { running, written, finished };
  }

  async function run(file: string, args?: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const { running, written, finished } = start(file, args, options);
    // Whoever sits at a terminal does not go away: its end would be a key that was pressed, and may be shown.
    if (options.tty === true) running.stdin.write(options.stdin ?? "");
    else running.stdin.end(options.stdin);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timer = new AbortController();
    const result = await Promise.race([finished, setTimeout(timeoutMs, undefined, { signal: timer.signal })]);
    timer.abort();
    if (result !== undefined) {
      return result;
    }
    const program = await onlyChildOf(running.pid).catch(() => undefined);
    if (program !== undefined) {
      process.kill(program, "SIGKILL");
    }
    // Something else may still hold the outputs.
    for (const stream of running.stdio) {
      stream?.destroy();
    }
    throw new Error(`Not finished within ${timeoutMs} ms: ${describe(file, args, written)}`);
  }

  async function mustRun(file: string, args?: readonly string[], options?: RunOptions): Promise<string> {
    const result = await run(file, args, options);
    if (result.exitCode !== 0) {
      throw new Error(`Exit code ${result.exitCode}: ${describe(file, args, result)}`);
    }
    return result.stdout;
  }

  return {
    uid,
    home,
    runtimeDirectory,
    run,
    mustRun,
    async spawn(file, args, options) {
      const { running, written, finished } = start(file, args, options);
      const entered = new Promise((resolve) => running.stdio[3].once("data", resolve));
      await Promise.race([entered, finished]);
      const pid = await onlyChildOf(running.pid).catch(async (cause: unknown) => {
        // The program has ended already, and its pid is nobody's.
        await finished;
        if (running.pid === undefined) throw cause;
        return running.pid;
      });
      return {
        pid,
        stdin: running.stdin,
        stdout: running.stdout,
        finished,
        output: () => written.both,
        waitForOutput: (text, timeoutMs) =>
          until(`${file} wrote ${text}`, () => written.both.includes(text), timeoutMs),
        kill: (signal = "SIGTERM") => signalIfRunning(pid, signal),
      };
    },
    async writeFile(path, content, mode = 0o644) {
      const script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"';
      await mustRun("sh", ["-c", script, "sh", path, mode.toString(8)], { stdin: content });
    },
    async processes() {
      const names = await readdir(machine.path("/proc"));
      const read = names
        .filter((name) => /^\d+$/.test(name))
        .map((name) => readProcess(machine, Number(name)));
      return (await Promise.all(read))
        .filter((found) => found !== undefined)
        .filter((found) => found.uid >= uid);
    },
  };
}

/** A process may end before a signal reaches it. */
function signalIfRunning(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") {
      throw cause;
    }
  }
}

/** Gives undefined for a process that has just ended. */
async function readProcess(machine: Machine, pid: number): Promise<UserProcess | undefined> {
  const directory = machine.path(`/proc/${pid}`);
  try {
    const status = await readFile(`${directory}/status`, "utf8");
    const command = (await readFile(`${directory}/cmdline`, "utf8")).split("\0").join(" ").trim();
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    return { pid, uid: Number(field("Uid")), state: field("State"), name: field("Name"), command };
  } catch {
    return undefined;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function describe(
  file: string,
  args: readonly string[] = [],
  written: { stdout: string; stderr: string },
): string {
  return `${[file, ...args].join(" ")}\n${written.stdout}${written.stderr}`;
}
