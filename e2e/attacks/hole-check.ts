import type { Kernel } from "../tests/kernel.ts";
import type { Attack } from "./attack.ts";
import type { AttackLab } from "./attack-lab.ts";

/** What a check for holes has to work with. */
export interface Check {
  readonly attackLab: AttackLab;
  readonly kernel: Kernel;
  readonly attacks: readonly Attack[];
}

/** A connection counts once, and is logged once, however much it carries. */
export async function findMiscounted(
  { attackLab: { target }, kernel }: Check,
  flowTo: string,
  counters: readonly string[],
): Promise<string | undefined> {
  const before = await countersOf(kernel);
  // An echo where the server only echoes.
  const flow = await target.client.open(flowTo.endsWith(",9000") ? "echo" : "stream", flowTo);
  await flow.goesOn();
  await flow.close();
  const after = await countersOf(kernel);
  for (const counter of counters) {
    const more = (after.get(counter) ?? 0) - (before.get(counter) ?? 0);
    if (more !== 1) return `a connection to ${flowTo} counts as ${more > 1 ? "many" : "none"} in ${counter}`;
  }
  return undefined;
}

/** Packets of each counter. */
export async function countersOf(kernel: Kernel): Promise<Map<string, number>> {
  const { nftables } = JSON.parse(await kernel.nft("-j", "list", "counters")) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
}

/** An attacker does not make his connection to what an entry opens into one that DNS opened: it ends with the entry. */
export async function findBorrowed(
  { attackLab, kernel }: Check,
  name: string,
  [address, port]: readonly [address: string, port: string],
): Promise<string | undefined> {
  await attackLab.target.client.resolve(name);
  const element = ["element", "inet", "terok_shield", "allow_v6", "{ 2001:2::cccc }"];
  await kernel.nft("add", ...element);
  const before = await attackLab.attack("shielded", "borrowed-mark.py", [address, port, "before"]);
  await kernel.nft("delete", ...element);
  const after = await attackLab.attack("shielded", "borrowed-mark.py", [address, port]);
  const closed = Object.entries(before.steps).find(([, outcome]) => outcome !== "sent");
  if (closed !== undefined) return `control: \`borrowed-mark\`: ${closed[0]} gives ${closed[1]}`;
  return after.steps["the way"] === "EPERM" ? undefined : `\`borrowed-mark\`: the way stays open`;
}
