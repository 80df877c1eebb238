import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import type { Host } from "../host/host.ts";
import { runForeground } from "../host/run-command.ts";
import { findRunningContainer } from "../host/running-container.ts";
import { ShieldError } from "../shield-error.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";
import { takeRefusal } from "./refusal.ts";

export interface StartRequest {
  readonly container: string;
  readonly podmanArguments: readonly string[];
  /** Hears what the owner should know before the container starts. */
  readonly onPrepared?: (prepared: Prepared) => void;
}

/**
 * Starts a stopped container again, shielded, with its profiles as they are now.
 * @returns podman's exit code
 */
export async function start(host: Host, request: StartRequest): Promise<number> {
  const container = parseContainerName(request.container);
  const state = readContainerState(host, container);
  const prepared = await prepareAgain(host, state);
  request.onPrepared?.(prepared);
  return runHooked(host, container, ["start", ...request.podmanArguments, container]);
}

/** As `start`, for a container that may run. */
export async function restart(host: Host, request: StartRequest): Promise<number> {
  const container = parseContainerName(request.container);
  const state = readContainerState(host, container);
  const { programs } = await host.facts();
  if (findRunningContainer(bundleDirectory(host.places, container)) !== undefined) {
    await host.runCommand({
      program: "podman",
      file: programs.podman,
      args: ["stop", ...request.podmanArguments, container],
    });
  }
  const prepared = await prepareAgain(host, state);
  request.onPrepared?.(prepared);
  return runHooked(host, container, ["start", container]);
}

/** Prepares a container as it was asked for, with its profiles as they are now. */
function prepareAgain(host: Host, { container, request }: ContainerState): Promise<Prepared> {
  const { profiles, published, trustedMounts, network, loopbackPorts } = request;
  return prepare(host, {
    container,
    profiles,
    published,
    trustedMounts,
    fixed: { network, loopbackPorts },
  });
}

async function runHooked(host: Host, container: ContainerName, args: readonly string[]): Promise<number> {
  const { programs, otherHooksDirectories } = await host.facts();
  const bundle = bundleDirectory(host.places, container);
  const hooks = [...(await otherHooksDirectories()), `${bundle}/${BUNDLE_FILE.hooks}`].map(
    (directory) => `--hooks-dir=${directory}`,
  );
  await takeRefusal(bundle);
  const exitCode = await runForeground(programs.podman, [...hooks, ...args]);
  const refusal = exitCode === 0 ? undefined : await takeRefusal(bundle);
  if (refusal !== undefined) throw new ShieldError(`The container ${container} was not started: ${refusal}.`);
  return exitCode;
}
