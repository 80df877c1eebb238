import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "marks packets as the shield marks its own",
  program: "socket-marks.py",
  control: {
    control: {
      steps: {
        "the mark of query": "sent",
        "the mark of learned": "sent",
        "the mark of inbound": "sent",
        "the mark of allowed": "sent",
        "the mark of bypass": "sent",
        "a priority of the network's control": "sent",
        "another device": "sent",
      },
      left: ["udp 198.18.66.66 9000"],
    },
  },
  shielded: {
    steps: {
      "the mark of query": "EPERM",
      "the mark of learned": "EPERM",
      "the mark of inbound": "EPERM",
      "the mark of allowed": "EPERM",
      "the mark of bypass": "EPERM",
      "a priority of the network's control": "EPERM",
      "another device": "EPERM",
    },
    refusals: ["blocked udp 198.18.66.66 9000"],
  },
  armed: {
    steps: {
      "the mark of query": "EPERM",
      "the mark of learned": "EPERM",
      "the mark of inbound": "EPERM",
      "the mark of allowed": "EPERM",
      "the mark of bypass": "EPERM",
      "a priority of the network's control": "EPERM",
      "another device": "EPERM",
    },
    refusals: ["blocked udp 198.18.66.66 9000"],
  },
};
