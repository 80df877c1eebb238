import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "drowns the resolver",
  program: "dns-flood.py",
  control: {
    control: {
      steps: {
        "5000 queries": "sent",
        "1500 connections": "sent",
        "a query, in peace": "answered",
      },
      asked: ["evil.test"],
    },
  },
  shielded: {
    steps: {
      "5000 queries": "EPERM",
      "1500 connections": "sent",
      "a query, in peace": "answered",
    },
    refusals: ["name evil.test A"],
  },
  armed: {
    steps: {
      "5000 queries": "EPERM",
      "1500 connections": "sent",
      "a query, in peace": "answered",
    },
    refusals: ["name evil.test A"],
  },
};
