import { expect, test } from "vitest";
import type { StatusReport } from "../commands/status.ts";
import { renderStatus } from "./status.ts";

const UP: StatusReport = {
  container: "web",
  status: { kind: "up" },
  tier: "dnsmasq",
  profiles: ["base", "mine"],
  trustedMounts: [],
  decisions: [],
  notes: [],
};

test("without containers there is a sentence", () => {
  expect(renderStatus([])).toBe("No shielded containers.\n");
});

test("each container is a line, with what its owner should know beneath", () => {
  expect(
    renderStatus([
      UP,
      { ...UP, container: "a-long-name", status: { kind: "down_all" }, trustedMounts: ["/run/podman"] },
      { ...UP, container: "x", status: { kind: "unprotected" }, tier: "dig", profiles: [] },
      { ...UP, status: { kind: "error", reason: "dnsmasq does not run, so no name resolves" } },
      { ...UP, status: { kind: "stopped" }, tier: "getent" },
    ]),
  ).toBe(
    `${[
      "web          up           dnsmasq  base mine",
      "a-long-name  down_all     dnsmasq  base mine",
      "    trusted mount: /run/podman",
      "x            unprotected  dig",
      "    it runs without the shield's rules: stop it",
      "web          error        dnsmasq  base mine",
      "    dnsmasq does not run, so no name resolves",
      "web          stopped      getent   base mine",
    ].join("\n")}\n`,
  );
});

test("decisions, what they have left, and notes stand beneath", () => {
  expect(
    renderStatus([
      {
        ...UP,
        status: { kind: "down", remainingSeconds: 590 },
        decisions: [
          { verdict: "allow", target: "example.com:443", remainingSeconds: 1752 },
          { verdict: "deny", target: "198.18.0.0/16" },
        ],
        notes: ["ulogd does not run"],
      },
      { ...UP, status: { kind: "down_all" } },
    ]),
  ).toBe(
    `${[
      "web  down         dnsmasq  base mine",
      "    comes back up in 9m50s",
      "    allow example.com:443, 29m12s left",
      "    deny 198.18.0.0/16",
      "    ulogd does not run",
      "web  down_all     dnsmasq  base mine",
    ].join("\n")}\n`,
  );
});
