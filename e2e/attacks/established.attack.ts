import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "pretends to belong to a live connection",
  program: "established.py",
  control: {
    control: {
      steps: {
        "what a datagram is told": "answered",
        "what a datagram is told, IPv6": "answered",
        "a datagram socket that is connected anew": "sent",
        "a datagram socket aimed elsewhere": "sent",
        "the port of a live connection": "answered",
        "data in the SYN": "EINPROGRESS",
      },
      left: ["tcp 198.18.66.66 9000", "udp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "what a datagram is told": "EHOSTUNREACH",
      "what a datagram is told, IPv6": "EACCES",
      "a datagram socket that is connected anew": "EPERM",
      "a datagram socket aimed elsewhere": "EPERM",
      "the port of a live connection": "EHOSTUNREACH",
      "data in the SYN": "EINPROGRESS",
    },
    refusals: ["blocked tcp 198.18.66.66 9000", "blocked udp 198.18.66.66 9000"],
  },
};
