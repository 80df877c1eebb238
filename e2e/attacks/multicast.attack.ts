import { PLATFORM } from "../src/lab/platform.ts";
import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "calls by multicast, broadcast and mDNS",
  program: "multicast.py",
  control: {
    control: {
      steps: {
        mDNS: "sent",
        LLMNR: "sent",
        SSDP: "sent",
        "all hosts": "sent",
        broadcast: "sent",
        "the network's broadcast": "sent",
        "mDNS over IPv6": "sent",
        "all nodes": "sent",
        "a global group": "sent",
        "a group of its own": "done",
      },
      left: [
        `udp ${PLATFORM.network.broadcast} 9000`,
        "udp 224.0.0.1 9000",
        "udp 224.0.0.251 5353",
        "udp 224.0.0.252 5355",
        "udp 239.255.255.250 1900",
        "udp 255.255.255.255 9000",
        "udp ff02::1 9000",
        "udp ff02::fb 5353",
        "udp ff0e::1 9000",
      ],
    },
  },
  shielded: {
    steps: {
      mDNS: "EPERM",
      LLMNR: "EPERM",
      SSDP: "EPERM",
      "all hosts": "EPERM",
      broadcast: "EPERM",
      "the network's broadcast": "EPERM",
      "mDNS over IPv6": "EPERM",
      "all nodes": "EPERM",
      "a global group": "EPERM",
      "a group of its own": "done",
    },
    refusals: [
      `private udp ${PLATFORM.network.broadcast} 9000`,
      "private udp 224.0.0.1 9000",
      "private udp 224.0.0.251 5353",
      "private udp 224.0.0.252 5355",
      "private udp 239.255.255.250 1900",
      "private udp 255.255.255.255 9000",
      "private udp ff02::1 9000",
      "private udp ff02::fb 5353",
      "private udp ff0e::1 9000",
    ],
  },
};
