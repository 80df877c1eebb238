import type { Host } from "./host.ts";

/**
 * Whether podman itself takes hooks from `directory`, without any option of ours.
 *
 * Its help shows the value in force as the default, whichever files, variables and rules of its version led to it.
 */
export async function readsHooksFrom(
  { runCommand }: Pick<Host, "runCommand">,
  podman: string,
  directory: string,
): Promise<boolean> {
  const { stdout } = await runCommand({ program: "podman", file: podman, args: ["--help"] });
  const [, directories = ""] = /^ *--hooks-dir\b.*\(default \[(.*)\]\)$/m.exec(stdout) ?? [];
  return directories.split(",").includes(directory);
}
