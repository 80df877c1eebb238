import fc from "fast-check";
import { expect, test } from "vitest";
import { inSets, learnedBy, probedPolicies, probes, someLearned } from "../testing/arbitrary-packets.ts";
import { modes } from "../testing/arbitrary-policies.ts";
import { kernelJson, type ListedObject, listedObjects } from "../testing/kernel-json.ts";
import { fateOf } from "../testing/packet-oracle.ts";
import { type Judgement, judgeEveryPort, judgePacket, readListedRuleset } from "./evaluate-listing.ts";
import { parseIpRange } from "./ip-range.ts";

test("what is planned, and judged by its listing, is what the documents say of each packet", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(probedPolicies, modes(), someLearned, probes, (policy, mode, found, tried) => {
      const learned = learnedBy(policy, found);
      const objects = listedObjects(policy, mode).map(withoutEnded);
      const ruleset = readListedRuleset(kernelJson(withElements(objects, inSets(learned, mode))));
      for (const each of tried) {
        const { address, protocol, port } = each;
        const packet = { address: parseIpRange(address), protocol, isLocal: false };
        const judged = judgePacket(ruleset, protocol === "icmp" ? packet : { ...packet, port });
        expect({ ...each, fate: fateByTrail(judged) }).toEqual({
          ...each,
          fate: fateOf(each, policy, mode, learned),
        });
        const [run] = judgeEveryPort(ruleset, packet).filter(
          ({ protocol: of, first, last }) => of === protocol && first <= port && port <= last,
        );
        expect(run?.judgement).toEqual(judged);
        seen.add(fateByTrail(judged));
      }
    }),
  );
  expect(seen.size).toBe(5);
});

/** By the chain in which its way ended. */
function fateByTrail({ verdict, trail }: Judgement): string {
  const chain = trail.map((rule) => rule.chain).find((name) => /^(refuse|admit)_/.test(name)) ?? "none";
  if (verdict === "rejected") return chain.replace("refuse", "refused");
  if (verdict !== "accepted") return verdict;
  return chain === "admit_bypass" ? "bypassed" : "allowed";
}

/** What has ended is in no set of the kernel. */
function withoutEnded(object: ListedObject): ListedObject {
  const elements = object.set?.elem;
  if (!Array.isArray(elements)) return object;
  const lasting = elements.filter(
    (element: { elem?: { expires?: number } }) => (element.elem?.expires ?? 1) > 0,
  );
  return { set: { ...object.set, elem: lasting } };
}

function withElements(
  objects: readonly ListedObject[],
  elements: Readonly<Record<string, readonly string[]>>,
): ListedObject[] {
  return objects.map((object) => {
    const learned = elements[String(object.set?.name)];
    if (learned === undefined) return object;
    return { set: { ...object.set, elem: learned.map((val) => ({ elem: { val, expires: 60 } })) } };
  });
}
