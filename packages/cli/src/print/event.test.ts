import { cleanText, type ShieldEvent } from "@terok-shield/audit";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { anyText } from "../../testing/any-text.ts";
import { dateAndTime, fitLine, renderEvent, renderForWidth } from "./event.ts";

vi.stubEnv("TZ", "Europe/Berlin");

const ORIGIN = { v: 1, ts: "2026-11-24T06:07:08.123Z", container: "web" };
const PACKET = {
  ...ORIGIN,
  action: "packet",
  verdict: "blocked",
  protocol: "tcp",
  address: "198.18.1.1",
  port: 443,
};
const NAME = { ...ORIGIN, action: "name", verdict: "refused", name: "evil.test", queryType: "AAAA" };

const TEXT = "07:07:08  web  ";

test.each<[object, string, string, string | undefined]>([
  [PACKET, "refused", "blocked      tcp/443   198.18.1.1", "198.18.1.1:443/tcp"],
  [
    { ...PACKET, name: "good.test" },
    "refused",
    "blocked      tcp/443   good.test (198.18.1.1)",
    "good.test:443/tcp",
  ],
  [
    { ...PACKET, address: "2001:2::1" },
    "refused",
    "blocked      tcp/443   2001:2::1",
    "'[2001:2::1]:443/tcp'",
  ],
  [
    { ...PACKET, protocol: "udp", port: 53 },
    "refused",
    "blocked      udp/53    198.18.1.1",
    "198.18.1.1:53/udp",
  ],
  [
    { ...PACKET, protocol: "icmp", port: undefined },
    "refused",
    "blocked      icmp      198.18.1.1",
    "198.18.1.1",
  ],
  [{ ...PACKET, protocol: "sctp" }, "refused", "blocked      sctp/443  198.18.1.1", "198.18.1.1"],
  [
    { ...PACKET, verdict: "denied", name: "a.test" },
    "refused",
    "denied       tcp/443   a.test (198.18.1.1)",
    undefined,
  ],
  [
    { ...PACKET, verdict: "private", address: "10.0.0.7", name: "rebound.test" },
    "refused",
    "private      tcp/443   rebound.test (10.0.0.7)",
    "10.0.0.7:443/tcp",
  ],
  [{ ...PACKET, verdict: "allowed" }, "allowed", "allowed      tcp/443   198.18.1.1", undefined],
  [{ ...PACKET, verdict: "bypass" }, "bypass", "bypass       tcp/443   198.18.1.1", undefined],
  [NAME, "refused", "refused      name      evil.test", "evil.test"],
  [{ ...NAME, queryType: "TXT" }, "refused", "refused      name TXT  evil.test", "evil.test"],
  [
    { ...NAME, name: "<name unprintable>" },
    "refused",
    "refused      name      <name unprintable>",
    undefined,
  ],
  [{ ...NAME, name: "$(reboot).test" }, "refused", "refused      name      $(reboot).test", undefined],
  [{ ...NAME, name: "-rf.test" }, "refused", "refused      name      -rf.test", undefined],
  [{ ...NAME, name: "single" }, "refused", "refused      name      single", undefined],
  [
    { ...ORIGIN, action: "sampled", detail: "too many", leftOut: { blocked: 7 } },
    "plain",
    "left out     too many",
    undefined,
  ],
  [{ ...ORIGIN, action: "shield_down", detail: "bypass" }, "changed", "shield down  bypass", undefined],
  [{ ...ORIGIN, action: "error", detail: "no nft" }, "failed", "error        no nft", undefined],
  [
    { ...ORIGIN, action: "note", detail: "a\nb\u001b[2J\u202e" },
    "plain",
    "note         a\\x0ab\\x1b[2J\\u{202e}",
    undefined,
  ],
])("%j", (event, tone, text, entry) => {
  const hint = entry === undefined ? {} : { hint: `web ${entry}` };
  expect(renderEvent(event as ShieldEvent)).toEqual({ text: TEXT + text, tone, ...hint });
});

test("repeats are counted where no width cuts the number off", () => {
  expect(renderEvent(PACKET as ShieldEvent, { count: 37 }).text).toBe(
    `${TEXT}blocked ×37  tcp/443   198.18.1.1`,
  );
});

test("events of the past tell their day", () => {
  expect(renderEvent(PACKET as ShieldEvent, { clock: dateAndTime }).text).toMatch(
    /^2026-11-24 07:07:08 {2}web/,
  );
});

describe("a line that a terminal is too narrow for", () => {
  const line = { text: "x".repeat(20), tone: "refused", hint: "web a.test" } as const;
  test.each([
    [undefined, `${line.text}  (terok-shield allow web a.test)`],
    [53, `${line.text}  (terok-shield allow web a.test)`],
    [52, `${line.text}  (allow web a.test)`],
    [40, `${line.text}  (allow web a.test)`],
    [39, line.text],
    [20, line.text],
    [19, `${"x".repeat(18)}~`],
  ])("has %s columns", (columns, expected) => {
    expect(renderForWidth(line, columns)).toBe(expected);
  });
});

test("no text of an attacker is more than one row of printable characters", () => {
  const anything = anyText({ maxLength: 300 });
  fc.assert(
    fc.property(anything, anything, fc.integer({ min: 1, max: 200 }), (name, detail, columns) => {
      for (const event of [
        { ...NAME, name, queryType: detail },
        { ...PACKET, name },
        { ...ORIGIN, action: "note", detail },
      ]) {
        const shown = renderForWidth(renderEvent(event as ShieldEvent), columns);
        expect(cleanText(shown)).toBe(shown);
        expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect([...shown].length).toBeLessThanOrEqual(columns);
      }
    }),
  );
});

test("characters that may be two columns wide are counted so", () => {
  expect(fitLine("漢字漢字", 8)).toBe("漢字漢字");
  expect(fitLine("漢字漢字", 7)).toBe("漢字~");
  expect(fitLine("\u{1f600}\u{1f600}", 3)).toBe("~");
});
