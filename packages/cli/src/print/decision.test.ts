import { expect, test } from "vitest";
import type { DecisionReport } from "../commands/allow-deny.ts";
import { renderDecision, renderDecisionJson } from "./decision.ts";

const REPORT: DecisionReport = {
  container: "my-container",
  verdict: "allow",
  targets: [{ target: "example.com", addresses: ["198.18.1.1"] }],
  isRunning: true,
  notes: [],
};
const NOW = new Date(2026, 11, 1, 10, 15, 0);
const at = (day: number, hours: number) => new Date(2026, 11, day, hours, 32, 10);

test.each<[string, Partial<DecisionReport>, string]>([
  ["an allowed name", {}, "Allowed example.com -> 198.18.1.1 for my-container\n"],
  ["a denied name", { verdict: "deny" }, "Denied example.com (198.18.1.1) for my-container\n"],
  [
    "several targets, each with what it led to",
    {
      targets: [
        { target: "example.com", addresses: ["198.18.1.1", "2001:2::1"] },
        { target: "*.wild.test:443", addresses: [] },
        { target: "203.0.113.9", addresses: [] },
      ],
    },
    "Allowed example.com -> 198.18.1.1 2001:2::1 for my-container\nAllowed *.wild.test:443 for my-container\nAllowed 203.0.113.9 for my-container\n",
  ],
  [
    "a denied address",
    { verdict: "deny", targets: [{ target: "203.0.113.9", addresses: [] }] },
    "Denied 203.0.113.9 for my-container\n",
  ],
  [
    "an end of today",
    { until: at(1, 14) },
    "Allowed example.com -> 198.18.1.1 for my-container until 14:32:10\n",
  ],
  [
    "an end of another day",
    { until: at(2, 9) },
    "Allowed example.com -> 198.18.1.1 for my-container until 2026-12-02 09:32:10\n",
  ],
])("%s", (_, more, text) => expect(renderDecision({ ...REPORT, ...more }, NOW)).toBe(text));

test("as one JSON document", () => {
  expect(renderDecisionJson({ ...REPORT, until: new Date("2026-12-01T14:32:10Z"), notes: ["so"] })).toBe(
    '{"container":"my-container","verdict":"allow","targets":[{"target":"example.com","addresses":["198.18.1.1"]}],"notes":["so"],"until":"2026-12-01T14:32:10.000Z","running":true}\n',
  );
  expect(JSON.parse(renderDecisionJson(REPORT))).not.toHaveProperty("until");
});
