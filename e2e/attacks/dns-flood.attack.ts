import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "drowns the resolver",
  program: "dns-flood.py",
  control: {
    control: {
      steps: {
        "5000 queries": "sent",
        "one more, in peace": "answered",
        "1500 connections": "answered",
      },
      asked: ["evil.test"],
    },
  },
  shielded: {
    steps: {
      "5000 queries": "EPERM",
      "one more, in peace": "answered",
      "1500 connections": "silence",
    },
    refusals: ["name evil.test A"],
  },
  armed: {
    steps: {
      "5000 queries": "EPERM",
      "one more, in peace": "answered",
      "1500 connections": "silence",
    },
    refusals: ["name evil.test A"],
  },
};
