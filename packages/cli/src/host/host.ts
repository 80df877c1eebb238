import { findHostFacts, type HostFacts } from "./host-facts.ts";
import { type Moment, readMoment } from "./moment.ts";
import { findPlaces, type Places } from "./places.ts";
import { type RunCommand, runCommand } from "./run-command.ts";

/** Everything outside of this process that commands use. */
export interface Host {
  readonly places: Places;
  readonly runCommand: RunCommand;
  readonly now: () => Date;
  readonly moment: () => Moment;
  readonly facts: () => Promise<HostFacts>;
}

export function openHost(options: { stateDirectory?: string | undefined } = {}): Host {
  const places = findPlaces(options.stateDirectory);
  let facts: Promise<HostFacts> | undefined;
  return {
    places,
    runCommand,
    now: () => new Date(),
    moment: readMoment,
    facts: () => {
      facts ??= findHostFacts(`${places.state}/facts.json`, runCommand);
      return facts;
    },
  };
}
