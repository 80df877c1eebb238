import { type Destination, type EgressPolicy, ownerDestinations, type ShieldMode } from "./egress-policy.ts";
import { isSingleAddress } from "./ip-range.ts";
import { latestPieces, liftedPieces, type Piece, type Pieces, permanentPieces } from "./pieces.ts";
import type { PlannedSet } from "./ruleset.ts";
import { activeSet, BYPASS_LEASE, keptSets, learnedSets } from "./set-names.ts";
import { PRIVATE_RANGES } from "./special-ranges.ts";
import { FAMILIES, type Family } from "./statement.ts";

/** Sets that a policy has no use for are not there. What has ended keeps its set until the policy drops it. */
export function planPolicySets(policy: EgressPolicy): readonly PlannedSet[] {
  const sets = planned.get(policy) ?? plan(policy);
  planned.set(policy, sets);
  return sets;
}

/** The same policy is rendered, listed and changed from. Policies do not change. */
const planned = new WeakMap<EgressPolicy, readonly PlannedSet[]>();

function plan(policy: EgressPolicy): readonly PlannedSet[] {
  const { allow, deny, learned, timed = { allow: [], deny: [], lift: [] } } = policy;
  const destinations: DestinationSets[] = [
    { name: "deny", entries: deny, pieces: permanentPieces(deny) },
    { name: "lift", entries: timed.lift, pieces: liftedPieces(deny, timed.lift), timed: true },
    { name: "timed_deny", entries: timed.deny, pieces: latestPieces(timed.deny), timed: true },
    { name: "allow", entries: allow, pieces: permanentPieces(ownerDestinations(allow)) },
    {
      name: "timed_allow",
      entries: timed.allow,
      pieces: latestPieces(ownerDestinations(timed.allow)),
      timed: true,
    },
    ...(learned.kind === "fixed"
      ? [{ name: "dns", entries: learned.destinations, pieces: permanentPieces(learned.destinations) }]
      : []),
  ];
  return FAMILIES.flatMap((family) => [
    pieceSet({ name: `private_${family}`, family, pieces: PRIVATE_PIECES }),
    ...destinations.flatMap((sets) => setsOf(sets, family)),
    ...learnedSetsOf(policy, family, learnedSets),
  ]).concat(
    learned.kind === "fixed"
      ? []
      : learned.scopes.flatMap(({ id, remainingSeconds }) => lease(activeSet(id), remainingSeconds)),
  );
}

/** The sets of bypass. */
export function planModeSets(policy: EgressPolicy, mode: ShieldMode): PlannedSet[] {
  if (mode.kind !== "down") return [];
  return [
    ...FAMILIES.flatMap((family) => learnedSetsOf(policy, family, keptSets)),
    ...lease(BYPASS_LEASE, mode.remainingSeconds),
  ];
}

interface DestinationSets {
  readonly name: string;
  readonly entries: readonly Destination[];
  readonly pieces: Pieces;
  readonly timed?: boolean;
}

const PRIVATE_PIECES: readonly Piece[] = PRIVATE_RANGES.map((range) => ({ range }));

function setsOf({ name, entries, pieces, timed = false }: DestinationSets, family: Family): PlannedSet[] {
  const isThere = !timed || entries.some(({ ports }) => ports === undefined);
  const isThereForPorts = entries.some(({ ports }) => ports !== undefined);
  return [
    ...(isThere ? everyPortSets({ name, family, timed, pieces: pieces.everyPort }) : []),
    ...(isThereForPorts
      ? [
          pieceSet({
            name: `${name}_ports_${family}`,
            family,
            timed,
            withPorts: true,
            pieces: pieces.somePorts,
          }),
        ]
      : []),
  ];
}

/** Above this, single addresses have a set of their own: a set of ranges is read whole by nft to add one more. */
export const MANY_SINGLES = 1000;

function everyPortSets({ name, family, timed = false, pieces }: SetOfPieces): PlannedSet[] {
  const isSingle = ({ range }: Piece) => isSingleAddress(range);
  const all = pieceSet({ name: `${name}_${family}`, family, timed, pieces });
  const singles = timed ? [] : all.pieces.filter(isSingle);
  if (singles.length <= MANY_SINGLES) return [all];
  return [
    { ...all, pieces: all.pieces.filter((piece) => !isSingle(piece)) },
    pieceSet({ name: `${name}_singles_${family}`, family, singles: true, pieces: singles }),
  ];
}

interface SetOfPieces {
  readonly name: string;
  readonly family: Family;
  readonly pieces: readonly Piece[];
  readonly timed?: boolean;
  readonly withPorts?: boolean;
  readonly singles?: boolean;
}

function pieceSet(set: SetOfPieces): PlannedSet & { readonly kind: "pieces" } {
  const own = set.pieces.filter(({ range }) => range.family === (set.family === "v4" ? 4 : 6));
  return { kind: "pieces", timed: false, withPorts: false, singles: false, ...set, pieces: own };
}

function learnedSetsOf(
  { learned }: EgressPolicy,
  family: Family,
  names: (scopeId: number) => Readonly<Record<Family, string>>,
): PlannedSet[] {
  if (learned.kind === "fixed") return [];
  const { timeoutSeconds, scopes } = learned;
  return [0, ...scopes.map(({ id }) => id)].map((id) => ({
    kind: "learned",
    name: names(id)[family],
    family,
    timeoutSeconds,
  }));
}

function lease(name: string, remainingSeconds: number | undefined): PlannedSet[] {
  return remainingSeconds === undefined ? [] : [{ kind: "lease", name, remainingSeconds }];
}
