import { expect, test } from "vitest";
import { mergeNewestFirst, type StepBack } from "./merge-newest-first.ts";
import type { ShieldEvent } from "./shield-event.ts";

const at = (time: number, detail: string): StepBack => ({
  time,
  event: { v: 1, ts: new Date(time).toISOString(), container: "web", action: "note", detail } as ShieldEvent,
});

/** Says how often it was asked. */
function source(...steps: readonly StepBack[]) {
  const asked = { times: 0 };
  async function* generate(): AsyncGenerator<StepBack, void> {
    for (const step of steps) {
      asked.times += 1;
      yield step;
    }
  }
  return { steps: generate(), asked };
}

async function detailsOf(
  merged: AsyncIterable<StepBack>,
  count = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const details: string[] = [];
  for await (const { event } of merged) {
    details.push((event as { detail: string }).detail);
    if (details.length >= count) break;
  }
  return details;
}

test("goes back in time over all sources; of one instant, the later source is the newer", async () => {
  const first = source(at(9, "a9"), at(5, "a5"), at(1, "a1"));
  const second = source(at(8, "b8"), at(5, "b5"), at(5, "b5 before"));
  expect(await detailsOf(mergeNewestFirst([first.steps, second.steps, source().steps]))).toEqual([
    ...["a9", "b8", "b5", "b5 before", "a5", "a1"],
  ]);
});

test("reads no more of a source than it takes to know that it has nothing newer", async () => {
  const busy = source(at(9, "a9"), at(8, "a8"), at(7, "a7"));
  const quiet = source({ time: 8 }, { time: 3 }, { time: 1 }, at(0, "far back"));
  expect(await detailsOf(mergeNewestFirst([busy.steps, quiet.steps]), 3)).toEqual(["a9", "a8", "a7"]);
  expect(quiet.asked.times).toBe(2);
});
