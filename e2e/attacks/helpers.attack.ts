import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "goes for the shield's helpers",
  program: "helpers.py",
  control: {
    host: {
      steps: {
        "helpers to be seen": "some",
        "a signal to any of them": "done",
        "ptrace of any of them": "done",
        "the resolver's own port": "EADDRNOTAVAIL",
      },
    },
  },
  // No packet comes as far as the rules, so there is none to log.
  shielded: {
    steps: {
      "helpers to be seen": "none",
      "a signal to any of them": "none",
      "ptrace of any of them": "none",
      "the resolver's own port": "EADDRINUSE",
    },
  },
};
