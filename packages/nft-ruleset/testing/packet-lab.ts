import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What packet-lab.py answers: the value, or the name of the error that the system call gave. */
export type LabAnswer = { readonly value: unknown; readonly error?: string };

export interface PacketLab {
  /** Has the workload, the resolver or the other side do something with sockets; see packet-lab.py for the verbs. */
  ask(who: "workload" | "resolver" | "internet", verb: string, options?: object): Promise<LabAnswer>;
  /** Runs a program as root of the shielded namespace and gives its output. */
  run(program: string, args: readonly string[], stdin?: string): Promise<string>;
  stop(): void;
}

/** @param addresses those at which the internet of the lab answers */
export async function startPacketLab(addresses: readonly string[]): Promise<PacketLab> {
  const script = fileURLToPath(new URL("packet-lab.py", import.meta.url));
  const child = spawn(
    "unshare",
    ["--user", "--map-root-user", "--net", "--kill-child", "python3", script, ...addresses],
    { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, stdio: ["pipe", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextAnswer = async (): Promise<LabAnswer> => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the packet lab ended");
    return JSON.parse(value) as LabAnswer;
  };
  const ask = (who: string, verb: string, options: object = {}) => {
    child.stdin.write(`${JSON.stringify([who, verb, options])}\n`);
    return nextAnswer();
  };
  await nextAnswer();
  return {
    ask,
    run: async (program, args, stdin) => {
      const { value, error } = await ask("kernel", program, { args, stdin });
      if (error !== undefined) throw new Error(`${program}: ${error}`);
      return String(value);
    },
    stop: () => child.stdin.end(),
  };
}
