import { attributeAnswers } from "@terok-shield/dns-tier";
import {
  type AllowlistEntry,
  BUNDLED_PROFILES,
  composeProfiles,
  type ProfileEntry,
  ProfileError,
  ProfileNameError,
  parseProfile,
  parseProfileName,
  renderEntry,
} from "@terok-shield/profiles";
import { bundleDirectory } from "../bundle-directory.ts";
import { composePolicy } from "../compose-policy.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { canonicaliseRange } from "../decision.ts";
import { describeConflict, findEntryFault, findFaults } from "../entry-faults.ts";
import { readEvents } from "../host/event-source.ts";
import type { Host } from "../host/host.ts";
import type { Moment } from "../host/moment.ts";
import { findProfile, readProfile, updateUserProfile } from "../host/profile-files.ts";
import { readResolverLog } from "../host/resolver-log.ts";
import { type PresentPolicy, type Proposal, proposeProfile } from "../learn.ts";
import { appendLearned } from "../learn-profile.ts";
import { parsePointInTime } from "../point-in-time.ts";
import { settle } from "../settle.ts";
import { ShieldError } from "../shield-error.ts";
import { applyChange } from "./apply-change.ts";
import { readConfig } from "./prepare.ts";
import { readContainerState } from "./read-state.ts";
import { resolveEntries } from "./resolve-entries.ts";

export interface LearnRequest {
  readonly container: string;
  /** The container's last profile of the user's own when absent; where there is none, one of the container's name. */
  readonly profile?: string;
  /** All that the logs have when absent. */
  readonly since?: string;
  /** Adds the proposal to the profile, and the profile to the container. */
  readonly write?: boolean;
  /** Also where the profile replaces a bundled one, or has lines that are not in force for the container. */
  readonly yes?: boolean;
}

export interface Learned {
  readonly container: ContainerName;
  readonly profile: string;
  /** The container's profiles. */
  readonly present: readonly string[];
  readonly proposal: Proposal;
  readonly written?: {
    readonly file: string;
    readonly isRunning: boolean;
    readonly mode: ContainerState["mode"]["kind"];
  };
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Proposes a profile from what a container was refused, or had in bypass; with `write` puts it into the user's profiles and
 * in force for the container, where it runs at once.
 * @throws ShieldError when the container is unknown, nothing was recorded, or the profile cannot be written or applied.
 */
export async function learn(host: Host, request: LearnRequest): Promise<Learned> {
  const container = parseContainerName(request.container);
  const since = request.since === undefined ? {} : { since: parsePointInTime(request.since, host.now()) };
  const state = readContainerState(host, container);
  if (!state.auditEnabled) {
    throw new ShieldError(
      `Nothing is recorded of ${container}: config.yml had audit.enabled: false. Switch it on and run terok-shield restart ${container}`,
    );
  }
  const profile = await chooseProfile(host, state, request.profile);
  const events = await readEvents(host, container, {
    ...since,
    isWanted: ({ action }) => action === "packet" || action === "name" || action === "sampled",
  });
  const bundle = bundleDirectory(host.places, container);
  const answers = attributeAnswers(state.tier === "dnsmasq" ? readResolverLog(bundle) : "");
  const proposal = proposeProfile(events, { ...presentPolicy(state, host.moment()), answers });
  const learned = { container, profile, present: state.request.profiles, proposal, notes: [] };
  if (request.write !== true || proposal.added.length === 0) return learned;
  const { file, entries } = await writeProfile(host, learned, request.yes === true);
  const { isRunning, mode, notes } = await putInForce(host, container, { profile, file, entries });
  return { ...learned, written: { file, isRunning, mode }, notes };
}

async function chooseProfile(
  { places }: Host,
  { container, request }: ContainerState,
  asked: string | undefined,
): Promise<string> {
  if (asked !== undefined) return parseProfileName(asked);
  for (const name of [...request.profiles].reverse()) {
    if ((await findProfile(places, name))?.origin === "user") return name;
  }
  try {
    return parseProfileName(container.toLowerCase());
  } catch (cause) {
    if (!(cause instanceof ProfileNameError)) throw cause;
    throw new ShieldError(
      `No profile can have the name of ${container}. Name one: terok-shield learn ${container} --profile NAME`,
      { code: "usage" },
    );
  }
}

function presentPolicy(state: ContainerState, moment: Moment): Omit<PresentPolicy, "answers"> {
  const permanent = state.decisions.filter(({ lease }) => lease === undefined);
  const decided = (verdict: string) =>
    permanent.filter((decision) => decision.verdict === verdict).map(({ entry }) => entry);
  return {
    inForce: [...state.entries, ...decided("allow")],
    denied: decided("deny"),
    hasWildcards: state.tier === "dnsmasq",
    findFault: (entry) => findEntryFault(entry, state),
    findConflict: (entries) => {
      const source = { file: "learned", line: 1 };
      const added = entries.map((entry): ProfileEntry => ({ ...entry, source }));
      return findConflict(withEntries(state, added), moment);
    },
  };
}

function findConflict(state: ContainerState, moment: Moment): string | undefined {
  const [conflict] = composePolicy(settle(undefined, state), moment).conflicts;
  return conflict === undefined ? undefined : describeConflict(conflict);
}

function withEntries(state: ContainerState, added: readonly ProfileEntry[]): ContainerState {
  const entries = composeProfiles([
    { name: "before", entries: state.entries },
    { name: "learned", entries: added },
  ]);
  return { ...state, entries };
}

/** @returns where it is, and the entries that were proposed as they stand there. */
async function writeProfile(
  host: Host,
  { container, profile, present, proposal }: Learned,
  isTold: boolean,
): Promise<{ readonly file: string; readonly entries: readonly ProfileEntry[] }> {
  const { allow_public_suffix_wildcards: allowPublicSuffixWildcards } = await readConfig(host);
  const parse = (text: string, file: string) => {
    try {
      return parseProfile(text, { file, canonicaliseRange, allowPublicSuffixWildcards });
    } catch (cause) {
      if (!(cause instanceof ProfileError)) throw cause;
      throw new ShieldError(cause.message, { code: "usage", cause });
    }
  };
  const bundled = await bundledText(host, profile);
  let found: ProfileEntry[] = [];
  const file = await updateUserProfile(host.places, profile, (own, path) => {
    if (own === undefined && bundled !== undefined && !isTold) {
      throw new ShieldError(
        `The profile ${profile} is bundled, and one of your own would replace it. Choose another with --profile, or say --yes.`,
        { code: "usage" },
      );
    }
    const text = own ?? bundled ?? "";
    const isForeign = !present.includes(profile) && parse(text, path).length > 0;
    if (isForeign && !isTold) {
      throw new ShieldError(
        `${container} does not have the profile ${profile}, and all that is in it would open at its next start. Choose another with --profile, or say --yes.`,
        { code: "usage" },
      );
    }
    const known = new Set(parse(text, path).map(renderEntry));
    const added = proposal.added.filter(({ entry }) => !known.has(renderEntry(entry)));
    const updated =
      added.length === 0 ? text : appendLearned(text, { ...proposal, added }, { container, at: host.now() });
    found = parse(updated, path);
    return updated;
  });
  const wanted = new Set(proposal.added.map(({ entry }) => renderEntry(entry)));
  return { file, entries: found.filter((entry) => wanted.has(renderEntry(entry))) };
}

async function bundledText({ places }: Host, profile: string): Promise<string | undefined> {
  if (!(BUNDLED_PROFILES as readonly string[]).includes(profile)) return undefined;
  return (await readProfile({ ...places, config: places.bundledProfiles }, profile)).text;
}

interface LearnedProfile {
  readonly profile: string;
  readonly file: string;
  readonly entries: readonly ProfileEntry[];
}

async function putInForce(
  host: Host,
  container: ContainerName,
  learned: LearnedProfile,
): Promise<{
  readonly isRunning: boolean;
  readonly mode: ContainerState["mode"]["kind"];
  readonly notes: readonly string[];
}> {
  try {
    return await applyEntries(host, container, learned);
  } catch (cause) {
    if (!(cause instanceof ShieldError)) throw cause;
    throw new ShieldError(`${learned.file} is written, but ${container} does not have it: ${cause.message}`, {
      code: cause.code,
      cause: cause.cause,
    });
  }
}

async function applyEntries(host: Host, container: ContainerName, { profile, entries }: LearnedProfile) {
  const { tier } = readContainerState(host, container);
  const names = entries.flatMap((entry) => (entry.kind === "name" ? [entry.name] : []));
  const resolution = await resolveEntries(host, names, { tier, renew: false });
  const applied = await applyChange(host, container, {
    decide: (present, { moment }) => {
      const { request } = present;
      const profiles = request.profiles.includes(profile) ? request.profiles : [...request.profiles, profile];
      const state: ContainerState = {
        ...withEntries(present, entries),
        request: { ...request, profiles },
        resolved: new Map([...present.resolved, ...resolution.resolved]),
      };
      const conflict = findConflict(state, moment);
      const faults = [...findFaults(entries, state), ...(conflict === undefined ? [] : [conflict])];
      if (faults.length > 0) throw new ShieldError(faults.join("\n"), { code: "usage" });
      return {
        state,
        result: undefined,
        narrows: false,
        audit: () => entries.map((entry) => describeAllowed(entry, profile)),
      };
    },
  });
  return {
    isRunning: applied.isRunning,
    mode: applied.state.mode.kind,
    notes: [
      ...resolution.unresolved.map(({ name, reason }) => `${name} does not resolve now: ${reason}`),
      ...applied.notes,
    ],
  };
}

function describeAllowed(entry: AllowlistEntry, profile: string) {
  const target = renderEntry(entry);
  return { action: "allowed", detail: `allow ${target} (learned, profile ${profile})`, target } as const;
}
