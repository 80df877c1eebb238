import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "carries data in ICMP, also in forged errors",
  program: "icmp.py",
  control: {
    control: {
      steps: {
        "an echo request": "sent",
        "an echo request, IPv6": "sent",
        "an echo request by raw socket": "sent",
        "an echo request by raw socket, IPv6": "sent",
        "an error about a connection to an allowed host": "sent",
        "an error about nothing at all": "sent",
        "a redirect": "sent",
        "neighbour discovery with another hop limit": "sent",
      },
      left: ["icmp 198.18.66.66", "icmpv6 2001:2::6666", "udp 198.18.66.66 7"],
    },
  },
  shielded: {
    steps: {
      "an echo request": "EPERM",
      "an echo request, IPv6": "sent",
      "an echo request by raw socket": "EPERM",
      "an echo request by raw socket, IPv6": "EPERM",
      "an error about a connection to an allowed host": "EPERM",
      "an error about nothing at all": "EPERM",
      "a redirect": "EPERM",
      "neighbour discovery with another hop limit": "EPERM",
    },
    refusals: ["blocked icmp 198.18.66.66", "blocked icmpv6 2001:2::6666"],
  },
  armed: {
    steps: {
      "an echo request": "EPERM",
      "an echo request, IPv6": "sent",
      "an echo request by raw socket": "EPERM",
      "an echo request by raw socket, IPv6": "EPERM",
      "an error about a connection to an allowed host": "EPERM",
      "an error about nothing at all": "EPERM",
      "a redirect": "EPERM",
      "neighbour discovery with another hop limit": "EPERM",
    },
    refusals: ["blocked icmp 198.18.66.66", "blocked icmpv6 2001:2::6666"],
  },
};
