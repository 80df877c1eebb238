import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "fills the table of connections",
  program: "connection-table.py",
  control: {
    control: {
      steps: {
        "a datagram, half-way": "sent",
        "the table": "not full",
        "a datagram": "sent",
        "a connection": "answered",
        "a connection over IPv6": "answered",
      },
      left: ["tcp 198.18.66.66 80", "tcp 2001:2::6666 80", "udp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "a datagram, half-way": "refused",
      "the table": "full",
      "a datagram": "refused",
      "a connection": "refused",
      "a connection over IPv6": "refused",
    },
    refusals: ["blocked tcp 198.18.66.66 80", "blocked tcp 2001:2::6666 80", "blocked udp 198.18.66.66 9000"],
  },
  armed: {
    steps: {
      "a datagram, half-way": "refused",
      "the table": "full",
      "a datagram": "refused",
      "a connection": "refused",
      "a connection over IPv6": "refused",
    },
    refusals: ["blocked tcp 198.18.66.66 80", "blocked tcp 2001:2::6666 80", "blocked udp 198.18.66.66 9000"],
  },
};
