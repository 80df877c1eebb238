import { expect } from "vitest";
import { type Client, type Outcome, startClient } from "../src/lab/client.ts";
import type { Finished } from "../src/lab/host-user.ts";
import type { Lab } from "../src/lab/lab.ts";

/** A shielded container that sleeps, and a client inside it. */
export interface ShieldedContainer {
  readonly client: Client;
  /** `terok-shield VERB NAME …`, whatever comes of it. */
  shield(verb: string, ...args: readonly string[]): Promise<Finished>;
  /** The same where anything but exit code 0 is a failure; gives standard output. */
  mustShield(verb: string, ...args: readonly string[]): Promise<string>;
  /** What `terok-shield status --json` says of it. */
  status(): Promise<Record<string, unknown>>;
  /** Starts a client in a container that was started anew. */
  reconnect(): Promise<void>;
  /** What the client hears of each target: "open" or "refused", or whatever else it was. */
  see(...targets: readonly string[]): Promise<Record<string, string>>;
  remove(): Promise<void>;
}

export async function startShielded(
  lab: Lab,
  name: string,
  profile: string,
  podmanArguments: readonly string[] = [],
): Promise<ShieldedContainer> {
  const profiles = `${lab.user.home}/.config/terok/shield/profiles`;
  await lab.user.writeFile(`${profiles}/${name}.txt`, profile);
  await lab.user.mustRun("terok-shield", [
    "run",
    name,
    "--profiles",
    name,
    "--",
    "-d",
    ...podmanArguments,
    ...sleeping(lab),
  ]);
  let client = await startClient(lab, name);

  const mustShield = (verb: string, ...rest: readonly string[]) =>
    lab.user.mustRun("terok-shield", [verb, name, ...rest]);
  return {
    get client() {
      return client;
    },
    shield: (verb, ...rest) => lab.shield([verb, name, ...rest]),
    mustShield,
    async status() {
      const { stdout } = await lab.shield(["status", name, "--json"]);
      return (JSON.parse(stdout) as { status: Record<string, unknown> }).status;
    },
    async reconnect() {
      client = await startClient(lab, name);
    },
    async see(...targets) {
      const outcomes = await client.attempt(...targets);
      return Object.fromEntries(targets.map((target, index) => [target, describeOutcome(outcomes[index])]));
    },
    async remove() {
      await lab.user.mustRun("podman", ["rm", "--force", "--time=0", name]);
    },
  };
}

/** The end of `podman run` arguments: a container that does nothing, and ends as soon as it is told to. */
function sleeping(lab: Lab): string[] {
  return [...lab.imageArgs, "sh", "-c", "trap exit TERM; sleep infinity & wait"];
}

/** Every target with the same word. */
export function all(targets: readonly string[], word: "open" | "refused"): Record<string, string> {
  return Object.fromEntries(targets.map((target) => [target, word]));
}

/**
 * Each target is tried once. Exactly those in `open` are answered, the others are refused at once, and on the
 * internet nothing else arrives. All targets are addresses.
 */
export async function expectReach(
  lab: Lab,
  { see }: ShieldedContainer,
  { open = [], refused = [] }: { open?: readonly string[]; refused?: readonly string[] },
): Promise<void> {
  await lab.internet.reset();
  expect(await see(...open, ...refused)).toEqual({ ...all(open, "open"), ...all(refused, "refused") });
  const arrived = (await lab.internet.arrivals())
    .filter(({ port }) => port !== 53)
    .map(({ protocol, address, port }) => `${protocol},${address},${port}`);
  expect([...new Set(arrived)].sort()).toEqual([...new Set(open)].sort());
}

const REFUSALS: readonly Outcome[] = ["EHOSTUNREACH", "ECONNREFUSED", "EPERM", "EACCES"];

function describeOutcome(outcome: Outcome = "nothing"): string {
  if (outcome === "answered") return "open";
  return REFUSALS.includes(outcome) ? "refused" : outcome;
}
