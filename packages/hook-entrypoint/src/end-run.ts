import { endHelpers } from "./helper-process.ts";
import { type OciState, readAnnotatedDirectory } from "./oci-state.ts";
import { isRunning, readRuntimeRecord } from "./runtime-record.ts";

/**
 * Ends what serves a container that has stopped.
 * @param givenDirectory the bundle of the container's own hooks; otherwise its annotation names one
 */
export function endRun(state: OciState, givenDirectory: string | undefined): void {
  const directory = givenDirectory ?? readAnnotatedDirectory(state);
  const record = readRuntimeRecord(directory);
  const isItsLastRun = record?.containerId === state.id;
  // An image may bring annotations, and name the bundle of a container that it is not.
  if (givenDirectory === undefined && !isItsLastRun) return;
  // Podman may come late to a container that was replaced by another of its name.
  if (record !== undefined && !isItsLastRun && isRunning(record)) return;
  endHelpers(directory);
}
