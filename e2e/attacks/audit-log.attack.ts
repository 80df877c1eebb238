import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "goes for the shield's files and log",
  program: "audit-log.py",
  control: {
    control: { steps: { "a file of the shield": "none", "the packet log's group": "done" } },
    host: { steps: { "a file of the shield": "found", "the packet log's group": "EPERM" } },
  },
  // No packet comes as far as the rules, so there is none to log.
  shielded: { steps: { "a file of the shield": "none", "the packet log's group": "EPERM" } },
};
