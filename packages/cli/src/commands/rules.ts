import { bundleDirectory } from "../bundle-directory.ts";
import { parseContainerName } from "../container-name.ts";
import type { Host } from "../host/host.ts";
import { findRunningContainer, runNft } from "../host/running-container.ts";
import { ShieldError } from "../shield-error.ts";
import { readContainerState } from "./read-state.ts";

/** The rules that the kernel has for a running container, as nft prints them. */
export async function readRules(host: Host, name: string): Promise<string> {
  const container = parseContainerName(name);
  readContainerState(host, container);
  const running = findRunningContainer(bundleDirectory(host.places, container));
  if (running === undefined) {
    throw new ShieldError(
      `The container ${container} does not run, so the kernel has no rules for it. See terok-shield preview`,
    );
  }
  return runNft(host, running, ["list", "ruleset"]);
}
