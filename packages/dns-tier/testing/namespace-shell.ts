import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
}

/** Runs programs in a network namespace of its own, where they may do what root may. */
export interface NamespaceShell {
  /** Resolves when the program has ended, whatever its exit code. */
  run(program: string, args: readonly string[]): Promise<Ended>;
  /** Ends whatever still runs. */
  stop(): void;
}

/**
 * The user is not root, only as able: a process alone cannot map groups into a user namespace, and dnsmasq as root
 * sets those that dnsmasq.conf names.
 * @param directory for what the programs print
 */
export function startNamespaceShell(directory: string): NamespaceShell {
  const shell = spawn(
    "unshare",
    ["--user", "--map-user=1", "--map-group=1", "--keep-caps", "--net", "sh"],
    // In a process group of its own, which the shell ends when its input ends: also when this process is killed.
    { detached: true, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, stdio: ["pipe", "pipe", "inherit"] },
  );
  shell.stdin.write("trap 'trap - TERM; kill 0' EXIT\nip link set lo up\n");
  const waiting = new Map<string, (exitCode: number) => void>();
  createInterface({ input: shell.stdout }).on("line", (line) => {
    const [id = "", exitCode] = line.split(" ");
    waiting.get(id)?.(Number(exitCode));
  });
  let runs = 0;
  return {
    run: async (program, args) => {
      const id = String(++runs);
      const output = join(directory, `stdout-${id}`);
      const command = [program, ...args].map(quoted).join(" ");
      const ended = new Promise<number>((resolve) => waiting.set(id, resolve));
      shell.stdin.write(`(${command} </dev/null >${quoted(output)}; echo "${id} $?") &\n`);
      return { exitCode: await ended, stdout: readFileSync(output, "utf8") };
    },
    stop: () => shell.stdin.end(),
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
