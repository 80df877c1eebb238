import { chooseTier, type DnsTier, type TierChoice } from "@terok-shield/dns-tier";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import {
  composeProfiles,
  type ProfileEntry,
  ProfileError,
  parseProfile,
  parseProfileName,
  renderEntry,
} from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import { planBundle } from "../bundle-plan.ts";
import { composePolicy, openExactNames } from "../compose-policy.ts";
import { type Config, parseConfig } from "../config.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { type ContainerState, type NewContainer, newContainerState } from "../container-state.ts";
import { canonicaliseRange, type Decision } from "../decision.ts";
import { describeConflict, describeEntries, findEntryFault, findFaults } from "../entry-faults.ts";
import { forNextStart } from "../expiry.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import { withBundleLock } from "../host/bundle-lock.ts";
import { findContainerRun } from "../host/container-run.ts";
import { ensurePrivateDirectory, readTextFile } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import type { HostFacts } from "../host/host-facts.ts";
import type { Moment } from "../host/moment.ts";
import { readProfile } from "../host/profile-files.ts";
import { findProtectedPaths } from "../host/protected-paths.ts";
import { writeChangedFiles } from "../host/write-bundle.ts";
import { renderPodmanOptions } from "../podman-options.ts";
import { type NetworkKind, networkAddresses, planNetwork } from "../rootless-network.ts";
import { settle } from "../settle.ts";
import { ShieldError } from "../shield-error.ts";
import { readEarlierState } from "./read-state.ts";
import { resolveEntries } from "./resolve-entries.ts";

export interface PrepareRequest {
  readonly container: string;
  /** Those of `config.yml` when absent. */
  readonly profiles?: readonly string[];
  readonly published?: ContainerState["request"]["published"];
  readonly trustedMounts?: readonly string[];
  /** Of a container that exists: what cannot change any more. */
  readonly fixed?: Pick<ContainerState["request"], "network" | "loopbackPorts">;
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
 * Writes a container's bundle and says with which options podman has to create it. What was decided about the container
 * before stays: what is allowed and denied for good, denies that still last, and block.
 * @throws ShieldError before anything is written when profiles, configuration, the machine or an earlier state do not do.
 */
export async function prepare(host: Host, request: PrepareRequest): Promise<Prepared> {
  const container = parseContainerName(request.container);
  const config = readConfig(host);
  const profiles = (request.profiles ?? config.default_profiles).map(parseProfileName);
  const entries = await readEntries(host, profiles, config);
  // The state directory holds what is known of the machine, so it comes first.
  ensureStateDirectory(host);
  const facts = await host.facts();
  const { tier, reason } = chooseContainerTier(config, facts);
  const loopbackPorts = request.fixed?.loopbackPorts ?? config.loopback_ports;
  const network = planNetwork(request.fixed?.network ?? chooseNetwork(config, facts), loopbackPorts);
  const asked: NewContainer = {
    container,
    request: {
      profiles,
      published: request.published ?? [],
      trustedMounts: request.trustedMounts ?? [],
      network: network.kind,
      loopbackPorts,
    },
    tier,
    auditEnabled: config.audit.enabled,
    dnsTimeoutSeconds: config.dns.timeout_seconds,
    entries,
    resolved: new Map(),
    network: networkAddresses(network, { tier, loopbackPorts }),
  };
  const expected = planState(asked, readEarlierState(host, container), host.moment());
  const resolution = await resolveEntries(host, openExactNames(expected), { tier, renew: false });
  const directory = ensurePrivateDirectory(bundleDirectory(host.places, container));
  ensurePrivateDirectory(`${directory}/${BUNDLE_FILE.hooks}`);
  const protectedPaths = findProtectedPaths(host.places);
  const state = await withBundleLock(directory, async () => {
    if (findContainerRun(directory, container).kind !== "stopped") {
      throw new ShieldError(`The container ${container} runs. Stop it first, or choose another name.`);
    }
    // Somebody may have decided something while names were looked up.
    const moment = host.moment();
    const earlier = readEarlierState(host, container);
    const planned = planState({ ...asked, resolved: earlier?.resolved ?? new Map() }, earlier, moment);
    const state = withAnswers(planned, openExactNames(expected), resolution.resolved);
    const { hookEntrypoint } = host.places;
    await writeChangedFiles(planBundle({ state, moment, directory, facts, hookEntrypoint, protectedPaths }));
    return state;
  });
  const notes = [
    ...(reason === undefined
      ? []
      : [`the ${tier} tier is in use, so names follow no change until the next start: ${reason}`]),
    ...describeEntries(entries),
    ...composePolicy(state, host.moment()).notes,
    ...resolution.unresolved.map(({ name, reason: why }) => `${name} does not resolve: ${why}`),
    ...state.request.trustedMounts.map((mount) => `the mount of ${mount} is trusted by the owner`),
    ...describeKept(state),
  ];
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
      hooksDirectories: [...(await facts.otherHooksDirectories()), `${directory}/${BUNDLE_FILE.hooks}`],
      resolvConf: `${directory}/${BUNDLE_FILE.resolvConf}`,
      network,
      profiles,
      loopbackPorts,
      auditEnabled: config.audit.enabled,
      tier,
      podmanMajor: facts.podmanMajor,
      hasHostsFileOption: facts.hasHostsFileOption,
      hostsFile: tier === "dnsmasq" ? undefined : `${directory}/${BUNDLE_FILE.hosts}`,
      resolved: state.resolved,
    }),
    tier,
    profiles,
    resolved: state.resolved,
    unresolved: resolution.unresolved,
    notes,
  };
}

/**
 * The state of the next start: what is asked for now, and what was decided before.
 * @throws ShieldError (usage) naming every entry and decision that cannot be enforced: never widened, never dropped.
 */
function planState(asked: NewContainer, earlier: ContainerState | undefined, moment: Moment): ContainerState {
  const known = forNextStart(earlier ?? newContainerState(asked), moment);
  const state = settle(earlier, { ...known, ...asked });
  const faults = [
    ...findFaults(state.entries, state),
    ...state.decisions.flatMap((decision) => {
      const fault = decision.verdict === "allow" ? findEntryFault(decision.entry, state) : undefined;
      return fault === undefined ? [] : [`${renderDecision(decision)} (decided earlier): ${fault}`];
    }),
    ...composePolicy(state, moment).conflicts.map(describeConflict),
  ];
  if (faults.length > 0) throw new ShieldError(faults.join("\n"), { code: "usage" });
  return state;
}

/**
 * The state with the answers for the names that are open: new ones for those that were asked, and for those that somebody
 * allowed meanwhile the ones that he got.
 */
export function withAnswers(
  state: ContainerState,
  asked: readonly string[],
  answers: ContainerState["resolved"],
): ContainerState {
  const isAsked = new Set(asked);
  const resolved = openExactNames(state).flatMap((name) => {
    const addresses = (isAsked.has(name) ? answers : state.resolved).get(name);
    return addresses === undefined ? [] : [[name, addresses] as const];
  });
  return { ...state, resolved: new Map(resolved) };
}

const MOST_NAMED = 5;

/** Who makes a container anew may not know what was decided about the old one of its name. */
function describeKept({ container, decisions, mode }: ContainerState): string[] {
  const named = decisions.slice(-MOST_NAMED).map(renderDecision).join(", ");
  const more = decisions.length > MOST_NAMED ? `, and ${decisions.length - MOST_NAMED} more` : "";
  return [
    ...(mode.kind === "block" ? [`the container stays cut off until terok-shield up ${container}`] : []),
    ...(decisions.length > 0 ? [`decided earlier, and still in force: ${named}${more}`] : []),
  ];
}

function renderDecision({ verdict, entry }: Decision): string {
  return `${verdict} ${renderEntry(entry)}`;
}

/** `config.yml`, or the defaults when there is none. */
export function readConfig(host: Host): Config {
  const file = `${host.places.config}/config.yml`;
  return parseConfig(readTextFile(file) ?? "", file);
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

function ensureStateDirectory(host: Host): void {
  ensurePrivateDirectory(host.places.state);
  ensurePrivateDirectory(`${host.places.state}/containers`);
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
