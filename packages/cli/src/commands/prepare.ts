import { chooseTier, type DnsTier, type TierChoice } from "@terok-shield/dns-tier";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { parseIpRange, renderIpRange } from "@terok-shield/nft-ruleset";
import {
  composeProfiles,
  type ProfileEntry,
  ProfileError,
  parseProfile,
  parseProfileName,
} from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import { planBundle } from "../bundle-plan.ts";
import { type Config, parseConfig } from "../config.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { type ContainerState, renderContainerState } from "../container-state.ts";
import { type EgressPlan, planEgress, withResolved } from "../egress-plan.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import { ensurePrivateDirectory, readTextFile, withLock, writeFileAtomically } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { readProfile } from "../host/profile-files.ts";
import { findProtectedPaths } from "../host/protected-paths.ts";
import { findRunningContainer } from "../host/running-container.ts";
import { renderPodmanOptions } from "../podman-options.ts";
import { type NetworkKind, planNetwork } from "../rootless-network.ts";
import { ShieldError } from "../shield-error.ts";
import { resolveEntries } from "./resolve-entries.ts";

export interface PrepareRequest {
  readonly container: string;
  /** Those of `config.yml` when absent. */
  readonly profiles?: readonly string[];
  readonly published?: ContainerState["request"]["published"];
  readonly trustedMounts?: readonly string[];
  /** Ask for names again although the answers kept are fresh. */
  readonly renewNames?: boolean;
  /** The caller brings the new policy into force in the kernel. */
  readonly whileRunning?: boolean;
  /** Of a container that exists: what cannot change any more, the tier only while it runs. */
  readonly fixed?: Pick<ContainerState["request"], "network" | "loopbackPorts"> & { readonly tier?: DnsTier };
}

export interface Prepared {
  readonly container: ContainerName;
  readonly podmanOptions: readonly string[];
  readonly tier: DnsTier;
  readonly profiles: readonly string[];
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
  /** What the owner should know; also in the audit log. */
  readonly notes: readonly string[];
}

/**
 * Writes a container's bundle and says with which options podman has to create it.
 * @throws ShieldError before anything is written when profiles, configuration or the machine do not do.
 */
export async function prepare(host: Host, request: PrepareRequest): Promise<Prepared> {
  const container = parseContainerName(request.container);
  const config = await readConfig(host);
  const profiles = (request.profiles ?? config.default_profiles).map(parseProfileName);
  const entries = await readEntries(host, profiles, config);
  // The state directory holds what is known of the machine, so it comes first.
  await ensureStateDirectory(host);
  const facts = await host.facts();
  const { tier, reason }: TierChoice =
    request.fixed?.tier === undefined ? chooseContainerTier(config, facts) : { tier: request.fixed.tier };
  const network = planNetwork(
    request.fixed?.network ?? chooseNetwork(config, facts),
    request.fixed?.loopbackPorts ?? config.loopback_ports,
  );
  const loopbackPorts = request.fixed?.loopbackPorts ?? config.loopback_ports;
  const published = request.published ?? [];
  const plan = planEgress({
    entries,
    tier,
    network,
    published,
    loopbackPorts,
    dnsTimeoutSeconds: config.dns.timeout_seconds,
  });
  const resolution = await resolveEntries(host, plan.names.exact, {
    tier,
    renew: request.renewNames ?? false,
  });
  const egress: EgressPlan = tier === "dnsmasq" ? plan : withResolved(plan, resolution.resolved);
  const notes = [
    ...(reason === undefined
      ? []
      : [`the ${tier} tier is in use, so names follow no change until the next start: ${reason}`]),
    ...egress.notes,
    ...resolution.unresolved.map(({ name, reason: why }) => `${name} does not resolve: ${why}`),
    ...(request.trustedMounts ?? []).map((mount) => `the mount of ${mount} is trusted by the owner`),
  ];
  const directory = await ensurePrivateDirectory(bundleDirectory(host.places, container));
  await ensurePrivateDirectory(`${directory}/${BUNDLE_FILE.hooks}`);
  const protectedPaths = await findProtectedPaths(host.places);
  const state: ContainerState = {
    container,
    request: {
      profiles,
      published,
      trustedMounts: [...(request.trustedMounts ?? [])],
      network: network.kind,
      loopbackPorts: [...loopbackPorts],
    },
    tier,
    policy: egress.policy,
    names: { exact: [...egress.names.exact], wildcards: [...egress.names.wildcards] },
  };
  const files = planBundle({
    container,
    directory,
    egress,
    resolved: resolution.resolved,
    tier,
    upstream: network.upstream,
    dnsTimeoutSeconds: config.dns.timeout_seconds,
    facts,
    hookEntrypoint: host.places.hookEntrypoint,
    auditEnabled: config.audit.enabled,
    protectedPaths,
    trustedMounts: state.request.trustedMounts,
  });
  await withLock(directory, async () => {
    if (request.whileRunning !== true) await refuseWhileRunning(container, directory);
    await writeFileAtomically(`${directory}/${BUNDLE_FILE.state}`, renderContainerState(state), 0o600);
    for (const file of files) await writeFileAtomically(file.path, file.content, file.mode);
  });
  if (config.audit.enabled) {
    const ts = host.now().toISOString();
    await appendAuditEvents(
      directory,
      notes.map((detail) => ({ v: 1, ts, container, action: "note", detail })),
    );
  }
  return {
    container,
    podmanOptions: renderPodmanOptions({
      container,
      stateDirectory: directory,
      hooksDirectories: [...facts.otherHooksDirectories, `${directory}/${BUNDLE_FILE.hooks}`],
      resolvConf: `${directory}/${BUNDLE_FILE.resolvConf}`,
      network,
      profiles,
      loopbackPorts,
      auditEnabled: config.audit.enabled,
      tier,
      podmanMajor: facts.podmanMajor,
      resolved: resolution.resolved,
    }),
    tier,
    profiles,
    resolved: resolution.resolved,
    unresolved: resolution.unresolved,
    notes,
  };
}

/** `config.yml`, or the defaults when there is none. */
export async function readConfig(host: Host): Promise<Config> {
  const file = `${host.places.config}/config.yml`;
  return parseConfig((await readTextFile(file)) ?? "", file);
}

/**
 * The composed entries of some profiles.
 * @throws ShieldError (usage) with every bad line's file, number and reason.
 */
export async function readEntries(
  host: Host,
  profiles: readonly string[],
  config: Config,
): Promise<ProfileEntry[]> {
  const complaints: string[] = [];
  const parsed: { name: string; entries: ProfileEntry[] }[] = [];
  for (const name of profiles) {
    const { file, text } = await readProfile(host.places, name);
    try {
      parsed.push({
        name,
        entries: parseProfile(text, {
          file,
          canonicaliseRange,
          allowPublicSuffixWildcards: config.allow_public_suffix_wildcards,
        }),
      });
    } catch (cause) {
      if (!(cause instanceof ProfileError)) throw cause;
      complaints.push(cause.message);
    }
  }
  if (complaints.length > 0) throw new ShieldError(complaints.join("\n"), { code: "usage" });
  return composeProfiles(parsed);
}

function canonicaliseRange(text: string): string {
  return renderIpRange(parseIpRange(text));
}

async function ensureStateDirectory(host: Host): Promise<void> {
  await ensurePrivateDirectory(host.places.state);
  await ensurePrivateDirectory(`${host.places.state}/containers`);
}

function chooseContainerTier(config: Config, { programs }: HostFacts): TierChoice {
  const available = {
    ...(programs.dnsmasq === undefined ? {} : { dnsmasq: programs.dnsmasq.facts }),
    dig: programs.dig !== undefined,
    getent: programs.getent !== undefined,
  };
  const best = chooseTier(available);
  const wanted = config.dns.tier;
  if (wanted === "auto" || wanted === best.tier) return best;
  const fault =
    wanted === "dnsmasq" ? best.reason : available[wanted] ? undefined : `${wanted} is not installed.`;
  if (fault !== undefined) throw new ShieldError(`config.yml, dns.tier: ${wanted} cannot be used. ${fault}`);
  return { tier: wanted, reason: "config.yml says so" };
}

/** Podman 5 made pasta its default; before, its support is not complete. */
function chooseNetwork(config: Config, { programs, podmanMajor }: HostFacts): NetworkKind {
  const preferred: NetworkKind[] =
    config.network !== "auto"
      ? [config.network]
      : podmanMajor >= 5
        ? ["pasta", "slirp4netns"]
        : ["slirp4netns"];
  const found = preferred.find((kind) => programs[kind] !== undefined);
  if (found !== undefined) return found;
  const missing = preferred.join(" or ");
  throw new ShieldError(
    `${missing} is not installed. On Debian: sudo apt-get install ${missing === "pasta" ? "passt" : "slirp4netns"}`,
  );
}

async function refuseWhileRunning(container: ContainerName, directory: string): Promise<void> {
  if ((await findRunningContainer(directory)) !== undefined) {
    throw new ShieldError(`The container ${container} runs. Stop it first, or choose another name.`);
  }
}
