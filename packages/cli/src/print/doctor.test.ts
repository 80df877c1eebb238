import { expect, test } from "vitest";
import { renderChecks } from "./doctor.ts";

test("each check is a line; what is missing has its cost and its remedy beneath", () => {
  expect(
    renderChecks([
      { name: "node", verdict: "ok", found: "20.19.0, /usr/bin/node" },
      { name: "dnsmasq", verdict: "warning", found: "not installed", cost: "it costs", mend: "do this" },
      { name: "nft", verdict: "error", found: "not installed", cost: "it costs more", mend: "do that" },
    ]),
  ).toBe(
    `${[
      "ok       node     20.19.0, /usr/bin/node",
      "warning  dnsmasq  not installed",
      "    it costs",
      "    do this",
      "error    nft      not installed",
      "    it costs more",
      "    do that",
    ].join("\n")}\n`,
  );
});
