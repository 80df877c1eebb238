import { expect, test } from "vitest";
import type { ExplainedPart, Explanation } from "../commands/explain.ts";
import { renderExplanation, renderExplanationJson } from "./explain.ts";

const EVERY = (["tcp", "udp", "icmp"] as const).map((protocol) => ({ protocol, first: 1, last: 65_535 }));
const REFUSED: ExplainedPart = {
  address: "198.18.66.66",
  verdict: "refused",
  by: "nothing",
  text: "refused: no entry names it",
  services: EVERY,
  rules: ["output: goto refuse_blocked", "refuse_blocked: goto reject_packet"],
};
const PASSES: ExplainedPart = {
  address: "198.18.0.10",
  verdict: "passes",
  by: "entry",
  text: 'allowed: entry "good.test:443" (profile mine, /p/mine.txt:2)',
  services: [
    { protocol: "tcp", first: 443, last: 443 },
    { protocol: "udp", first: 8000, last: 8010 },
  ],
  rules: ["output: ip daddr @dns_1_v4 goto admit_learned"],
};
const EXPLANATION: Explanation = {
  container: "web",
  targets: [
    {
      target: "198.18.66.66",
      verdict: "refused",
      parts: [REFUSED],
      hint: { to: "open", command: ["allow", "198.18.66.66"] },
    },
    {
      target: "good.test",
      verdict: "partly",
      parts: [
        PASSES,
        { ...PASSES, address: "2001:2::10" },
        { ...REFUSED, disagreement: "policy lets it pass" },
      ],
      hint: { to: "repair", command: ["up", "--repair"] },
    },
  ],
};

test("each destination has its verdict, who decided for which addresses and ports, and what would turn it round", () => {
  expect(renderExplanation(EXPLANATION)).toBe(
    `198.18.66.66  refused
    198.18.66.66 every port
        refused: no entry names it
        by the rule output: goto refuse_blocked
    to open it: terok-shield allow web 198.18.66.66
good.test  passes in part
    the kernel and the policy disagree: policy lets it pass
    198.18.0.10 2001:2::10 443/tcp 8000-8010/udp
        allowed: entry "good.test:443" (profile mine, /p/mine.txt:2)
        by the rule output: ip daddr @dns_1_v4 goto admit_learned
    198.18.66.66 every port
        refused: no entry names it
        by the rule output: goto refuse_blocked
    to make them agree: terok-shield up --repair web
`,
  );
});

test("the JSON document says by what, and by several where it is so", () => {
  const { container, targets } = JSON.parse(renderExplanationJson(EXPLANATION));
  expect(container).toBe("web");
  expect(targets).toMatchObject([
    {
      verdict: "refused",
      by: "nothing",
      hint: "terok-shield allow web 198.18.66.66",
      parts: [{ ports: "every port" }],
    },
    {
      verdict: "partly",
      by: "several",
      parts: [{ ports: "443/tcp 8000-8010/udp" }, {}, { disagreement: "policy lets it pass" }],
    },
  ]);
});

test("what came from elsewhere cannot steer the terminal", () => {
  const text = renderExplanation({
    container: "web",
    targets: [
      { target: "x", verdict: "refused", parts: [{ ...REFUSED, rules: ['output: comment "\u001b[2J"'] }] },
    ],
  });
  expect(text).not.toContain("\u001b");
});
