import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "puts frames on the wire, also past its queue",
  program: "packet-sockets.py",
  control: {
    control: {
      steps: { "a frame": "sent", "a frame past the queue": "sent" },
      left: ["udp 198.18.66.66 7", "udp 198.18.66.66 9000"],
    },
  },
  // No packet comes as far as the rules, so there is none to log.
  shielded: { steps: { "a frame": "EPERM", "a frame past the queue": "EPERM" } },
};
