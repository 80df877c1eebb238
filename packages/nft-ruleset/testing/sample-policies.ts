import type { EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { parseIpRange } from "../src/ip-range.ts";

export const UP: ShieldMode = { kind: "up" };
export const DOWN: ShieldMode = { kind: "down", privateRanges: "closed" };
export const DOWN_ALL: ShieldMode = { kind: "down", privateRanges: "open" };
export const BLOCK: ShieldMode = { kind: "block" };
export const MODES = [UP, DOWN, DOWN_ALL, BLOCK];

export const NOTHING_ALLOWED: EgressPolicy = {
  allow: [],
  deny: [],
  learned: { kind: "by-resolver", timeoutSeconds: 1800 },
  reserved: [],
  published: [],
};

/** A container on slirp4netns with its own resolver: overlaps, a private range and a metadata address in `allow`. */
export const WITH_RESOLVER: EgressPolicy = {
  ...NOTHING_ALLOWED,
  allow: [
    "203.0.113.0/24",
    "203.0.113.7",
    "203.0.113.7",
    "2001:db8::/32",
    "10.0.0.0/8",
    "169.254.169.254",
  ].map(parseIpRange),
  deny: ["203.0.113.9", "2001:db8:bad::/48"].map(parseIpRange),
  upstream: parseIpRange("10.0.2.3"),
  reserved: ["10.0.2.0/24", "fd00::/64"].map(parseIpRange),
};

/** The golden files: together they show every rule. */
export const GOLDENS: { golden: string; policy: EgressPolicy; mode: ShieldMode }[] = [
  { golden: "nothing-allowed", policy: NOTHING_ALLOWED, mode: UP },
  { golden: "up-with-resolver", policy: WITH_RESOLVER, mode: UP },
  {
    golden: "up-names-resolved-before-the-start",
    policy: {
      ...NOTHING_ALLOWED,
      learned: { kind: "fixed", ranges: ["198.51.100.1", "198.51.100.2", "2001:db8::7"].map(parseIpRange) },
    },
    mode: UP,
  },
  {
    golden: "up-published-ports",
    policy: {
      ...NOTHING_ALLOWED,
      published: [
        { protocol: "tcp", port: 80 },
        { protocol: "udp", port: 5353 },
        { protocol: "tcp", port: 443 },
      ],
    },
    mode: UP,
  },
  {
    golden: "up-host-loopback",
    policy: {
      ...NOTHING_ALLOWED,
      reserved: [parseIpRange("10.0.2.0/24")],
      hostLoopback: { addresses: ["10.0.2.2", "fd00::2"].map(parseIpRange), ports: [8080, 80] },
    },
    mode: UP,
  },
  { golden: "down", policy: WITH_RESOLVER, mode: DOWN },
  { golden: "down-all", policy: WITH_RESOLVER, mode: DOWN_ALL },
  { golden: "block", policy: WITH_RESOLVER, mode: BLOCK },
];
