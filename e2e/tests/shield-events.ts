import { readEvents } from "../../packages/cli/src/host/event-source.ts";
import type { Lab } from "../src/lab/lab.ts";

/** An event as `terok-shield logs` gives it. */
export interface ShieldEvent {
  readonly ts: string;
  readonly action: string;
  readonly verdict?: string;
  readonly protocol?: string;
  readonly address?: string;
  readonly port?: number;
  readonly icmpType?: number;
  readonly uid?: number;
  readonly name?: string;
  readonly queryType?: string;
  readonly detail?: string;
  readonly leftOut?: Readonly<Record<string, number>>;
}

/** Every event of a container, oldest first. */
export async function eventsOf(lab: Lab, container: string): Promise<ShieldEvent[]> {
  const state = lab.path(`${lab.user.home}/.local/state/terok/shield`);
  return (await readEvents({ places: { state } as never }, container as never, {})) as ShieldEvent[];
}
