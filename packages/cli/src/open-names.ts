import {
  areaOfParts,
  deniedArea,
  domainsAbove,
  isDeniedWholly,
  isWithin,
  type NameRules,
  nearestParent,
  type OpenPart,
  openParts,
  type Point,
  type Rule,
  renderPart,
  renderParts,
  rulesAtPoint,
} from "./name-rules.ts";

/** Which names a resolver that fills sets may answer, and what each of them opens. */
export interface OpenNames {
  readonly exact: readonly { readonly name: string; readonly parts: readonly OpenPart[] }[];
  readonly wildcards: readonly { readonly parent: string; readonly parts: readonly OpenPart[] }[];
  /** These beat the open ones. */
  readonly closedExact: readonly string[];
  readonly closedWildcards: readonly string[];
  /** Bypass knows no ports, so there a name that is denied in part is closed too. */
  readonly closedInBypass: {
    readonly closedExact: readonly string[];
    readonly closedWildcards: readonly string[];
  };
  /** What is closed although an entry opens it. */
  readonly conflicts: readonly NameConflict[];
}

/** What is closed although a rule opens it. */
export interface NameConflict {
  /**
   * `indistinct`: dnsmasq cannot tell the rules apart. Its lines that fill sets mean a name and all below it, and what it
   * closes below a domain has no open name in it. `crowded`: there are more different ports and times than scopes.
   */
  readonly reason: "indistinct" | "crowded";
  readonly closes: Point["kind"];
  readonly domain: string;
  readonly rules: readonly Rule[];
}

/** The most parts that one name may have: each is a pair of sets in a line of dnsmasq.conf. */
export const MOST_PARTS = 8;
/** The most different parts of all names: each is a pair of sets and two rules in the kernel. */
export const MOST_SCOPES = 64;

/** What the rules open. Where dnsmasq cannot tell them apart, less is open than they say, never more. */
export function planOpenNames(rules: NameRules): OpenNames {
  const view = viewNames(rules);
  const { conflicts, partsAt } = view;
  const enclosing = (domain: string): readonly OpenPart[] => {
    const parent = nearestParent(domain, rules.parents);
    return parent === undefined ? [] : partsAt({ kind: "below", domain: parent });
  };
  const isOpen = (point: Point) => partsAt(point).length > 0;
  /** What a wider wildcard says in the same words needs no entry of its own. */
  const needsEntry = (point: Point) =>
    isOpen(point) && renderParts(partsAt(point)) !== renderParts(enclosing(point.domain));
  const isDenied = ({ kind, domain }: Point) => rules.deny[kind].has(domain);
  const isClosed = (point: Point) =>
    !isOpen(point) &&
    (enclosing(point.domain).length > 0 || (isDenied(point) && isDeniedWholly(rules, point)));
  const isClosedInBypass = (point: Point) =>
    isDenied(point) && !isWithin(deniedArea(rules, point), areaOfParts(partsAt(point)));
  const exact = [...new Set([...rules.exact, ...closedBy(conflicts, "exact")])].map(pointOf("exact"));
  const below = [...rules.parents].map(pointOf("below"));
  return {
    exact: exact.filter(needsEntry).map((point) => ({ name: point.domain, parts: partsAt(point) })),
    wildcards: below.filter(needsEntry).map((point) => ({ parent: point.domain, parts: partsAt(point) })),
    closedExact: exact.filter(isClosed).map(domainOf),
    closedWildcards: below.filter(isClosed).map(domainOf),
    closedInBypass: {
      closedExact: exact.filter(isClosedInBypass).map(domainOf),
      closedWildcards: below.filter(isClosedInBypass).map(domainOf),
    },
    conflicts,
  };
}

/** What is open at each point, conflicts considered. */
export interface NamesView {
  readonly conflicts: readonly NameConflict[];
  partsAt(point: Point): readonly OpenPart[];
}

export function viewNames(rules: NameRules): NamesView {
  const known = new Map<string, readonly OpenPart[]>();
  const partsByRules = (point: Point): readonly OpenPart[] => {
    const key = `${point.kind} ${point.domain}`;
    const parts = known.get(key) ?? openParts(rules, point).slice(0, MOST_PARTS);
    known.set(key, parts);
    return parts;
  };
  const conflicts = [
    ...findIndistinct(rules, partsByRules),
    ...findHoled(rules, partsByRules),
    ...findCrowded(rules, partsByRules),
  ];
  const closedNames = new Set(closedBy(conflicts, "exact"));
  const closedParents = new Set(closedBy(conflicts, "below"));
  const isClosed = ({ kind, domain }: Point) =>
    (kind === "exact" ? closedNames : closedParents).has(domain) ||
    (closedParents.size > 0 && nearestParent(domain, closedParents) !== undefined);
  return { conflicts, partsAt: (point) => (isClosed(point) ? [] : partsByRules(point)) };
}

type PartsAt = NamesView["partsAt"];

function closedBy(conflicts: readonly NameConflict[], kind: Point["kind"]): string[] {
  return conflicts.filter((conflict) => conflict.closes === kind).map(({ domain }) => domain);
}

/** Names that open something else than those below them. */
function findIndistinct(rules: NameRules, partsAt: PartsAt): NameConflict[] {
  const domains = [...new Set([...rules.exact, ...rules.parents])].sort();
  return domains.flatMap((domain): NameConflict[] => {
    const [at, below] = [pointOf("exact")(domain), pointOf("below")(domain)];
    if (partsAt(at).length === 0 || partsAt(below).length === 0) return [];
    if (renderParts(partsAt(at)) === renderParts(partsAt(below))) return [];
    return [{ reason: "indistinct", closes: "exact", domain, rules: rulesOf(rules, at, below) }];
  });
}

/** Domains below which only some names are open, in what a wider wildcard opens. */
function findHoled(rules: NameRules, partsAt: PartsAt): NameConflict[] {
  const holed = [...rules.parents].filter((domain) => isHoled(rules, domain, partsAt));
  return holed.flatMap((domain): NameConflict[] => {
    const open = findOpenBelow(rules, domain, partsAt);
    if (open === undefined) return [];
    const conflicting = rulesOf(rules, open, pointOf("below")(domain));
    return [{ reason: "indistinct", closes: "below", domain, rules: conflicting }];
  });
}

/** What has no scope any more; what is open for good comes first. */
function findCrowded(rules: NameRules, partsAt: PartsAt): NameConflict[] {
  const points = pointsOf(rules);
  const parts = points.flatMap(partsAt);
  const keys = new Set([...parts.filter(isPermanent), ...parts].map(renderPart));
  if (keys.size <= MOST_SCOPES) return [];
  const numbered = new Set([...keys].slice(0, MOST_SCOPES));
  return points
    .filter((point) => !partsAt(point).every((part) => numbered.has(renderPart(part))))
    .map((point) => ({
      reason: "crowded",
      closes: point.kind,
      domain: point.domain,
      rules: rulesAtPoint(rules, point),
    }));
}

/** Closed by ports alone, in what a wider wildcard opens. */
function isHoled(rules: NameRules, domain: string, partsAt: PartsAt): boolean {
  const parent = nearestParent(domain, rules.parents);
  return (
    parent !== undefined &&
    partsAt(pointOf("below")(domain)).length === 0 &&
    !isDeniedWholly(rules, pointOf("below")(domain)) &&
    partsAt(pointOf("below")(parent)).length > 0
  );
}

function findOpenBelow(rules: NameRules, domain: string, partsAt: PartsAt): Point | undefined {
  return pointsOf(rules).find(
    (point) => domainsAbove(point.domain).includes(domain) && partsAt(point).length > 0,
  );
}

function pointsOf({ exact, parents }: NameRules): Point[] {
  return [...[...exact].map(pointOf("exact")), ...[...parents].map(pointOf("below"))];
}

/** The rules that say something about either of two points. */
function rulesOf(rules: NameRules, left: Point, right: Point): Rule[] {
  return [...new Set([...rulesAtPoint(rules, left), ...rulesAtPoint(rules, right)])];
}

function isPermanent({ lease }: OpenPart): boolean {
  return lease === undefined;
}

function pointOf(kind: Point["kind"]): (domain: string) => Point {
  return (domain) => ({ kind, domain });
}

function domainOf({ domain }: Point): string {
  return domain;
}
