import type { Lab } from "../src/lab/lab.ts";

/** The rules of a running container, as nft shows them to its owner. */
export interface Kernel {
  /** `nft ARGS…` in the container's network namespace; gives what it prints. */
  nft(...args: readonly string[]): Promise<string>;
  /** Number of the policy that the kernel is at; undefined when it is at none. */
  revision(): Promise<number | undefined>;
}

/** For the container's present run. */
export async function openKernel(lab: Lab, container: string): Promise<Kernel> {
  const pid = (await lab.user.mustRun("podman", ["inspect", "--format", "{{.State.Pid}}", container])).trim();
  const enter = ["-t", pid, "--user", "--net", "--preserve-credentials"];
  const nft = (...args: readonly string[]) => lab.user.mustRun("nsenter", [...enter, "nft", ...args]);
  return {
    nft,
    async revision() {
      const found = /chain revision_(\d+) /.exec(await nft("list", "chains"));
      return found === null ? undefined : Number(found[1]);
    },
  };
}
