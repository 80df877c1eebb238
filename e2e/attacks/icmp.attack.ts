import { PLATFORM } from "../src/lab/platform.ts";
import type { Attack } from "./attack.ts";

/** What else becomes of an echo request on the host: slirp4netns may send no ICMP there, and asks in another way. */
const HANDED_ON = { slirp4netns: ["udp 198.18.66.66 7"], pasta: [] };

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
      left: ["icmp 198.18.66.66", "icmpv6 2001:2::6666", ...HANDED_ON[PLATFORM.network.kind]],
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
