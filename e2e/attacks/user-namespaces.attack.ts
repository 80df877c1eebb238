import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "makes user and network namespaces of its own",
  program: "user-namespaces.py",
  control: {
    control: {
      steps: {
        "rules, as root of a new user namespace": "refused",
        "a new network namespace, and back": "refused",
        "the first process's namespaces": "done",
        "from a nested one to the denied address": "done",
        "a wire from a new network into the one around it": "done",
        "the same, as root of a new user namespace": "refused",
        "setns, to the network of the first process": "done",
        "clone of a user namespace": "done",
        "clone of a network namespace": "done",
      },
      left: ["tcp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "rules, as root of a new user namespace": "refused",
      "a new network namespace, and back": "refused",
      "the first process's namespaces": "refused",
      "from a nested one to the denied address": "refused",
      "a wire from a new network into the one around it": "refused",
      "the same, as root of a new user namespace": "refused",
      "setns, to the network of the first process": "EPERM",
      "clone of a user namespace": "done",
      "clone of a network namespace": "EPERM",
    },
    refusals: ["blocked tcp 198.18.66.66 9000"],
  },
};
