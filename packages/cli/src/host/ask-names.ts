import {
  ASK_STAGE,
  type NameAnswer,
  type NamesReply,
  type RuntimeRecord,
} from "@terok-shield/hook-entrypoint/contract";
import { ShieldError } from "../shield-error.ts";
import type { Host } from "./host.ts";
import { enterNetwork } from "./running-container.ts";

/** The hook asks them one after the other, and gives up after ten seconds. */
const NAMES_AT_ONCE = 40;

/**
 * Asks the running container's resolver for names, as a process in the container would, and changes nothing but what its
 * answers open. @throws ShieldError when there is no way to it.
 */
export async function askNames(
  host: Host,
  record: RuntimeRecord,
  bundle: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, NameAnswer>> {
  const { programs } = await host.facts();
  const answers = new Map<string, NameAnswer>();
  for (let first = 0; first < names.length; first += NAMES_AT_ONCE) {
    const { stdout } = await host.runCommand({
      program: "nsenter",
      file: programs.nsenter,
      args: [...enterNetwork(record), programs.node, host.places.hookEntrypoint, ASK_STAGE, bundle],
      stdin: JSON.stringify({ ask: names.slice(first, first + NAMES_AT_ONCE) }),
    });
    for (const [name, answer] of Object.entries(parseReply(stdout).names)) answers.set(name, answer);
  }
  return answers;
}

function parseReply(text: string): NamesReply {
  try {
    return JSON.parse(text) as NamesReply;
  } catch (cause) {
    throw new ShieldError(`the resolver's hook printed ${JSON.stringify(text.slice(0, 80))}`, { cause });
  }
}
