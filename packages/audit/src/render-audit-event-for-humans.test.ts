import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import type { AuditEvent } from "./audit-event.ts";
import { renderAuditEventForHumans } from "./render-audit-event-for-humans.ts";

const base = { v: 1, ts: "2026-12-01T10:15:00.000Z", container: "web" } as const;

test.each<[AuditEvent, string]>([
  [
    {
      ...base,
      action: "setup",
      detail: "The shield is up.",
      profiles: ["base", "dev-node"],
      tier: "dnsmasq",
    },
    "2026-12-01T10:15:00.000Z  web  setup  The shield is up.  [profiles base, dev-node; tier dnsmasq]",
  ],
  [
    { ...base, action: "allowed", detail: "", target: "example.com", addresses: ["198.18.0.7", "2001:2::7"] },
    "2026-12-01T10:15:00.000Z  web  allowed  [target example.com; addresses 198.18.0.7, 2001:2::7]",
  ],
  [
    { ...base, action: "shield_up", detail: "Zoë did it" },
    "2026-12-01T10:15:00.000Z  web  shield_up  Zoë did it",
  ],
  [
    { ...base, action: "error", detail: "a\nb\u001b[31m\u202e\u{e0041}", reason: undefined },
    "2026-12-01T10:15:00.000Z  web  error  a\\u{a}b\\u{1b}[31m\\u{202e}\\u{e0041}",
  ],
])("renders %j", (event, line) => {
  expect(renderAuditEventForHumans(event)).toBe(line);
});

test("is one line that a terminal only prints", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const event: AuditEvent = { ...base, container: text, action: "note", detail: text, addresses: [text] };
      expect(renderAuditEventForHumans(event)).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]*$/u);
    }),
  );
});
