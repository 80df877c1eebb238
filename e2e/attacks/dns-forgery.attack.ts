import type { Attack } from "./attack.ts";

/** No other attack goes there: where this one succeeds, it stays open. */
const FORGED = "198.18.66.99";

export const attack: Attack = {
  tries: "answers in the upstream resolver's place",
  program: "dns-forgery.py",
  args: ["forged.wild.test", FORGED],
  async prepare({ lab }) {
    await lab.internet.setName("*.forged.wild.test", { silent: true });
  },
  control: {},
  shielded: {
    steps: {
      "from loopback": "silence",
      "from its own address": "silence",
      "from the upstream's address": "ENETUNREACH",
      "from the upstream's address, by packet": "ENETUNREACH",
      "from the upstream's address, transparently": "EPERM",
      "the address that it names": "EHOSTUNREACH",
    },
    asked: ["*.forged.wild.test"],
    refusals: ["blocked tcp 198.18.66.99 80"],
  },
  succeedsArmed: {
    steps: {
      "from loopback": "silence",
      "from its own address": "silence",
      "from the upstream's address": "ENETUNREACH",
      "from the upstream's address, by packet": "ENETUNREACH",
      "from the upstream's address, transparently": "answered",
      "the address that it names": "answered",
    },
    left: ["tcp 198.18.66.99 80"],
    asked: ["*.forged.wild.test"],
  },
};
