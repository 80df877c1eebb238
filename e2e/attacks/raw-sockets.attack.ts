import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "writes IP packets by hand",
  program: "raw-sockets.py",
  control: {
    control: {
      steps: {
        "udp in a packet of its own, IPv4": "sent",
        "udp of a raw socket, IPv6": "sent",
        "tcp SYN of its own": "sent",
        "tcp ACK without a connection": "sent",
        "a packet with an unknown protocol": "sent",
      },
      left: ["253 198.18.66.66", "tcp 198.18.66.66 9000", "udp 198.18.66.66 9000", "udp 2001:2::6666 9000"],
    },
  },
  // No packet comes as far as the rules, so there is none to log.
  shielded: {
    steps: {
      "udp in a packet of its own, IPv4": "EPERM",
      "udp of a raw socket, IPv6": "EPERM",
      "tcp SYN of its own": "EPERM",
      "tcp ACK without a connection": "EPERM",
      "a packet with an unknown protocol": "EPERM",
    },
  },
  armed: {
    steps: {
      "udp in a packet of its own, IPv4": "EPERM",
      "udp of a raw socket, IPv6": "EPERM",
      "tcp SYN of its own": "EPERM",
      "tcp ACK without a connection": "EPERM",
      "a packet with an unknown protocol": "EPERM",
    },
    refusals: [
      "blocked protocol 253 198.18.66.66",
      "blocked tcp 198.18.66.66 9000",
      "blocked udp 198.18.66.66 9000",
      "blocked udp 2001:2::6666 9000",
    ],
  },
};
