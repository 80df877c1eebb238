import fc from "fast-check";
import type { Destination, EgressPolicy, LearnedScope, TimedDestination } from "../src/egress-policy.ts";
import { parseIpRange } from "../src/ip-range.ts";
import { areaOf, EVERY_PORT, type PortSpan, subtractAreas, unionAreas } from "../src/port-area.ts";
import {
  BLOCK,
  BY_RESOLVER,
  DOWN,
  DOWN_ALL,
  DOWN_ALL_FOR,
  DOWN_FOR,
  UP,
  WITH_RESOLVER,
} from "./sample-policies.ts";

/** Blocks that often meet, and sometimes cover a metadata address. */
function ranges() {
  return fc
    .oneof(
      fc.tuple(fc.constantFrom("192.0.2.", "169.254.169."), fc.nat(255), fc.integer({ min: 24, max: 32 })),
      fc.tuple(fc.constant("2001:db8::"), fc.nat(255), fc.integer({ min: 120, max: 128 })),
    )
    .map(([prefix, host, length]) =>
      parseIpRange(`${prefix}${prefix.includes(":") ? host.toString(16) : host}/${length}`),
    );
}

/** Ports that often meet. */
export function portSpans(): fc.Arbitrary<PortSpan> {
  const port = fc.constantFrom(1, 442, 443, 444, 8000, 8010, 65534, 65535);
  return fc
    .tuple(port, port, fc.constantFrom("tcp" as const, "udp" as const, undefined))
    .map(([one, other, protocol]) => ({
      first: Math.min(one, other),
      last: Math.max(one, other),
      ...(protocol === undefined ? {} : { protocol }),
    }));
}

export function destinations(maxLength = 8): fc.Arbitrary<Destination[]> {
  const ports = fc.option(portSpans(), { nil: undefined });
  return fc.array(
    fc
      .tuple(ranges(), ports)
      .map(([range, span]) => (span === undefined ? { range } : { range, ports: span })),
    { maxLength },
  );
}

/** Some have ended already. */
function ends(): fc.Arbitrary<number> {
  return fc.constantFrom(-5, 0, 100, 100, 200.5, 300, 86400);
}

export function timedDestinations(maxLength = 6): fc.Arbitrary<TimedDestination[]> {
  return destinations(maxLength).chain((entries) =>
    fc.tuple(...entries.map((entry) => ends().map((remainingSeconds) => ({ ...entry, remainingSeconds })))),
  );
}

function scopes(): fc.Arbitrary<LearnedScope[]> {
  const area = fc.tuple(fc.boolean(), fc.array(portSpans(), { maxLength: 3 })).map(([isRest, spans]) => {
    const named = spans.map(areaOf).reduce(unionAreas, { tcp: [], udp: [], other: false });
    return isRest ? subtractAreas(EVERY_PORT, named) : named;
  });
  const scope = fc
    .tuple(fc.integer({ min: 1, max: 4 }), area, fc.option(ends(), { nil: undefined }))
    .map(([id, opened, remainingSeconds]) => ({
      id,
      area: opened,
      ...(remainingSeconds === undefined ? {} : { remainingSeconds }),
    }));
  return fc.uniqueArray(scope, { selector: ({ id }) => id, maxLength: 3 });
}

/** Policies with everything that may change in them. */
export function policies(): fc.Arbitrary<EgressPolicy> {
  return fc
    .record({
      allow: destinations(),
      deny: destinations(),
      timed: fc.option(fc.record({ allow: timedDestinations(), deny: timedDestinations() }), {
        nil: undefined,
      }),
      lifted: fc.array(fc.tuple(fc.nat(7), ends()), { maxLength: 3 }),
      scopes: scopes(),
      fixed: fc.option(destinations(), { nil: undefined, freq: 5 }),
      generations: fc.tuple(fc.nat(3), fc.nat(3)),
      revision: fc.nat(9),
      timeoutSeconds: fc.constantFrom(1800, 1800, 1800, 60),
    })
    .map(({ allow, deny, timed, lifted, scopes, fixed, generations, revision, timeoutSeconds }) => ({
      ...WITH_RESOLVER,
      revision,
      allow,
      deny,
      ...(timed === undefined
        ? {}
        : {
            timed: {
              ...timed,
              lift: lifted.flatMap(([index, remainingSeconds]) => {
                const entry = deny[index];
                return entry === undefined ? [] : [{ ...entry, remainingSeconds }];
              }),
            },
          }),
      learned:
        fixed !== undefined
          ? { kind: "fixed" as const, destinations: fixed }
          : {
              ...BY_RESOLVER,
              timeoutSeconds,
              scopes,
              queryGeneration: generations[0],
              flowGeneration: generations[1],
            },
    }));
}

export function modes() {
  return fc.constantFrom(UP, DOWN, DOWN_ALL, DOWN_FOR, DOWN_ALL_FOR, BLOCK);
}
