import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "sends fragments, overlapping ones too",
  program: "fragments.py",
  control: {
    control: {
      steps: {
        "a large datagram, which the kernel cuts up": "sent",
        "a large datagram over IPv6": "sent",
        "a first fragment too small for its ports": "sent",
        "a later fragment alone": "sent",
        "fragments that overlap": "sent",
        "a fragment header to a denied host, IPv6": "sent",
        "an atomic fragment, IPv6": "sent",
      },
      left: ["44 2001:2::6666", "udp 198.18.66.66", "udp 198.18.66.66 9000", "udp 2001:2::6666 9000"],
    },
  },
  shielded: {
    steps: {
      "a large datagram, which the kernel cuts up": "EPERM",
      "a large datagram over IPv6": "EPERM",
      "a first fragment too small for its ports": "EPERM",
      "a later fragment alone": "EPERM",
      "fragments that overlap": "EPERM",
      "a fragment header to a denied host, IPv6": "EPERM",
      "an atomic fragment, IPv6": "EPERM",
    },
    refusals: ["blocked udp 198.18.66.66 9000", "blocked udp 2001:2::6666 9000"],
  },
  armed: {
    steps: {
      "a large datagram, which the kernel cuts up": "EPERM",
      "a large datagram over IPv6": "EPERM",
      "a first fragment too small for its ports": "sent",
      "a later fragment alone": "sent",
      "fragments that overlap": "sent",
      "a fragment header to a denied host, IPv6": "EPERM",
      "an atomic fragment, IPv6": "EPERM",
    },
    refusals: ["blocked udp 198.18.66.66 9000", "blocked udp 2001:2::6666 9000"],
  },
};
