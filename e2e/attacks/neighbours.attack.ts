import type { Attack } from "./attack.ts";
import { PREPARED } from "./prepare.ts";

export const attack: Attack = {
  tries: "goes for other containers",
  program: "neighbours.py",
  ...PREPARED.neighbours,
  control: {
    control: {
      steps: {
        "172.31.255.2": "answered",
        "fd77:ffff::2": "answered",
        "10.0.2.2": "answered",
        "10.0.2.100": "ECONNREFUSED",
        "host.containers.internal": "answered",
      },
      left: ["tcp 10.0.2.2 9998", "tcp 172.31.255.2 9998", "tcp fd77:ffff::2 9998"],
    },
  },
  shielded: {
    steps: {
      "172.31.255.2": "EHOSTUNREACH",
      "fd77:ffff::2": "ECONNREFUSED",
      "10.0.2.2": "EHOSTUNREACH",
      "10.0.2.100": "ECONNREFUSED",
      "host.containers.internal": "EHOSTUNREACH",
    },
    refusals: ["private tcp 10.0.2.2 9998", "private tcp 172.31.255.2 9998", "private tcp fd77:ffff::2 9998"],
  },
};
