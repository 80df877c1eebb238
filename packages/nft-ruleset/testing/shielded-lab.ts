import { expect } from "vitest";
import type { EgressPolicy, PolicyInMode, ShieldMode } from "../src/egress-policy.ts";
import type { IpRange } from "../src/ip-range.ts";
import { type LiveSets, readLiveSets } from "../src/live-sets.ts";
import { renderPolicyChange } from "../src/policy-change.ts";
import { renderRuleset } from "../src/render-ruleset.ts";
import { type LabAnswer, startPacketLab } from "./packet-lab.ts";
import { UP } from "./sample-policies.ts";

type Actor = "workload" | "resolver" | "internet";

export type Counted = Partial<
  Record<"allowed" | "bypassed" | "refused_blocked" | "refused_denied" | "refused_private", number>
>;

export type ShieldedLab = Awaited<ReturnType<typeof startShieldedLab>>;

/**
 * The packet lab with a policy in its kernel.
 * @param addresses those at which the internet of the lab answers
 */
export async function startShieldedLab(addresses: readonly string[]) {
  const lab = await startPacketLab(addresses);
  let sockets = 0;
  let current: PolicyInMode | undefined;

  const nft = (text: string) => lab.run("nft", ["-f", "-"], `${text}\n`);
  const listing = () => lab.run("nft", ["-j", "list", "ruleset"]);

  /** A fresh table, with no counts; `learned` by the name of the set. */
  async function load(
    policy: EgressPolicy,
    mode: ShieldMode = UP,
    learned: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<void> {
    const elements = Object.entries(learned).map(
      ([set, list]) => `add element inet terok_shield ${set} { ${list.join(", ")} }`,
    );
    await nft([renderRuleset(policy, mode), ...elements].join("\n"));
    current = { policy, mode };
    await arrivals();
  }

  /** From what is loaded to the next revision, in which only this is different. */
  async function change(
    next: { readonly policy?: Partial<EgressPolicy>; readonly mode?: ShieldMode },
    forget?: ReadonlyMap<string, readonly IpRange[]>,
  ): Promise<void> {
    if (current === undefined) throw new Error("there is nothing to change yet");
    const { policy, mode } = current;
    const after = {
      policy: { ...policy, ...next.policy, revision: policy.revision + 1 },
      mode: next.mode ?? mode,
    };
    for (const text of renderPolicyChange(
      current,
      after,
      await live(),
      forget === undefined ? {} : { forget },
    )) {
      await nft(text);
    }
    current = after;
  }

  async function live(): Promise<LiveSets> {
    return readLiveSets(await listing());
  }

  function attempt(type: string, address: string, options: object = {}): Promise<LabAnswer> {
    return lab.ask("workload", "attempt", { family: familyOf(address), type, to: [address, 80], ...options });
  }

  async function open(who: Actor, options: object): Promise<string> {
    const id = `socket-${++sockets}`;
    expect(await lab.ask(who, "open", { id, ...options })).toEqual({ value: null });
    return id;
  }

  function send(who: Actor, id: string, to: readonly (string | number)[]): Promise<LabAnswer> {
    return lab.ask(who, "send", { id, text: "x", to });
  }

  async function connected(address: string, port = 80): Promise<string> {
    const id = await open("workload", { family: familyOf(address), type: "udp" });
    expect(await lab.ask("workload", "connect", { id, to: [address, port] })).toEqual({ value: null });
    return id;
  }

  /** A connection, or its like in UDP, that has heard its peer. */
  async function flow(type: "tcp" | "udp", address: string, port = 80): Promise<string> {
    const id = await open("workload", { family: familyOf(address), type });
    expect(await lab.ask("workload", "connect", { id, to: [address, port] })).toEqual({ value: null });
    expect(await echo(id)).toEqual({ value: "x" });
    return id;
  }

  /** Sends and hears the answer. A late acknowledgement may have met a reset already: then sending says so. */
  async function echo(id: string): Promise<LabAnswer> {
    const sent = await lab.ask("workload", "send", { id, text: "x" });
    return sent.error === undefined ? lab.ask("workload", "receive", { id }) : sent;
  }

  /** What came out on the other side since the last look, but for neighbour discovery and group reports. */
  async function arrivals(): Promise<string[]> {
    const { value } = await lab.ask("internet", "arrivals");
    return (value as string[]).filter((packet) => !/^icmpv6 type (13[3-7]|143) /.test(packet));
  }

  /** The counters of verdicts that are not zero, and zero from here on. */
  async function counters(): Promise<Counted> {
    const text = await lab.run("nft", ["-j", "reset", "counters", "table", "inet", "terok_shield"]);
    const { nftables } = JSON.parse(text) as { nftables: { counter?: { name: string; packets: number } }[] };
    return Object.fromEntries(
      nftables.flatMap(({ counter }) =>
        counter !== undefined && counter.packets > 0 && !counter.name.startsWith("logged_")
          ? [[counter.name, counter.packets]]
          : [],
      ),
    );
  }

  /** Asks until nothing is listed in the set, as when its elements have ended. */
  function untilEmpty(set: string): Promise<void> {
    return untilUnlisted(set, '"elem"');
  }

  async function untilUnlisted(set: string, text: string): Promise<void> {
    const giveUp = Date.now() + 10_000;
    while (Date.now() < giveUp) {
      const listed = await lab.run("nft", ["-j", "list", "set", "inet", "terok_shield", set]);
      if (!listed.includes(text)) return;
    }
    throw new Error(`${text} stays in set ${set}`);
  }

  async function reset(): Promise<void> {
    for (const who of ["workload", "resolver", "internet"] as const) await lab.ask(who, "close_all");
    await arrivals();
  }

  return {
    ...{ ask: lab.ask, run: lab.run, stop: lab.stop },
    ...{ nft, listing, load, change, live, attempt, open, send, connected, flow, echo, arrivals, counters },
    ...{ untilEmpty, untilUnlisted, reset },
  };
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
