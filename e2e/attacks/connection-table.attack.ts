import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "fills the table of connections",
  program: "connection-table.py",
  control: {
    control: {
      steps: {
        "half-way": "sent",
        "20000 connections": "done",
        "a datagram": "sent",
        "a connection": "answered",
      },
      left: ["tcp 198.18.66.66 80", "udp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "half-way": "EPERM",
      "20000 connections": "done",
      "a datagram": "EPERM",
      "a connection": "EHOSTUNREACH",
    },
    refusals: ["blocked tcp 198.18.66.66 80", "blocked udp 198.18.66.66 9000"],
  },
};
