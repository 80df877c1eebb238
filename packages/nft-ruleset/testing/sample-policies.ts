import type { Destination, EgressPolicy, ShieldMode } from "../src/egress-policy.ts";
import { parseIpRange } from "../src/ip-range.ts";
import { areaOf, EVERY_PORT, subtractAreas, type Transport } from "../src/port-area.ts";

export const UP: ShieldMode = { kind: "up" };
export const DOWN: ShieldMode = { kind: "down", privateRanges: "closed" };
export const DOWN_ALL: ShieldMode = { kind: "down", privateRanges: "open" };
export const DOWN_FOR: ShieldMode = { kind: "down", privateRanges: "closed", remainingSeconds: 600 };
export const DOWN_ALL_FOR: ShieldMode = { kind: "down", privateRanges: "open", remainingSeconds: 600 };
export const BLOCK: ShieldMode = { kind: "block" };
export const MODES = [UP, DOWN, DOWN_ALL, DOWN_FOR, DOWN_ALL_FOR, BLOCK];

export const BY_RESOLVER = {
  kind: "by-resolver",
  timeoutSeconds: 1800,
  scopes: [],
  queryGeneration: 1,
  flowGeneration: 1,
} as const;

export const NOTHING_ALLOWED: EgressPolicy = {
  revision: 1,
  allow: [],
  deny: [],
  learned: BY_RESOLVER,
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
  ].map(to),
  deny: ["203.0.113.9", "2001:db8:bad::/48"].map(to),
  upstream: parseIpRange("10.0.2.3"),
  reserved: ["10.0.2.0/24", "fd00::/64"].map(parseIpRange),
};

/** Ports for addresses and for names, the latter in as many words as there are. */
export const WITH_PORTS: EgressPolicy = {
  ...WITH_RESOLVER,
  allow: ["198.51.100.0/24 443", "198.51.100.7 8000-8010/udp", "2001:db8:1::/48 443/tcp", "203.0.113.1"].map(
    to,
  ),
  deny: ["198.51.100.9 443/tcp", "2001:db8:1::9 1-65535"].map(to),
  learned: {
    ...BY_RESOLVER,
    scopes: [
      { id: 1, area: areaOf({ first: 443, last: 443 }) },
      { id: 2, area: subtractAreas(EVERY_PORT, areaOf({ first: 25, last: 25, protocol: "tcp" })) },
    ],
  },
};

/** Everything that ends by itself. */
export const WITH_LEASES: EgressPolicy = {
  ...WITH_RESOLVER,
  timed: {
    allow: [
      { ...to("198.51.100.0/24"), remainingSeconds: 60 },
      { ...to("198.51.100.7"), remainingSeconds: 600 },
      { ...to("192.0.2.1 443/tcp"), remainingSeconds: 90 },
    ],
    deny: [
      { ...to("203.0.113.64/26"), remainingSeconds: 1800 },
      { ...to("2001:db8:2::/48 443/udp"), remainingSeconds: 2.5 },
    ],
    lift: [{ ...to("203.0.113.9"), remainingSeconds: 60 }],
  },
  learned: {
    ...BY_RESOLVER,
    scopes: [
      { id: 3, area: EVERY_PORT, remainingSeconds: 60 },
      { id: 4, area: areaOf({ first: 443, last: 443, protocol: "tcp" }), remainingSeconds: 90 },
    ],
  },
};

/** The golden files: together they show every rule. */
const WITH_PUBLISHED_PORTS: EgressPolicy = {
  ...NOTHING_ALLOWED,
  published: [
    { protocol: "tcp", port: 80 },
    { protocol: "udp", port: 5353 },
    { protocol: "tcp", port: 443 },
  ],
};

export const GOLDENS: { golden: string; policy: EgressPolicy; mode: ShieldMode }[] = [
  { golden: "nothing-allowed", policy: NOTHING_ALLOWED, mode: UP },
  { golden: "up-with-resolver", policy: WITH_RESOLVER, mode: UP },
  {
    golden: "up-names-resolved-before-the-start",
    policy: {
      ...NOTHING_ALLOWED,
      learned: {
        kind: "fixed",
        destinations: ["198.51.100.1", "198.51.100.2", "2001:db8::7", "198.51.100.3 443"].map(to),
      },
    },
    mode: UP,
  },
  {
    golden: "up-published-ports",
    policy: WITH_PUBLISHED_PORTS,
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
  { golden: "up-with-ports", policy: WITH_PORTS, mode: UP },
  { golden: "up-with-leases", policy: WITH_LEASES, mode: UP },
  { golden: "down", policy: WITH_RESOLVER, mode: DOWN },
  { golden: "down-all", policy: WITH_RESOLVER, mode: DOWN_ALL },
  { golden: "down-for-a-time", policy: WITH_PORTS, mode: DOWN_ALL_FOR },
  { golden: "block", policy: WITH_RESOLVER, mode: BLOCK },
  { golden: "block-published-ports", policy: WITH_PUBLISHED_PORTS, mode: BLOCK },
];

/** `203.0.113.0/24`, `203.0.113.1 443`, `2001:db8::1 8000-8010/udp`. */
export function to(text: string): Destination {
  const [range = "", ports] = text.split(" ");
  const [, first, last = first, protocol] = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp))?$/.exec(ports ?? "") ?? [];
  if (ports === undefined) return { range: parseIpRange(range) };
  return {
    range: parseIpRange(range),
    ports: {
      first: Number(first),
      last: Number(last),
      ...(protocol === undefined ? {} : { protocol: protocol as Transport }),
    },
  };
}
