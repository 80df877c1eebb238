import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  inSets,
  learnedBy,
  PROBED_ADDRESSES,
  probedPolicies,
  probes,
  someLearned,
} from "../testing/arbitrary-packets.ts";
import { modes } from "../testing/arbitrary-policies.ts";
import { fateOf } from "../testing/packet-oracle.ts";
import { type ShieldedLab, startShieldedLab } from "../testing/shielded-lab.ts";

/** A few for each run of `npm test`; `pnpm test:fuzz` has more. A failure names the seed: FUZZ_SEED repeats it. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 15);
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) };

let lab: ShieldedLab;

beforeAll(async () => {
  lab = await startShieldedLab(PROBED_ADDRESSES);
});

afterAll(() => lab.stop());

test(`the kernel does with each packet what the documents say, over ${RUNS} policies, modes and what was learned`, async () => {
  const seen = new Set<string>();
  const property = fc.asyncProperty(
    probedPolicies,
    modes(),
    someLearned,
    probes,
    async (policy, mode, found, tried) => {
      const learned = learnedBy(policy, found);
      await lab.reset();
      await lab.load(policy, mode, inSets(learned, mode));
      for (const each of tried) {
        await lab.counters();
        const { address, protocol, port } = each;
        await lab.attempt(protocol, address, protocol === "icmp" ? {} : { to: [address, port] });
        const fate = fateOf(each, policy, mode, learned);
        const arrived = (await lab.arrivals()).some((packet) => packet.includes(` ${address}`));
        expect({ ...each, counted: Object.keys(await lab.counters()), arrived }).toEqual({
          ...each,
          counted: [fate],
          arrived: fate === "allowed" || fate === "bypassed",
        });
        seen.add(fate);
      }
    },
  );
  await fc.assert(property, { numRuns: RUNS, ...SEED });
  expect([...seen].sort()).toEqual([
    "allowed",
    "bypassed",
    "refused_blocked",
    "refused_denied",
    "refused_private",
  ]);
}, 3_600_000);
