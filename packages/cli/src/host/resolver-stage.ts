import type { ResolverReply, ResolverStage, RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import { ShieldError } from "../shield-error.ts";
import type { BundleLock } from "./bundle-lock.ts";
import type { Host } from "./host.ts";
import { enterNetwork } from "./running-container.ts";

export interface ResolverStageRequest {
  readonly bundle: string;
  readonly stage: ResolverStage;
  /** Names whose addresses to look up once dnsmasq is at the new policy. */
  readonly ask: readonly string[];
  readonly lock?: BundleLock;
  readonly signal?: AbortSignal;
}

/**
 * Makes the running container's dnsmasq read its servers file again, or starts it anew, and waits until it shows
 * that it has.
 * @returns the addresses of each name asked, none where no answer came
 * @throws ShieldError when dnsmasq does not come to it.
 */
export async function runResolverStage(
  host: Host,
  record: RuntimeRecord,
  { bundle, stage, ask, lock, signal }: ResolverStageRequest,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { programs } = await host.facts();
  const { stdout } = await host.runCommand({
    program: "nsenter",
    file: programs.nsenter,
    args: [...enterNetwork(record), programs.node, host.places.hookEntrypoint, stage, bundle],
    stdin: JSON.stringify({ ask }),
    ...(lock === undefined ? {} : { lock }),
    ...(signal === undefined ? {} : { signal }),
  });
  return parseReply(stdout);
}

/** What the hook prints is ours, but it passed on what others answered. */
function parseReply(text: string): Map<string, readonly string[]> {
  try {
    const { answers } = JSON.parse(text) as ResolverReply;
    return new Map(Object.entries(answers));
  } catch (cause) {
    throw new ShieldError(`the resolver's hook printed ${JSON.stringify(text.slice(0, 80))}`, { cause });
  }
}
