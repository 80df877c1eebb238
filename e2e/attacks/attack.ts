import type { AttackLab } from "./attack-lab.ts";

/** One attack: the specification of what comes of its program. */
export interface Attack {
  /** "… sends IP packets written by hand". */
  readonly tries: string;
  /** Beside this file. */
  readonly program: string;
  readonly args?: readonly string[];
  /** What has to be there for it, on the host or on the internet. */
  prepare?(lab: AttackLab): Promise<void>;
  /** The proof that it succeeds where no shield is. */
  readonly control: Partial<Record<"control" | "host", Expected>>;
  /** As an attacker can run it. */
  readonly shielded: Expected;
  /** The same with capabilities that no shielded container gets: its rules hold by themselves. */
  readonly armed?: Expected;
  /** Where only the lack of capabilities keeps it from success: with them it succeeds, which proves the program. */
  readonly succeedsArmed?: Expected;
}

export interface Expected {
  /** What the attacker sees of each step. */
  readonly steps: Readonly<Record<string, string>>;
  /** What leaves the container: nothing, unless said. */
  readonly left?: readonly string[];
  /** The names that reach a name server: none, unless said. */
  readonly asked?: readonly string[];
  /** What the shield's log says; none where no packet comes as far as the rules. */
  readonly refusals?: readonly string[];
}
