import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { readShieldState, type ShieldState } from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { listBundles } from "../host/bundles.ts";
import type { Host } from "../host/host.ts";
import { findRunningContainer, isHelperRunning, runNft } from "../host/running-container.ts";
import { readContainerState } from "./start.ts";

export type ContainerStatus =
  | { readonly kind: "up" | "down" | "down_all" | "block" | "stopped" | "unprotected" }
  | { readonly kind: "error"; readonly reason: string };

export interface StatusReport {
  readonly container: string;
  readonly status: ContainerStatus;
  readonly tier: string;
  readonly profiles: readonly string[];
  readonly trustedMounts: readonly string[];
}

/** The status of one container, judged by what the kernel lists now. */
export async function readStatus(host: Host, name: string): Promise<StatusReport> {
  const container = parseContainerName(name);
  const { request, tier, policy } = await readContainerState(host, container);
  const report = { container, tier, profiles: request.profiles, trustedMounts: request.trustedMounts };
  const bundle = bundleDirectory(host.places, container);
  const running = await findRunningContainer(bundle);
  if (running === undefined) return { ...report, status: { kind: "stopped" } };
  const state = readShieldState(await runNft(host, running, ["-j", "list", "ruleset"]), policy);
  const isResolverDead =
    tier === "dnsmasq" &&
    !(await isHelperRunning(`${bundle}/${BUNDLE_FILE.dnsmasqPid}`, `${bundle}/${BUNDLE_FILE.dnsmasqConf}`));
  if (isResolverDead && state.kind !== "inactive" && state.kind !== "error") {
    return { ...report, status: { kind: "error", reason: "dnsmasq does not run, so no name resolves" } };
  }
  return { ...report, status: describeState(state) };
}

/** The status of every container that has a bundle, by name. */
export async function readAllStatus(host: Host): Promise<StatusReport[]> {
  const reports: StatusReport[] = [];
  for (const container of await listBundles(host.places))
    reports.push(await readStatusOrError(host, container));
  return reports;
}

/** One damaged bundle must not hide the others. */
async function readStatusOrError(host: Host, container: ContainerName): Promise<StatusReport> {
  try {
    return await readStatus(host, container);
  } catch (cause) {
    const status = { kind: "error", reason: (cause as Error).message } as const;
    return { container, status, tier: "unknown", profiles: [], trustedMounts: [] };
  }
}

/** True for what a shielded container may be in: everything else must not pass for protection. */
export function isProtected({ kind }: ContainerStatus): boolean {
  return kind !== "unprotected" && kind !== "error";
}

function describeState(state: ShieldState): ContainerStatus {
  if (state.kind === "inactive") return { kind: "unprotected" };
  if (state.kind === "down") return { kind: state.privateRanges === "open" ? "down_all" : "down" };
  return state.kind === "error" ? state : { kind: state.kind };
}
