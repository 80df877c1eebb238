import { refuse } from "./podman-arguments-error.ts";
import type { FlagUse } from "./podman-arguments-scan.ts";

/** A port inside the container that the host reaches. */
export interface PublishedPort {
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

const MOST_PORTS = 1000;
const TOO_MANY = `brings the published ports to more than ${MOST_PORTS}. Publish fewer.`;
const FORM =
  "is not [[ADDRESS:]HOST-PORT:]CONTAINER-PORT[/tcp|/udp]. Write for example -p 8080:80, or -p [::1]:8080:80/udp.";

/** Adds the ports of one `--publish` to `known`, ranges written out; the same port twice is one port. */
export function addPublished(known: readonly PublishedPort[], { value, typed }: FlagUse): PublishedPort[] {
  const published = new Map(known.map((entry) => [nameOf(entry), entry]));
  for (const mapping of value.split(",")) {
    for (const entry of parseMapping(mapping, typed)) published.set(nameOf(entry), entry);
    if (published.size > MOST_PORTS) return refuse(typed, TOO_MANY);
  }
  return [...published.values()];
}

function nameOf({ port, protocol }: PublishedPort): string {
  return `${port}/${protocol}`;
}

function parseMapping(mapping: string, typed: readonly string[]): PublishedPort[] {
  const [ports = "", protocolText = "tcp", ...more] = mapping.split("/");
  const protocol = protocolText.toLowerCase();
  if (protocol === "sctp")
    return refuse(typed, "opens an SCTP port. Publish TCP or UDP: the shield holds no other.");
  if ((protocol !== "tcp" && protocol !== "udp") || more.length > 0) return refuse(typed, FORM);
  return parsePorts(ports, typed).map((port) => ({ port, protocol }));
}

function parsePorts(text: string, typed: readonly string[]): number[] {
  const [, bracketed, mapping = text] = /^\[([^[\]]*)\]:(.*:.*)$/.exec(text) ?? [];
  const parts = mapping.split(":");
  const address = bracketed ?? parts.at(-3);
  const ports = parseRange(parts.at(-1) ?? "");
  // An empty host port lets podman choose one.
  const hostPorts = parts.at(-2) ? parseRange(parts.at(-2) ?? "") : ports;
  const isWhole =
    parts.length <= (bracketed === undefined ? 3 : 2) && (address === undefined || isAddress(address));
  if (!isWhole || ports === undefined || hostPorts === undefined) return refuse(typed, FORM);
  if (ports.length > MOST_PORTS) return refuse(typed, TOO_MANY);
  if (hostPorts.length !== ports.length) {
    return refuse(
      typed,
      `maps ${hostPorts.length} host ports to ${ports.length} of the container. Write ranges of equal length.`,
    );
  }
  return ports;
}

function isAddress(text: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) || (text.includes(":") && /^[\da-f:.]+$/i.test(text));
}

function parseRange(text: string): number[] | undefined {
  const [, start, end] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const first = Number(start);
  const last = end === undefined ? first : Number(end);
  const isRange = first >= 1 && last <= 65535 && (end === undefined || last > first);
  return isRange ? Array.from({ length: last - first + 1 }, (_, index) => first + index) : undefined;
}
