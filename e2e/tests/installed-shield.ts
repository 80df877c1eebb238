import { inject } from "vitest";

/** The prefix under which this run's terok-shield is installed. */
export function installedShield(): string {
  const shield = inject("shield");
  if ("failure" in shield) {
    throw new Error(`terok-shield could not be installed: ${shield.failure}`);
  }
  return shield.prefix;
}
