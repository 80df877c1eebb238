import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "reaches for the network by sockets that few rules know",
  program: "odd-sockets.py",
  control: {
    control: {
      steps: {
        "multipath TCP": "answered",
        "multipath TCP over IPv6": "answered",
        "an XDP socket": "done",
        "an io_uring": "sent",
      },
      left: ["tcp 198.18.66.66 80", "tcp 2001:2::6666 80", "udp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "multipath TCP": "EHOSTUNREACH",
      "multipath TCP over IPv6": "ECONNREFUSED",
      "an XDP socket": "EPERM",
      "an io_uring": "ENOSYS",
    },
    refusals: ["blocked tcp 198.18.66.66 80", "blocked tcp 2001:2::6666 80"],
  },
};
