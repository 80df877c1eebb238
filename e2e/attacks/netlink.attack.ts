import type { Attack } from "./attack.ts";

export const attack: Attack = {
  tries: "changes rules, routes and links",
  program: "netlink.py",
  control: {
    control: {
      steps: {
        "nft list ruleset": "done",
        "nft add table": "done",
        "ip route add": "done",
        "ip rule add": "done",
        "ip link add dummy": "refused",
        "tc qdisc replace": "done",
        "a sysctl": "EROFS",
        "a tun device": "done",
        "netlink: list of connections": "EINVAL",
        "netlink: flush of connections": "done",
      },
    },
  },
  // No packet comes as far as the rules, so there is none to log.
  shielded: {
    steps: {
      "nft list ruleset": "refused",
      "nft add table": "refused",
      "ip route add": "refused",
      "ip rule add": "refused",
      "ip link add dummy": "refused",
      "tc qdisc replace": "refused",
      "a sysctl": "EROFS",
      "a tun device": "ENOENT",
      "netlink: list of connections": "EPERM",
      "netlink: flush of connections": "EPERM",
    },
  },
};
