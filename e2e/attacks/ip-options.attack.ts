import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "hides addresses in options and extension headers",
  program: "ip-options.py",
  control: {
    control: {
      steps: {
        "loose source route by an allowed host": "sent",
        "strict source route by an allowed host": "ENETUNREACH",
        "loose source route written by hand": "sent",
        "strict source route written by hand": "sent",
        "record route to a denied host": "sent",
        "router alert to a denied host": "sent",
        "routing header 0 by an allowed host": "EINVAL",
        "routing header 2 by an allowed host": "EINVAL",
        "destination options to a denied host": "sent",
        "hop-by-hop options to a denied host": "sent",
        "a routing header written by hand": "sent",
      },
      left: ["udp 198.18.66.66 9000", "udp 2001:2::6666 9000"],
    },
  },
  shielded: {
    steps: {
      "loose source route by an allowed host": "EPERM",
      "strict source route by an allowed host": "EPERM",
      "loose source route written by hand": "EPERM",
      "strict source route written by hand": "EPERM",
      "record route to a denied host": "EPERM",
      "router alert to a denied host": "EPERM",
      "routing header 0 by an allowed host": "EINVAL",
      "routing header 2 by an allowed host": "EINVAL",
      "destination options to a denied host": "EPERM",
      "hop-by-hop options to a denied host": "EPERM",
      "a routing header written by hand": "EPERM",
    },
    refusals: ["blocked udp 198.18.66.66 9000"],
  },
  armed: {
    steps: {
      "loose source route by an allowed host": "EPERM",
      "strict source route by an allowed host": "ENETUNREACH",
      "loose source route written by hand": "EPERM",
      "strict source route written by hand": "EPERM",
      "record route to a denied host": "EPERM",
      "router alert to a denied host": "EPERM",
      "routing header 0 by an allowed host": "EINVAL",
      "routing header 2 by an allowed host": "EINVAL",
      "destination options to a denied host": "EPERM",
      "hop-by-hop options to a denied host": "EPERM",
      "a routing header written by hand": "EPERM",
    },
    refusals: [
      "blocked udp 198.18.1.1 9000",
      "blocked udp 198.18.66.66 9000",
      "blocked udp 2001:2::6666 9000",
      "blocked udp 2001:2::aaaa 9000",
    ],
  },
};
