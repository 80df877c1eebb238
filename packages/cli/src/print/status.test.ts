import { expect, test } from "vitest";
import type { StatusReport } from "../commands/status.ts";
import { renderStatus } from "./status.ts";

const UP: StatusReport = {
  container: "web",
  status: { kind: "up" },
  tier: "dnsmasq",
  profiles: ["base", "mine"],
  trustedMounts: [],
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
