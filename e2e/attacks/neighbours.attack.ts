import { PLATFORM } from "../src/lab/platform.ts";
import type { Attack, Expected } from "./attack.ts";
import { PREPARED } from "./prepare.ts";

/** By the addresses of the host, and by those that another container has itself. */
const WAYS: Readonly<Record<typeof PLATFORM.network.kind, { control: Expected; shielded: Expected }>> = {
  slirp4netns: {
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
    shielded: {
      steps: {
        "172.31.255.2": "EHOSTUNREACH",
        "fd77:ffff::2": "ECONNREFUSED",
        "10.0.2.2": "EHOSTUNREACH",
        "10.0.2.100": "ECONNREFUSED",
        "host.containers.internal": "EHOSTUNREACH",
      },
      refusals: [
        "private tcp 10.0.2.2 9998",
        "private tcp 172.31.255.2 9998",
        "private tcp fd77:ffff::2 9998",
      ],
    },
  },
  // There, all containers have the host's addresses, so that these lead to themselves.
  pasta: {
    control: {
      steps: {
        "169.254.1.2": "answered",
        "172.31.255.2": "ECONNREFUSED",
        "fd77:ffff::2": "ECONNREFUSED",
        "host.containers.internal": "answered",
      },
      left: ["tcp 169.254.1.2 9998"],
    },
    shielded: {
      steps: {
        "169.254.1.2": "EHOSTUNREACH",
        "172.31.255.2": "ECONNREFUSED",
        "fd77:ffff::2": "ECONNREFUSED",
        "host.containers.internal": "EHOSTUNREACH",
      },
      refusals: ["private tcp 169.254.1.2 9998"],
    },
  },
};

const { control, shielded } = WAYS[PLATFORM.network.kind];

export const attack: Attack = {
  tries: "goes for other containers",
  program: "neighbours.py",
  ...PREPARED.neighbours,
  args: [...(PREPARED.neighbours?.args ?? []), ...Object.keys(control.steps)],
  control: { control },
  shielded,
};
