import { homedir } from "node:os";
import { findMountFault } from "@terok-shield/hook-entrypoint/contract";
import { bundleDirectory } from "../bundle-directory.ts";
import { isSocketFile, resolvePath } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { findProtectedPaths } from "../host/protected-paths.ts";
import { runForeground } from "../host/run-command.ts";
import { type PodmanRunArguments, parsePodmanRunArguments } from "../podman-arguments.ts";
import { namesOneByOne, yieldHosts } from "../podman-options.ts";
import { ShieldError } from "../shield-error.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { takeRefusal } from "./refusal.ts";

export interface RunRequest {
  readonly container: string;
  readonly profiles?: readonly string[];
  readonly trustedMounts?: readonly string[];
  /** What stands after `--`: podman's options, the image, its command. */
  readonly podmanArguments: readonly string[];
  readonly onPrepared?: (prepared: Prepared) => void;
}

/**
 * Runs a new container behind its shield, in the foreground as podman would.
 * @returns the container's exit code, or podman's
 * @throws ShieldError (usage) when an option would open the shield.
 */
export async function run(host: Host, request: RunRequest): Promise<number> {
  const parsed = parsePodmanRunArguments(request.podmanArguments);
  const trustedMounts = resolveTrusted(request.trustedMounts ?? []);
  refuseMounts(host, parsed, trustedMounts);
  const prepared = await prepare(host, {
    container: request.container,
    ...(request.profiles === undefined ? {} : { profiles: request.profiles }),
    published: [...parsed.published],
    trustedMounts,
  });
  request.onPrepared?.(prepared);
  const { programs } = await host.facts();
  const bundle = bundleDirectory(host.places, prepared.container);
  await takeRefusal(bundle);
  // Of two hosts files, podman reads the last.
  const options = parsed.hasOwnHostsFile
    ? namesOneByOne(prepared.podmanOptions, prepared.resolved)
    : prepared.podmanOptions;
  const exitCode = await runForeground(programs.podman, [
    "run",
    ...yieldHosts(options, parsed),
    ...request.podmanArguments,
  ]);
  const refusal = exitCode === 0 ? undefined : await takeRefusal(bundle);
  if (refusal !== undefined)
    throw new ShieldError(`The container ${prepared.container} was not started: ${refusal}.`);
  return exitCode;
}

/** @throws ShieldError (usage) when a path does not exist. */
export function resolveTrusted(mounts: readonly string[]): string[] {
  return mounts.map((mount) => {
    const real = resolvePath(mount);
    if (real === undefined) {
      throw new ShieldError(`--trust-mount ${JSON.stringify(mount)} does not exist.`, { code: "usage" });
    }
    return real;
  });
}

/** The hook judges again by what the runtime mounts; here the owner hears it before anything is made. */
function refuseMounts(host: Host, { mountSources }: PodmanRunArguments, trusted: readonly string[]): void {
  const protectedPaths = findProtectedPaths(host.places);
  for (const { source, writable } of mountSources) {
    const real = resolvePath(source.replace(/^~(?=\/|$)/, homedir()));
    if (real === undefined || trusted.includes(real)) continue;
    const fault = findMountFault({ source: real, writable }, protectedPaths, isSocketFile);
    if (fault !== undefined) {
      throw new ShieldError(
        `The mount of ${JSON.stringify(source)} ${fault}. Mount less, or insist with --trust-mount ${JSON.stringify(source)}.`,
        { code: "usage" },
      );
    }
  }
}
