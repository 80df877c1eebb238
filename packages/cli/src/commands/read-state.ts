import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { bundleDirectory } from "../bundle-directory.ts";
import type { ContainerName } from "../container-name.ts";
import { type ContainerState, isBeforeDecisions, parseContainerState } from "../container-state.ts";
import { readTextFile } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { ShieldError } from "../shield-error.ts";

/** The state of a container that was prepared. @throws ShieldError when there is none, or it is damaged. */
export function readContainerState(host: Host, container: ContainerName): ContainerState {
  const file = stateFile(host, container);
  const text = readTextFile(file);
  if (text === undefined) {
    throw new ShieldError(
      `There is no shielded container ${container}. Make it with terok-shield run ${container} -- IMAGE`,
    );
  }
  return parseStateOf(container, text, file);
}

/**
 * The state that a container has from an earlier prepare; undefined when there is none, or one of a version that knew no
 * decisions. @throws ShieldError when it is damaged: what was denied must not come to be forgotten.
 */
export function readEarlierState(host: Host, container: ContainerName): ContainerState | undefined {
  const file = stateFile(host, container);
  const text = readTextFile(file);
  if (text === undefined || isBeforeDecisions(text)) return undefined;
  return parseStateOf(container, text, file);
}

function parseStateOf(container: ContainerName, text: string, file: string): ContainerState {
  const state = parseContainerState(text, file);
  if (state.container === container) return state;
  throw new ShieldError(
    `${file} is of the container ${JSON.stringify(state.container)}. Remove the file and run terok-shield prepare ${container}`,
  );
}

function stateFile({ places }: Host, container: ContainerName): string {
  return `${bundleDirectory(places, container)}/${BUNDLE_FILE.state}`;
}
