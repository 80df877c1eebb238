import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BY_RESOLVER, DOWN, NOTHING_ALLOWED, to, UP } from "../testing/sample-policies.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";
import type { EgressPolicy } from "./egress-policy.ts";
import { areaOf, EVERY_PORT, subtractAreas } from "./port-area.ts";

const AT = {
  both: { 4: "203.0.113.1", 6: "2001:db8::1" },
  tcp: { 4: "203.0.113.2", 6: "2001:db8::2" },
  udp: { 4: "203.0.113.3", 6: "2001:db8::3" },
  range: { 4: "203.0.113.4", 6: "2001:db8::4" },
  denied: { 4: "203.0.113.5", 6: "2001:db8::5" },
  learned: { 4: "203.0.113.6", 6: "2001:db8::6" },
  learnedRest: { 4: "203.0.113.7", 6: "2001:db8::7" },
} as const;

const everywhere = (name: keyof typeof AT, ports: string) =>
  [AT[name][4], AT[name][6]].map((address) => to(`${address} ${ports}`));

const POLICY: EgressPolicy = {
  ...NOTHING_ALLOWED,
  allow: [
    ...everywhere("both", "80"),
    ...everywhere("tcp", "80/tcp"),
    ...everywhere("udp", "80/udp"),
    ...everywhere("range", "53-80"),
    to(AT.denied[4]),
    to(AT.denied[6]),
  ],
  deny: everywhere("denied", "443-65535/tcp"),
  learned: {
    ...BY_RESOLVER,
    scopes: [
      { id: 1, area: areaOf({ first: 80, last: 80, protocol: "udp" }) },
      { id: 2, area: subtractAreas(EVERY_PORT, areaOf({ first: 80, last: 80, protocol: "tcp" })) },
    ],
  },
};

/** Which ports are open by TCP, by UDP, and whether a ping is. */
const OPEN: Record<keyof typeof AT, { tcp: number[]; udp: number[]; icmp: boolean }> = {
  both: { tcp: [80], udp: [80], icmp: false },
  tcp: { tcp: [80], udp: [], icmp: false },
  udp: { tcp: [], udp: [80], icmp: false },
  range: { tcp: [53, 80], udp: [53, 80], icmp: false },
  denied: { tcp: [53, 80], udp: [53, 80, 443], icmp: true },
  learned: { tcp: [], udp: [80], icmp: false },
  learnedRest: { tcp: [53, 443], udp: [53, 80, 443], icmp: true },
};

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab(Object.values(AT).flatMap((address) => [address[4], address[6]]));
});

afterAll(() => lab.stop());

beforeEach(() => lab.reset());

const cases = Object.entries(OPEN).flatMap(([name, open]) =>
  ([4, 6] as const).map((family) => ({ name, to: AT[name as keyof typeof AT][family], open })),
);

describe.each([
  { when: "up", mode: UP, learned: "dns" },
  { when: "in bypass", mode: DOWN, learned: "kept" },
])("$when", ({ mode, learned }) => {
  beforeAll(() =>
    lab.load(POLICY, mode, {
      [`${learned}_1_v4`]: [AT.learned[4]],
      [`${learned}_1_v6`]: [AT.learned[6]],
      [`${learned}_2_v4`]: [AT.learnedRest[4]],
      [`${learned}_2_v6`]: [AT.learnedRest[6]],
    }),
  );

  const otherwise = mode === DOWN ? "bypassed" : "refused_blocked";

  test.each(cases)("$name, $to: allowed is $open, and nothing else", async ({ name, to: address, open }) => {
    for (const type of ["tcp", "udp"] as const) {
      for (const port of [53, 80, 443]) {
        const verdict = open[type].includes(port)
          ? "allowed"
          : name === "denied"
            ? "refused_denied"
            : otherwise;
        const answer = await lab.attempt(type, address, { to: [address, port] });
        expect([type, port, await lab.counters()]).toEqual([type, port, { [verdict]: 1 }]);
        const passes = verdict === "allowed" || verdict === "bypassed";
        expect(answer.value).toBe(passes ? "answered" : undefined);
        expect(new Set(await lab.arrivals())).toEqual(new Set(passes ? [`${type} ${address}:${port}`] : []));
      }
    }
    const verdict = open.icmp ? "allowed" : otherwise;
    const answer = await lab.attempt("icmp", address);
    expect(["icmp", await lab.counters()]).toEqual(["icmp", { [verdict]: 1 }]);
    expect(answer.value).toBe(verdict === "refused_blocked" ? undefined : "answered");
    expect(await lab.arrivals()).toHaveLength(verdict === "refused_blocked" ? 0 : 1);
  });
});

test("a peer that is denied on a port is not heard from it any more, from others it is", async () => {
  await lab.load({ ...POLICY, deny: [] });
  const [source, container] = [AT.denied[4], "198.18.0.2"];
  for (const port of [53, 443]) {
    const id = await lab.flow("udp", source, port);
    const { value: own } = await lab.ask("workload", "port", { id });
    const peer = await lab.open("internet", { family: 4, type: "udp", source: [source, port] });
    await lab.change({ policy: { deny: [to(`${source} 443-65535`)] } });
    expect(await lab.send("internet", peer, [container, own as number])).toEqual({ value: 1 });
    expect(await lab.ask("workload", "receive", { id })).toEqual(
      port === 53 ? { value: "x" } : { error: "ETIMEDOUT" },
    );
    await lab.change({ policy: { deny: [] } });
  }
});
