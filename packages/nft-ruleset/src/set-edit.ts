import { ownerRanges } from "./egress-policy.ts";
import { type IpRange, mergeRanges, renderIpRange } from "./ip-range.ts";
import { TABLE } from "./ruleset.ts";

/**
 * Renders the change of a permanent set's content as one transaction, touching only elements that differ.
 * @returns undefined when nothing differs.
 */
export function renderSetEdit(
  set: "allow" | "deny" | "dns",
  before: readonly IpRange[],
  after: readonly IpRange[],
): string | undefined {
  const normalise = set === "allow" ? ownerRanges : mergeRanges;
  const [old, next] = [normalise(before), normalise(after)];
  const lines = ([4, 6] as const).flatMap((family) => {
    const name = `${TABLE.family} ${TABLE.name} ${set}_v${family}`;
    const [removed, added] = [missingFrom(next, old, family), missingFrom(old, next, family)];
    return [
      ...(removed.length > 0 ? [`delete element ${name} { ${removed.join(", ")} }`] : []),
      ...(added.length > 0 ? [`add element ${name} { ${added.join(", ")} }`] : []),
    ];
  });
  return lines.length > 0 ? `${lines.join("\n")}\n` : undefined;
}

/** Both are merged, hence sorted: one walk finds what only `here` has. */
function missingFrom(there: readonly IpRange[], here: readonly IpRange[], family: 4 | 6): string[] {
  const known = there.filter((range) => range.family === family);
  const missing: string[] = [];
  let next = 0;
  for (const range of here) {
    if (range.family !== family) continue;
    while ((known[next]?.first ?? range.first) < range.first) next++;
    const match = known[next];
    if (match?.first !== range.first || match.last !== range.last) missing.push(renderIpRange(range));
  }
  return missing;
}
