import { randomBytes } from "node:crypto";
import { BUNDLE_FILE, type ResolverStage, renderMarker } from "@terok-shield/hook-entrypoint/contract";
import { renderActiveServers } from "../bundle-plan.ts";
import type { ContainerState } from "../container-state.ts";
import { writeFileAtomically } from "../host/files.ts";
import { endHelpers } from "../host/helper-processes.ts";
import type { Moment } from "../host/moment.ts";
import { type ResolverStageRequest, runResolverStage } from "../host/resolver-stage.ts";
import { ShieldError } from "../shield-error.ts";
import type { LockedShield } from "./apply-to-kernel.ts";
import { readResolverState } from "./resolver-state.ts";

export interface ResolverChange {
  readonly state: ContainerState;
  readonly moment: Moment;
  /** Start dnsmasq anew, whatever it seems to be at. */
  readonly restart: boolean;
  /** Names whose addresses to look up. */
  readonly ask: readonly string[];
}

export interface ResolverOutcome {
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Why dnsmasq was ended: one that is not known to follow the policy must not answer. */
  readonly fault?: string;
}

const NO_ADDRESSES: ResolverOutcome = { addresses: new Map() };
/** A deny takes a second at most, and a container that floods dnsmasq must not win more time by it. */
const CLOSING_MILLISECONDS = 500;

/**
 * Sees to it that the running container's dnsmasq answers no name that a state closes: it follows the new names within
 * half a second, or it is ended, for `applyToResolver` to start anew.
 */
export async function closeNames(shield: LockedShield, change: ResolverChange): Promise<void> {
  if (change.state.tier !== "dnsmasq") return;
  const present = readResolverState(shield.bundle, change.state, change.moment);
  if (present === "dead" || (present === "current" && !change.restart)) return;
  try {
    if (change.restart || present === "outdated") return await endHelpers(shield.bundle, "dnsmasq");
    await writeActiveServers(shield.bundle, change);
    await runStage(shield, "reloadResolver", { ask: [], signal: AbortSignal.timeout(CLOSING_MILLISECONDS) });
  } catch (cause) {
    if (!(cause instanceof ShieldError)) throw cause;
    await endHelpers(shield.bundle, "dnsmasq");
  }
}

/** Brings the dnsmasq of a running container to a state, and waits until it shows that it is there. */
export async function applyToResolver(
  shield: LockedShield,
  change: ResolverChange,
): Promise<ResolverOutcome> {
  const { state, moment, ask } = change;
  if (state.tier !== "dnsmasq") return NO_ADDRESSES;
  const present = readResolverState(shield.bundle, state, moment);
  const restart = change.restart || present === "dead" || present === "outdated";
  if (present === "current" && !restart && ask.length === 0) return NO_ADDRESSES;
  try {
    if (present !== "current") await writeActiveServers(shield.bundle, change);
    const addresses = restart ? undefined : await tryReload(shield, ask);
    return { addresses: addresses ?? (await runStage(shield, "restartResolver", { ask })) };
  } catch (cause) {
    if (!(cause instanceof ShieldError)) throw cause;
    await endHelpers(shield.bundle, "dnsmasq");
    return { ...NO_ADDRESSES, fault: cause.message };
  }
}

async function writeActiveServers(bundle: string, { state, moment }: ResolverChange): Promise<void> {
  const marker = renderMarker(state.revision, randomBytes(12).toString("hex"));
  const servers = renderActiveServers(state, moment, marker);
  await writeFileAtomically(`${bundle}/${BUNDLE_FILE.activeDnsServers}`, servers, 0o600);
}

/** Undefined when dnsmasq does not come to it: one that hangs may still be replaced. */
async function tryReload(
  shield: LockedShield,
  ask: readonly string[],
): Promise<ResolverOutcome["addresses"] | undefined> {
  try {
    return await runStage(shield, "reloadResolver", { ask });
  } catch (cause) {
    if (cause instanceof ShieldError) return undefined;
    throw cause;
  }
}

function runStage(
  { host, bundle, record, lock }: LockedShield,
  stage: ResolverStage,
  request: Pick<ResolverStageRequest, "ask" | "signal">,
): Promise<ResolverOutcome["addresses"]> {
  return runResolverStage(host, record, { bundle, stage, lock, ...request });
}
