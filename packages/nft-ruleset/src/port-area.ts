export type Transport = "tcp" | "udp";

/** Ports of one transport protocol, or of both. */
export interface PortSpan {
  readonly first: number;
  readonly last: number;
  readonly protocol?: Transport;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * What of an address is open: ports of TCP and UDP, sorted, neither overlapping nor adjacent, and all
 * or nothing of the protocols that have no ports. Two areas are equal when their data is.
 */
export interface PortArea {
  readonly tcp: readonly PortRange[];
  readonly udp: readonly PortRange[];
  readonly other: boolean;
}

export const EVERY_PORT_RANGE: PortRange = { first: 0, last: 65535 };
export const EVERY_PORT: PortArea = { tcp: [EVERY_PORT_RANGE], udp: [EVERY_PORT_RANGE], other: true };
export const NO_PORT: PortArea = { tcp: [], udp: [], other: false };

/** The area of an entry's ports; an entry without them means every protocol and port. */
export function areaOf(ports: PortSpan | undefined): PortArea {
  if (ports === undefined) return EVERY_PORT;
  const range = { first: ports.first, last: ports.last };
  return {
    tcp: ports.protocol === "udp" ? [] : [range],
    udp: ports.protocol === "tcp" ? [] : [range],
    other: false,
  };
}

export function unionAreas(left: PortArea, right: PortArea): PortArea {
  return {
    tcp: mergePorts([...left.tcp, ...right.tcp]),
    udp: mergePorts([...left.udp, ...right.udp]),
    other: left.other || right.other,
  };
}

/** What of `left` is not in `right`. */
export function subtractAreas(left: PortArea, right: PortArea): PortArea {
  return {
    tcp: subtractPorts(left.tcp, right.tcp),
    udp: subtractPorts(left.udp, right.udp),
    other: left.other && !right.other,
  };
}

export function sameArea(left: PortArea, right: PortArea): boolean {
  return left.other === right.other && samePorts(left.tcp, right.tcp) && samePorts(left.udp, right.udp);
}

function samePorts(left: readonly PortRange[], right: readonly PortRange[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ first, last }, index) => first === right[index]?.first && last === right[index]?.last)
  );
}

/** One text for each area: `every port`, `no port`, or as in `tcp:443,8000-8010 udp:53 other`. */
export function renderArea({ tcp, udp, other }: PortArea): string {
  const parts = [
    ...(tcp.length > 0 ? [`tcp:${tcp.map(renderPorts).join(",")}`] : []),
    ...(udp.length > 0 ? [`udp:${udp.map(renderPorts).join(",")}`] : []),
    ...(other ? ["other"] : []),
  ];
  const text = parts.join(" ");
  if (text === EVERYTHING) return "every port";
  return text === "" ? "no port" : text;
}

const EVERYTHING = "tcp:0-65535 udp:0-65535 other";

/**
 * Reads what `renderArea` wrote.
 * @throws Error when it did not write that.
 */
export function parseArea(text: string): PortArea {
  const area = readArea(text === "every port" ? EVERYTHING : text === "no port" ? "" : text);
  if (area === undefined || renderArea(area) !== text) {
    throw new Error(`${JSON.stringify(text)} is not an area of ports`);
  }
  return area;
}

function readArea(text: string): PortArea | undefined {
  const [, tcp, udp, other] = /^(?:tcp:([\d,-]+))? ?(?:udp:([\d,-]+))? ?(other)?$/.exec(text) ?? [];
  const [tcpPorts, udpPorts] = [readPorts(tcp), readPorts(udp)];
  if (tcpPorts === undefined || udpPorts === undefined) return undefined;
  return { tcp: mergePorts(tcpPorts), udp: mergePorts(udpPorts), other: other !== undefined };
}

function readPorts(text: string | undefined): PortRange[] | undefined {
  if (text === undefined) return [];
  const ranges = text.split(",").map((part) => {
    const [first = Number.NaN, last = first] = part.split("-").map(Number);
    return { first, last };
  });
  const wellFormed = ranges.every(({ first, last }) => first <= last && last <= EVERY_PORT_RANGE.last);
  return wellFormed ? ranges : undefined;
}

/** `443` or `8000-8010`. */
export function renderPorts({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const { first, last } of [...ranges].sort((left, right) => left.first - right.first)) {
    const previous = merged.at(-1);
    if (previous === undefined || first > previous.last + 1) merged.push({ first, last });
    else merged[merged.length - 1] = { first: previous.first, last: Math.max(previous.last, last) };
  }
  return merged;
}

function subtractPorts(ranges: readonly PortRange[], holes: readonly PortRange[]): PortRange[] {
  return holes.reduce<PortRange[]>(
    (left, hole) =>
      left.flatMap(({ first, last }) =>
        [
          { first, last: Math.min(last, hole.first - 1) },
          { first: Math.max(first, hole.last + 1), last },
        ].filter((part) => part.first <= part.last),
      ),
    [...ranges],
  );
}
