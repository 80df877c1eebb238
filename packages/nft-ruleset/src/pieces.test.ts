import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { destinations, timedDestinations } from "../testing/arbitrary-policies.ts";
import { to } from "../testing/sample-policies.ts";
import type { Destination, TimedDestination } from "./egress-policy.ts";
import { pieceElement } from "./elements.ts";
import { parseIpRange, renderIpRange } from "./ip-range.ts";
import {
  comparePieces,
  latestPieces,
  liftedPieces,
  type Piece,
  type Pieces,
  permanentPieces,
} from "./pieces.ts";

const MORE_ADDRESSES = ["192.0.2.0", "192.0.2.128", "169.254.169.254", "2001:db8::7f"].map(parseIpRange);
const PORTS = [1, 2, 442, 443, 444, 445, 7999, 8000, 8010, 8011, 65534, 65535];

describe("permanentPieces", () => {
  test.each<[string, string[], string[], string[]]>([
    ["nothing", [], [], []],
    ["addresses are merged", ["192.0.2.0/25", "192.0.2.128/25", "192.0.2.9"], ["192.0.2.0/24"], []],
    [
      "ports of an address are merged, by transport",
      ["192.0.2.1 80-85/tcp", "192.0.2.1 86-90", "192.0.2.1 53/udp"],
      [],
      ["192.0.2.1 . tcp . 80-90", "192.0.2.1 . udp . 53", "192.0.2.1 . udp . 86-90"],
    ],
    [
      "neighbours with the same ports are merged",
      ["192.0.2.0 443/tcp", "192.0.2.1 443/tcp"],
      [],
      ["192.0.2.0/31 . tcp . 443"],
    ],
    [
      "neighbours with other ports are not",
      ["192.0.2.0 443/tcp", "192.0.2.1 443/udp"],
      [],
      ["192.0.2.0 . tcp . 443", "192.0.2.1 . udp . 443"],
    ],
    [
      "where addresses overlap, ports add up",
      ["192.0.2.0/30 80/tcp", "192.0.2.2/31 443/tcp"],
      [],
      ["192.0.2.0/31 . tcp . 80", "192.0.2.2/31 . tcp . 80", "192.0.2.2/31 . tcp . 443"],
    ],
    [
      "every port and some ports are kept apart, since a packet without ports has the first alone",
      ["192.0.2.1", "192.0.2.1 443/tcp"],
      ["192.0.2.1"],
      ["192.0.2.1 . tcp . 443"],
    ],
    [
      "the last IPv4 address and the first of IPv6 are no neighbours",
      ["255.255.255.255 1/tcp", ":: 1/tcp"],
      [],
      ["255.255.255.255 . tcp . 1", ":: . tcp . 1"],
    ],
  ])("%s", (_, texts, everyPort, somePorts) => {
    expect(rendered(permanentPieces(texts.map(to)))).toEqual({ everyPort, somePorts });
    expect(rendered(permanentPieces(texts.map(to).reverse()))).toEqual({ everyPort, somePorts });
  });

  test("holds what the destinations hold, each point once", () => {
    fc.assert(
      fc.property(destinations(), (entries) => {
        const pieces = permanentPieces(entries);
        for (const address of addressesOf(entries)) {
          const atAll = entries.filter((entry) => entry.ports === undefined && covers(entry, address));
          expect(holders(pieces.everyPort, address)).toHaveLength(Math.min(1, atAll.length));
          forEachPort((transport, port) => {
            const named = entries.filter(
              (entry) => covers(entry, address) && namesPort(entry, transport, port),
            );
            expect(holders(pieces.somePorts, address, transport, port)).toHaveLength(
              Math.min(1, named.length),
            );
          });
        }
      }),
    );
  });

  test("the pieces of pieces are the same", () => {
    fc.assert(
      fc.property(destinations(), (entries) => {
        const pieces = permanentPieces(entries);
        const again = [...pieces.everyPort, ...pieces.somePorts].map(
          ({ range, ports }): Destination =>
            ports === undefined ? { range } : { range, ports: { ...ports, protocol: ports.transport } },
        );
        expect(permanentPieces(again.reverse())).toEqual(pieces);
      }),
    );
  });
});

describe("latestPieces", () => {
  test("at each point, the one that ends last", () => {
    fc.assert(
      fc.property(timedDestinations(), (entries) => {
        const pieces = latestPieces(entries);
        for (const address of addressesOf(entries)) {
          const atAll = entries.filter((entry) => entry.ports === undefined && covers(entry, address));
          expect(endsOf(holders(pieces.everyPort, address))).toEqual(latestOf(atAll));
          forEachPort((transport, port) => {
            const named = entries.filter(
              (entry) => covers(entry, address) && namesPort(entry, transport, port),
            );
            expect(endsOf(holders(pieces.somePorts, address, transport, port))).toEqual(latestOf(named));
          });
        }
      }),
    );
  });

  test.each<[string, [string, number][], string[]]>([
    [
      "the longer of two",
      [
        ["192.0.2.1", 9],
        ["192.0.2.1", 60],
      ],
      ["192.0.2.1 60"],
    ],
    [
      "a wider one that is shorter, around it",
      [
        ["192.0.2.0/30", 9],
        ["192.0.2.1", 60],
      ],
      ["192.0.2.0 9", "192.0.2.1 60", "192.0.2.2/31 9"],
    ],
    [
      "a wider one that is longer, alone",
      [
        ["192.0.2.0/30", 60],
        ["192.0.2.1", 9],
      ],
      ["192.0.2.0/30 60"],
    ],
    [
      "what has ended, by itself",
      [
        ["192.0.2.0/31", -1],
        ["192.0.2.1", 9],
      ],
      ["192.0.2.0 -1", "192.0.2.1 9"],
    ],
    [
      "neighbours with the same end, as one",
      [
        ["192.0.2.0", 9],
        ["192.0.2.1", 9],
      ],
      ["192.0.2.0/31 9"],
    ],
    [
      "ports, by transport",
      [
        ["192.0.2.1 80-90", 9],
        ["192.0.2.1 85/udp", 60],
      ],
      [
        "192.0.2.1 . tcp . 80-90 9",
        "192.0.2.1 . udp . 80-84 9",
        "192.0.2.1 . udp . 85 60",
        "192.0.2.1 . udp . 86-90 9",
      ],
    ],
  ])("%s", (_, entries, pieces) => {
    const timed = entries.map(([text, remainingSeconds]) => ({ ...to(text), remainingSeconds }));
    const { everyPort, somePorts } = latestPieces(timed);
    const texts = [...everyPort, ...somePorts].map(
      (piece) => `${pieceElement(piece).text} ${piece.remainingSeconds}`,
    );
    expect(texts).toEqual(pieces);
  });

  test("what has ended and leaves does not change the rest", () => {
    fc.assert(
      fc.property(timedDestinations(), fc.constantFrom(0, 100, 200.5, 300), (entries, now) => {
        const isLeft = ({ remainingSeconds = 0 }: Piece | TimedDestination) => remainingSeconds > now;
        const pieces = latestPieces(entries);
        expect(latestPieces(entries.filter(isLeft))).toEqual({
          everyPort: pieces.everyPort.filter(isLeft),
          somePorts: pieces.somePorts.filter(isLeft),
        });
      }),
    );
  });
});

describe("liftedPieces", () => {
  test("at each point, until the first denial that covers it is back, if all are lifted", () => {
    const lifted = fc.tuple(
      destinations(),
      fc.array(fc.tuple(fc.nat(7), fc.constantFrom(-5, 100, 200, 300)), { maxLength: 8 }),
    );
    fc.assert(
      fc.property(lifted, ([deny, ends]) => {
        const lifts = new Map(ends.map(([index, remainingSeconds]) => [deny[index], remainingSeconds]));
        const lift = [...lifts].flatMap(([entry, remainingSeconds]) =>
          entry ? [{ ...entry, remainingSeconds }] : [],
        );
        const endOf = (entry: Destination) =>
          lift.findLast((other) => rendersAs(other) === rendersAs(entry))?.remainingSeconds;
        const firstBack = (denials: readonly Destination[]) => {
          const known = denials.map(endOf);
          return denials.length === 0 || known.includes(undefined) ? [] : [Math.min(...(known as number[]))];
        };
        const pieces = liftedPieces(deny, lift);
        for (const address of addressesOf(deny)) {
          const atAll = deny.filter((entry) => entry.ports === undefined && covers(entry, address));
          expect(endsOf(holders(pieces.everyPort, address))).toEqual(firstBack(atAll));
          forEachPort((transport, port) => {
            const named = deny.filter((entry) => covers(entry, address) && namesPort(entry, transport, port));
            expect(endsOf(holders(pieces.somePorts, address, transport, port))).toEqual(firstBack(named));
          });
        }
      }),
    );
  });

  test.each<[string, string[], string[], string[]]>([
    ["a denial itself", ["192.0.2.1"], ["192.0.2.1"], ["192.0.2.1"]],
    ["not what a wider one covers", ["192.0.2.1", "192.0.2.0/24"], ["192.0.2.1"], []],
    ["not the narrower one in it", ["192.0.2.1", "192.0.2.0/31"], ["192.0.2.0/31"], ["192.0.2.0"]],
    [
      "not another one of the same addresses, on ports",
      ["192.0.2.1", "192.0.2.1 443"],
      ["192.0.2.1 443/tcp"],
      [],
    ],
    ["nothing that is not denied", [], ["192.0.2.1"], []],
  ])("%s", (_, deny, lift, pieces) => {
    const timed = lift.map((text) => ({ ...to(text), remainingSeconds: 9 }));
    expect(rendered(liftedPieces(deny.map(to), timed)).everyPort).toEqual(pieces);
    expect(rendered(liftedPieces(deny.map(to), timed)).somePorts).toEqual([]);
  });
});

test("pieces are sorted as the kernel's elements are told apart: by addresses, transport and ports", () => {
  fc.assert(
    fc.property(timedDestinations(), (entries) => {
      for (const pieces of Object.values(latestPieces(entries))) {
        for (const [index, piece] of pieces.slice(1).entries()) {
          expect(comparePieces(pieces[index], piece)).toBeLessThan(0);
        }
      }
    }),
  );
});

function rendered(pieces: Pieces): Record<keyof Pieces, string[]> {
  const texts = (list: readonly Piece[]) => list.map((piece) => pieceElement(piece).text);
  return { everyPort: texts(pieces.everyPort), somePorts: texts(pieces.somePorts) };
}

type Address = Destination["range"];

/** Where the destinations begin and end. */
function addressesOf(entries: readonly Destination[]): Address[] {
  const ends = entries.flatMap(({ range }) => {
    const [first = "", last = first] = renderIpRange(range).split("/")[0]?.split("-") ?? [];
    return [first, last].map(parseIpRange);
  });
  return [...ends, ...MORE_ADDRESSES];
}

function covers({ range }: { readonly range: Address }, address: Address): boolean {
  return range.family === address.family && range.first <= address.first && address.first <= range.last;
}

function namesPort({ ports }: Destination, transport: string, port: number): boolean {
  if (ports === undefined || (ports.protocol !== undefined && ports.protocol !== transport)) return false;
  return ports.first <= port && port <= ports.last;
}

function holders(pieces: readonly Piece[], address: Address, transport?: string, port = 0): Piece[] {
  return pieces.filter(
    (piece) =>
      covers(piece, address) &&
      piece.ports?.transport === transport &&
      (piece.ports === undefined || (piece.ports.first <= port && port <= piece.ports.last)),
  );
}

function forEachPort(check: (transport: "tcp" | "udp", port: number) => void): void {
  for (const transport of ["tcp", "udp"] as const) for (const port of PORTS) check(transport, port);
}

function endsOf(pieces: readonly Piece[]): (number | undefined)[] {
  return pieces.map(({ remainingSeconds }) => remainingSeconds);
}

function latestOf(entries: readonly TimedDestination[]): number[] {
  return entries.length === 0 ? [] : [Math.max(...entries.map(({ remainingSeconds }) => remainingSeconds))];
}

function rendersAs({ range, ports }: Destination): string {
  return `${renderIpRange(range)} ${ports?.first} ${ports?.last} ${ports?.protocol}`;
}
