import type { AllowlistEntry } from "./parse-entry.ts";
import type { PortScope } from "./parse-port-scope.ts";

/**
 * True when `wider` opens all that `narrower` opens. Names and ranges cover each other never: which addresses
 * a name has is not known here.
 * @param coversRange tells the same of two ranges in the spelling of the entries
 */
export function coversEntry(
  wider: AllowlistEntry,
  narrower: AllowlistEntry,
  coversRange: (wider: string, narrower: string) => boolean,
): boolean {
  return coversTarget(wider, narrower, coversRange) && coversPorts(wider.ports, narrower.ports);
}

/** The same of ports; undefined is every port of every protocol, and so more than all ports of TCP and UDP. */
export function coversPorts(wider: PortScope | undefined, narrower: PortScope | undefined): boolean {
  if (wider === undefined) return true;
  if (narrower === undefined) return false;
  const coversProtocol = wider.protocol === undefined || wider.protocol === narrower.protocol;
  return coversProtocol && wider.first <= narrower.first && narrower.last <= wider.last;
}

function coversTarget(
  wider: AllowlistEntry,
  narrower: AllowlistEntry,
  coversRange: (wider: string, narrower: string) => boolean,
): boolean {
  if (wider.kind === "range") return narrower.kind === "range" && coversRange(wider.range, narrower.range);
  if (narrower.kind === "range") return false;
  if (wider.kind === "name") return narrower.kind === "name" && narrower.name === wider.name;
  const below = `.${wider.parent}`;
  return narrower.kind === "name"
    ? narrower.name.endsWith(below)
    : narrower.parent === wider.parent || narrower.parent.endsWith(below);
}
