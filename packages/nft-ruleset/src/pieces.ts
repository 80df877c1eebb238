import type { Destination, TimedDestination } from "./egress-policy.ts";
import { compareRanges, type IpRange, mergeRanges, overlayRanges } from "./ip-range.ts";
import {
  areaOf,
  EVERY_PORT,
  NO_PORT,
  type PortArea,
  type PortRange,
  sameArea,
  subtractAreas,
  type Transport,
  unionAreas,
} from "./port-area.ts";

/** One element of a set: addresses, where it names them on some ports of a transport, and for a time or not. */
export interface Piece {
  readonly range: IpRange;
  readonly ports?: PortRange & { readonly transport: Transport };
  readonly remainingSeconds?: number;
}

/**
 * Disjoint and sorted pieces, as the kernel's sets want them; those on every port apart from those on some, which go
 * into sets of another type. The same destinations give the same pieces, in whatever words.
 */
export interface Pieces {
  readonly everyPort: readonly Piece[];
  readonly somePorts: readonly Piece[];
}

export function permanentPieces(destinations: readonly Destination[]): Pieces {
  const { everyPort, somePorts } = byPorts(destinations);
  return {
    everyPort: mergeRanges(everyPort.map(({ range }) => range)).map((range) => ({ range })),
    somePorts: regionOf(somePorts).flatMap(piecesOf).sort(comparePieces),
  };
}

/** Where destinations overlap, the one that ends last counts. */
export function latestPieces(destinations: readonly TimedDestination[]): Pieces {
  const latest = (entries: readonly TimedDestination[]) =>
    timedPieces(entries, (end) => entries.filter(({ remainingSeconds }) => remainingSeconds > end));
  const { everyPort, somePorts } = byPorts(destinations);
  return { everyPort: latest(everyPort), somePorts: latest(somePorts) };
}

/** Where every denial is lifted, as long as it is: the first that is back ends it. */
export function liftedPieces(deny: readonly Destination[], lift: readonly TimedDestination[]): Pieces {
  const ends = new Map(lift.map((entry) => [destinationKey(entry), entry.remainingSeconds]));
  const lifted = (denials: readonly Destination[]) => {
    const timed = denials.map((entry) => ({
      ...entry,
      remainingSeconds: ends.get(destinationKey(entry)) ?? Number.NEGATIVE_INFINITY,
    }));
    return timedPieces(
      timed.filter(({ remainingSeconds }) => Number.isFinite(remainingSeconds)),
      (end) => timed.filter(({ remainingSeconds }) => remainingSeconds < end),
    );
  };
  const { everyPort, somePorts } = byPorts(deny);
  return { everyPort: lifted(everyPort), somePorts: lifted(somePorts) };
}

/**
 * Cut end by end, so that what ends never changes how the rest is cut: the kernel drops whole elements only.
 * @param rivals the destinations that take what ends then for themselves
 */
function timedPieces(
  destinations: readonly TimedDestination[],
  rivals: (end: number) => readonly Destination[],
): Piece[] {
  const ends = new Set(destinations.map(({ remainingSeconds }) => remainingSeconds));
  const pieces = [...ends].flatMap((end) => {
    const ending = destinations.filter(({ remainingSeconds }) => remainingSeconds === end);
    return subtractRegions(regionOf(ending), regionOf(rivals(end)))
      .flatMap(piecesOf)
      .map((piece) => ({ ...piece, remainingSeconds: end }));
  });
  return pieces.sort(comparePieces);
}

/** Sorting order of pieces; 0 for those that are one and the same element, whatever its time. */
export function comparePieces(left: Piece, right: Piece): number {
  return (
    compareRanges(left.range, right.range) ||
    compareTransports(left.ports?.transport, right.ports?.transport) ||
    (left.ports?.first ?? 0) - (right.ports?.first ?? 0) ||
    (left.ports?.last ?? 0) - (right.ports?.last ?? 0)
  );
}

function compareTransports(left: Transport = "tcp", right: Transport = "tcp"): number {
  return left === right ? 0 : left < right ? -1 : 1;
}

function byPorts<Entry extends Destination>(entries: readonly Entry[]): Record<keyof Pieces, Entry[]> {
  return {
    everyPort: entries.filter(({ ports }) => ports === undefined),
    somePorts: entries.filter(({ ports }) => ports !== undefined),
  };
}

/** Part of a region: no two overlap, and neighbours have different areas. */
interface Slab {
  readonly range: IpRange;
  readonly area: PortArea;
}

function regionOf(destinations: readonly Destination[]): Slab[] {
  return joinEqualNeighbours(
    overlayRanges(destinations).map(({ range, items }) => ({
      range,
      area: items.map(({ ports }) => areaOf(ports)).reduce(unionAreas, NO_PORT),
    })),
  );
}

function subtractRegions(region: readonly Slab[], removed: readonly Slab[]): Slab[] {
  const slabs = [
    ...region.map((slab) => ({ ...slab, isRemoved: false })),
    ...removed.map((slab) => ({ ...slab, isRemoved: true })),
  ];
  return joinEqualNeighbours(
    overlayRanges(slabs).map(({ range, items }) => {
      const areaOn = (isRemoved: boolean) => items.find((item) => item.isRemoved === isRemoved)?.area;
      return { range, area: subtractAreas(areaOn(false) ?? NO_PORT, areaOn(true) ?? NO_PORT) };
    }),
  );
}

function joinEqualNeighbours(slabs: readonly Slab[]): Slab[] {
  const joined: Slab[] = [];
  for (const slab of slabs) {
    const previous = joined.at(-1);
    const isNext =
      previous?.range.family === slab.range.family && previous.range.last + 1n === slab.range.first;
    if (isNext && sameArea(previous.area, slab.area)) {
      joined.pop();
      joined.push(...mergeRanges([previous.range, slab.range]).map((range) => ({ range, area: slab.area })));
    } else {
      joined.push(slab);
    }
  }
  return joined;
}

function piecesOf({ range, area }: Slab): Piece[] {
  if (sameArea(area, EVERY_PORT)) return [{ range }];
  return (["tcp", "udp"] as const).flatMap((transport) =>
    area[transport].map(({ first, last }) => ({ range, ports: { transport, first, last } })),
  );
}

function destinationKey({ range, ports }: Destination): string {
  return [range.family, range.first, range.last, ports?.protocol, ports?.first, ports?.last].join(" ");
}
