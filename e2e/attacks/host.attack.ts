import { PLATFORM } from "../src/lab/platform.ts";
import type { Attack } from "./attack.ts";
import { PREPARED } from "./prepare.ts";

/** By which addresses a container may come to its host, and what comes of it. */
interface Ways {
  /** What leaves the container for them. */
  readonly left: readonly string[];
  readonly control: Readonly<Record<string, string>>;
  readonly shielded: Readonly<Record<string, string>>;
  /** The same addresses, tried on the host itself. */
  readonly host: Readonly<Record<string, string>>;
}

const WAYS: Readonly<Record<typeof PLATFORM.network.kind, Ways>> = {
  slirp4netns: {
    left: [
      "tcp 10.0.2.2 9999",
      "tcp 10.0.2.3 9999",
      "tcp 169.254.1.1 9999",
      "tcp 169.254.1.2 9999",
      "tcp 172.31.255.2 9999",
      "tcp fd00::2 9999",
      "tcp fd77:ffff::2 9999",
    ],
    control: {
      "10.0.2.2 by tcp": "answered",
      "10.0.2.3 by tcp": "ENETUNREACH",
      "fd00::2 by tcp": "answered",
      "172.31.255.2 by tcp": "answered",
      "fd77:ffff::2 by tcp": "answered",
      "169.254.1.1 by tcp": "ECONNREFUSED",
      "169.254.1.2 by tcp": "ECONNREFUSED",
    },
    shielded: {
      "10.0.2.2 by tcp": "EHOSTUNREACH",
      "10.0.2.3 by tcp": "EHOSTUNREACH",
      "fd00::2 by tcp": "ECONNREFUSED",
      "172.31.255.2 by tcp": "EHOSTUNREACH",
      "fd77:ffff::2 by tcp": "ECONNREFUSED",
      "169.254.1.1 by tcp": "EHOSTUNREACH",
      "169.254.1.2 by tcp": "EHOSTUNREACH",
    },
    host: {
      "10.0.2.2 by tcp": "ECONNREFUSED",
      "10.0.2.3 by tcp": "ECONNREFUSED",
      "fd00::2 by tcp": "ECONNREFUSED",
      "172.31.255.2 by tcp": "answered",
      "fd77:ffff::2 by tcp": "answered",
      "169.254.1.1 by tcp": "ECONNREFUSED",
      "169.254.1.2 by tcp": "ECONNREFUSED",
    },
  },
  // There, the host's own addresses are the container's, and another one stands for the host.
  pasta: {
    left: [
      "tcp 10.0.2.2 9999",
      "tcp 169.254.1.1 9999",
      "tcp 169.254.1.2 9999",
      "tcp 172.31.255.1 9999",
      "tcp fd77:ffff::1 9999",
    ],
    control: {
      "169.254.1.2 by tcp": "answered",
      "169.254.1.1 by tcp": "ECONNREFUSED",
      "172.31.255.1 by tcp": "ECONNREFUSED",
      "fd77:ffff::1 by tcp": "ECONNREFUSED",
      "172.31.255.2 by tcp": "ECONNREFUSED",
      "fd77:ffff::2 by tcp": "ECONNREFUSED",
      "10.0.2.2 by tcp": "ECONNREFUSED",
    },
    shielded: {
      "169.254.1.2 by tcp": "EHOSTUNREACH",
      "169.254.1.1 by tcp": "EHOSTUNREACH",
      "172.31.255.1 by tcp": "EHOSTUNREACH",
      "fd77:ffff::1 by tcp": "ECONNREFUSED",
      "172.31.255.2 by tcp": "ECONNREFUSED",
      "fd77:ffff::2 by tcp": "ECONNREFUSED",
      "10.0.2.2 by tcp": "EHOSTUNREACH",
    },
    host: {
      "169.254.1.2 by tcp": "ECONNREFUSED",
      "169.254.1.1 by tcp": "ECONNREFUSED",
      "172.31.255.1 by tcp": "ECONNREFUSED",
      "fd77:ffff::1 by tcp": "ECONNREFUSED",
      "172.31.255.2 by tcp": "answered",
      "fd77:ffff::2 by tcp": "answered",
      "10.0.2.2 by tcp": "ECONNREFUSED",
    },
  },
};

const { left, control, shielded, host } = WAYS[PLATFORM.network.kind];

const OWN_LOOPBACK = {
  "0.0.0.0": "ECONNREFUSED",
  "::": "ECONNREFUSED",
  "127.0.0.1": "ECONNREFUSED",
  "an abstract socket of the host": "ECONNREFUSED",
};

export const attack: Attack = {
  tries: "goes for the host's loopback and addresses",
  program: "host.py",
  ...PREPARED.host,
  args: [
    ...(PREPARED.host?.args ?? []),
    ...Object.keys(control).map((step) => step.replace(" by tcp", "")),
    "host.containers.internal",
  ],
  control: {
    control: { steps: { ...control, "host.containers.internal by tcp": "answered", ...OWN_LOOPBACK }, left },
    host: {
      steps: {
        ...host,
        "host.containers.internal by tcp": "no such name",
        "0.0.0.0": "answered",
        "::": "answered",
        "127.0.0.1": "answered",
        "an abstract socket of the host": "answered",
      },
      left: Object.entries(host)
        .filter(([, outcome]) => outcome === "ECONNREFUSED")
        .map(([step]) => `tcp ${step.replace(" by tcp", "")} 9999`),
      asked: ["host.containers.internal"],
    },
  },
  shielded: {
    steps: { ...shielded, "host.containers.internal by tcp": "EHOSTUNREACH", ...OWN_LOOPBACK },
    refusals: left.map((packet) => `private ${packet}`),
  },
};
