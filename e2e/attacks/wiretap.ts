import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Lab } from "../src/lab/lab.ts";

/** All that leaves a container by its wire, whether the internet gets it or not. */
export interface Wiretap {
  /** What left since the last call, each kind once: "udp 198.18.66.66 9000", or without a port. */
  read(): Promise<string[]>;
}

/** For the container's present run. Ends with the lab. */
export async function tapWire(lab: Lab, container: string): Promise<Wiretap> {
  const pid = (await lab.user.mustRun("podman", ["inspect", "--format", "{{.State.Pid}}", container])).trim();
  const program = await readFile(new URL("wiretap.py", import.meta.url), "utf8");
  const enter = ["-t", pid, "--user", "--net", "--preserve-credentials"];
  const running = await lab.user.spawn("nsenter", [...enter, "python3", "-c", program]);
  const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<[string, string, number | null][]> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`The tap on ${container} ended: ${running.output()}`);
    return JSON.parse(value);
  };
  await next();
  return {
    async read() {
      running.stdin.write("\n");
      return (await next()).map((packet) => packet.filter((part) => part !== null).join(" "));
    },
  };
}
