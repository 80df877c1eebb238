import { expect, test } from "vitest";
import { renderList } from "./list.ts";

test("without containers there is a sentence", () => {
  expect(renderList([])).toBe("No shielded containers.\n");
});

test("each container is a row, with its counts while it runs", () => {
  const counts = { allowedConnections: 120, bypassedConnections: 3, refusedPackets: 7 };
  expect(
    renderList([
      { container: "web", status: { kind: "down" }, tier: "dnsmasq", profiles: ["base", "mine"], counts },
      { container: "a-long-name", status: { kind: "stopped" }, tier: "getent", profiles: [] },
      { container: "x", status: { kind: "error", reason: "why" }, tier: "unknown", profiles: [] },
    ]),
  ).toBe(
    `${[
      "NAME         STATE    TIER     ALLOWED  REFUSED  PROFILES",
      "web          down     dnsmasq      123        7  base mine",
      "a-long-name  stopped  getent         -        -",
      "x            error    unknown        -        -",
    ].join("\n")}\n`,
  );
});
