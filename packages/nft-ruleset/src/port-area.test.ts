import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { portSpans } from "../testing/arbitrary-policies.ts";
import {
  areaOf,
  EVERY_PORT,
  NO_PORT,
  type PortArea,
  parseArea,
  renderArea,
  sameArea,
  subtractAreas,
  unionAreas,
} from "./port-area.ts";

const POINTS = [0, 1, 2, 441, 442, 443, 444, 445, 7999, 8000, 8001, 8010, 8011, 65533, 65534, 65535];

describe("renderArea", () => {
  test.each<[string, PortArea]>([
    ["every port", EVERY_PORT],
    ["every port", areaOf(undefined)],
    ["no port", NO_PORT],
    ["tcp:443 udp:443", areaOf({ first: 443, last: 443 })],
    ["udp:8000-8010", areaOf({ first: 8000, last: 8010, protocol: "udp" })],
    [
      "tcp:0-24,26-65535 udp:0-65535 other",
      subtractAreas(EVERY_PORT, areaOf({ first: 25, last: 25, protocol: "tcp" })),
    ],
    ["other", subtractAreas(EVERY_PORT, areaOf({ first: 0, last: 65535 }))],
    [
      "tcp:80-90 udp:53",
      unionAreas(
        areaOf({ first: 80, last: 85, protocol: "tcp" }),
        unionAreas(
          areaOf({ first: 53, last: 53, protocol: "udp" }),
          areaOf({ first: 86, last: 90, protocol: "tcp" }),
        ),
      ),
    ],
  ])("%j", (text, area) => {
    expect(renderArea(area)).toBe(text);
    expect(parseArea(text)).toEqual(area);
  });
});

describe("parseArea", () => {
  test.each([
    "",
    "all",
    "tcp:",
    "tcp:443,",
    "tcp:443,80",
    "tcp:80-79",
    "tcp:80,81",
    "tcp:80-90,85-95",
    "tcp:080",
    "tcp:1e3",
    "tcp:80-",
    "tcp:-80",
    "tcp:1-2-3",
    "tcp:65536",
    "tcp:99999999999999999999",
    "udp:53 tcp:443",
    "tcp:443  udp:53",
    "tcp:443 ",
    " tcp:443",
    "tcp:443 other udp:53",
    "tcp:443\n",
    "tcp:0-65535 udp:0-65535 other",
    "icmp:1",
    "OTHER",
  ])("%j is not an area", (text) => {
    expect(() => parseArea(text)).toThrow(`${JSON.stringify(text)} is not an area of ports`);
  });

  test("reads what renderArea wrote", () => {
    fc.assert(
      fc.property(areas(), (area) => {
        expect(parseArea(renderArea(area))).toEqual(area);
      }),
    );
  });

  test("writes again whatever it reads", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^(tcp:[0-9,-]{0,9})?( ?udp:[0-9,-]{0,9})?( ?other)?$/), (text) => {
        try {
          expect(renderArea(parseArea(text))).toBe(text);
        } catch (error) {
          expect((error as Error).message).toBe(`${JSON.stringify(text)} is not an area of ports`);
        }
      }),
    );
  });
});

describe("the algebra of areas", () => {
  test("a union holds what either holds, a difference what only the first holds", () => {
    fc.assert(
      fc.property(areas(), areas(), (left, right) => {
        const [union, difference] = [unionAreas(left, right), subtractAreas(left, right)];
        expect(union.other).toBe(left.other || right.other);
        expect(difference.other).toBe(left.other && !right.other);
        for (const transport of ["tcp", "udp"] as const) {
          for (const port of POINTS) {
            const [inLeft, inRight] = [holds(left, transport, port), holds(right, transport, port)];
            expect(holds(union, transport, port)).toBe(inLeft || inRight);
            expect(holds(difference, transport, port)).toBe(inLeft && !inRight);
          }
        }
      }),
    );
  });

  test("the same area has one text, however it came about", () => {
    fc.assert(
      fc.property(areas(), areas(), (left, right) => {
        const [both, shared] = [unionAreas(left, right), subtractAreas(left, subtractAreas(left, right))];
        expect(unionAreas(right, left)).toEqual(both);
        expect(unionAreas(subtractAreas(both, right), right)).toEqual(both);
        expect(subtractAreas(right, subtractAreas(right, left))).toEqual(shared);
        expect(sameArea(left, right)).toBe(renderArea(left) === renderArea(right));
      }),
    );
  });
});

function areas(): fc.Arbitrary<PortArea> {
  return fc.tuple(fc.boolean(), fc.array(portSpans(), { maxLength: 5 })).map(([isRest, spans]) => {
    const named = spans.map(areaOf).reduce(unionAreas, NO_PORT);
    return isRest ? subtractAreas(EVERY_PORT, named) : named;
  });
}

function holds(area: PortArea, transport: "tcp" | "udp", port: number): boolean {
  return area[transport].some(({ first, last }) => first <= port && port <= last);
}
