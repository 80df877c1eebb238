import { readFile } from "node:fs/promises";
import type { UserProcess } from "../src/lab/host-user.ts";
import type { Lab } from "../src/lab/lab.ts";
import type { Figure } from "./figure.ts";

export interface BenchLab {
  readonly lab: Lab;
  readonly rounds: number;
}

/** A command, with what is done before and after it in each round and does not count. */
export interface Case extends Pick<Figure, "name" | "against" | "target"> {
  readonly command: readonly string[];
  readonly before?: readonly (readonly string[])[];
  readonly after?: readonly (readonly string[])[];
}

/** Times commands of the user on the lab's host in turn. */
export async function timeCommands({ lab, rounds }: BenchLab, cases: readonly Case[]): Promise<Figure[]> {
  const script = await readFile(new URL("timing.mjs", import.meta.url), "utf8");
  const stdin = JSON.stringify({ rounds, cases });
  const args = ["--input-type=module", "--eval", script];
  const times = JSON.parse(await lab.user.mustRun("node", args, { stdin, timeoutMs: 1_800_000 })) as Record<
    string,
    number[]
  >;
  return cases.map(({ name, against, target }) => ({
    name,
    unit: "ms",
    values: times[name] ?? [],
    ...(against === undefined ? {} : { against }),
    ...(target === undefined ? {} : { target }),
  }));
}

/** The processes that serve a container. */
export async function helpersOf({ lab }: BenchLab, container: string): Promise<UserProcess[]> {
  return (await lab.user.processes()).filter(
    ({ command }) =>
      command.includes(`/containers/${container}/`) || command.includes(`/containers/${container} `),
  );
}

export const PLAIN_NETWORK = ["--network", "slirp4netns:enable_ipv6=true"];

export function sleeping({ imageArgs }: Lab): string[] {
  return [...imageArgs, "sleep", "infinity"];
}

export function remove(container: string): string[] {
  return ["podman", "rm", "--force", "--time", "0", container];
}

export async function writeProfile({ user }: Lab, name: string, lines: readonly string[]): Promise<void> {
  await user.writeFile(`${user.home}/.config/terok/shield/profiles/${name}.txt`, `${lines.join("\n")}\n`);
}
