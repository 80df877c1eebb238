// Types alone: the kinds stand in the help, which every command makes, and the schemas take their time to load.
import type { PacketVerdict, ShieldEvent } from "@terok-shield/audit";
import { ShieldError } from "./shield-error.ts";

type IsWanted = (event: ShieldEvent) => boolean;

const REFUSALS: readonly string[] = ["blocked", "denied", "private", "refused"];

const isPacket =
  (verdict: PacketVerdict): IsWanted =>
  (event) =>
    event.action === "packet" && event.verdict === verdict;

const KINDS = {
  blocked: isPacket("blocked"),
  denied: isPacket("denied"),
  private: isPacket("private"),
  allowed: isPacket("allowed"),
  bypass: isPacket("bypass"),
  /** Packets and names. */
  refused: (event) => "verdict" in event && REFUSALS.includes(event.verdict),
  names: ({ action }) => action === "name",
  lifecycle: ({ action }) => action !== "packet" && action !== "name" && action !== "sampled",
} satisfies Record<string, IsWanted> & Record<PacketVerdict, IsWanted>;

/** What `--only` can name. */
export const EVENT_KINDS: readonly string[] = Object.keys(KINDS);

/**
 * Tells events of the kinds named from others; that more was tried than is listed belongs to every kind but `lifecycle`.
 * @param kinds of `EVENT_KINDS`, one or several in each, with commas between; all when absent
 * @throws ShieldError (usage) when one is none of them.
 */
export function parseEventFilter(kinds: readonly string[] | undefined): IsWanted {
  if (kinds === undefined) return () => true;
  const named = kinds.flatMap((text) => text.split(","));
  const wanted = named.map((kind): IsWanted => {
    if (Object.hasOwn(KINDS, kind)) return KINDS[kind as keyof typeof KINDS];
    throw new ShieldError(
      `There are no events of the kind ${JSON.stringify(kind.slice(0, 40))}. There are ${EVENT_KINDS.join(", ")}.`,
      { code: "usage" },
    );
  });
  const isOfAttempts = named.some((kind) => kind !== "lifecycle");
  return (event) => (event.action === "sampled" ? isOfAttempts : wanted.some((isWanted) => isWanted(event)));
}
