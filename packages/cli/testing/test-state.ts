import { type AllowlistEntry, parseProfile } from "@terok-shield/profiles";
import { type ContainerState, newContainerState } from "../src/container-state.ts";
import { canonicaliseRange, type Decision, parseTarget, type Verdict } from "../src/decision.ts";
import { parseDuration } from "../src/duration.ts";
import type { Moment } from "../src/host/moment.ts";
import { startLease } from "../src/lease.ts";
import { networkAddresses, planNetwork } from "../src/rootless-network.ts";
import { settle } from "../src/settle.ts";

/** When tests decide, unless they say otherwise; as of the host of `makeTestHost`. */
export const MOMENT: Moment = {
  date: new Date("2026-12-01T10:15:00.000Z"),
  bootId: "boot-1",
  monotonicSeconds: 1000,
};

/** The run of the container that its temporary allows belong to. */
export const RUN = "5fd1b8:7:100";

export function later(seconds: number): Moment {
  return {
    ...MOMENT,
    date: new Date(MOMENT.date.getTime() + seconds * 1000),
    monotonicSeconds: MOMENT.monotonicSeconds + seconds,
  };
}

export interface TestState {
  readonly tier?: ContainerState["tier"];
  /** Lines of a profile. */
  readonly profile?: readonly string[];
  readonly decisions?: readonly Decision[];
  readonly resolved?: Readonly<Record<string, readonly string[]>>;
  readonly mode?: ContainerState["mode"];
}

/** The settled state of a container "web" behind slirp4netns. */
export function makeState({
  tier = "dnsmasq",
  profile = [],
  decisions = [],
  resolved = {},
  mode = { kind: "up" },
}: TestState = {}): ContainerState {
  const fresh = newContainerState({
    container: "web",
    request: {
      profiles: ["mine"],
      published: [],
      trustedMounts: [],
      network: "slirp4netns",
      loopbackPorts: [],
    },
    tier,
    auditEnabled: true,
    dnsTimeoutSeconds: 1800,
    entries: parseProfile(profile.join("\n"), {
      file: "mine.txt",
      canonicaliseRange,
      allowPublicSuffixWildcards: true,
    }),
    resolved: new Map(Object.entries(resolved)),
    network: networkAddresses(planNetwork("slirp4netns", []), { tier, loopbackPorts: [] }),
  });
  return settle(undefined, { ...fresh, decisions, mode });
}

export function entryOf(text: string): AllowlistEntry {
  return parseTarget(text, { allowPublicSuffixWildcards: true });
}

/** `allow good.test:443`, `deny 198.18.0.0/16 --for 30m`: as an operator says it. */
export function decisionOf(text: string, moment = MOMENT): Decision {
  const [verdict = "", target = "", , duration] = text.split(" ");
  const run = verdict === "allow" ? RUN : undefined;
  return {
    verdict: verdict as Verdict,
    entry: entryOf(target),
    decidedAt: moment.date.toISOString(),
    ...(duration === undefined ? {} : { lease: startLease(parseDuration(duration), moment, run) }),
  };
}
