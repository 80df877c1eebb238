import { expect, test } from "vitest";
import type { ModeReport } from "../commands/change-mode.ts";
import { renderMode, renderModeJson } from "./mode.ts";

const NOW = new Date(2026, 11, 1, 10, 15, 0);

test.each<[Partial<ModeReport>, string]>([
  [{ mode: "up" }, "Shield of web is up\n"],
  [{ mode: "down" }, "Shield of web is down: everything but denied and private addresses is open\n"],
  [
    { mode: "down", until: new Date(2026, 11, 1, 10, 25, 0) },
    "Shield of web is down: everything but denied and private addresses is open until 10:25:00\n",
  ],
  [{ mode: "down_all" }, "Shield of web is down: everything but denied addresses is open\n"],
  [{ mode: "block" }, "web is blocked: nothing passes until terok-shield up web\n"],
])("%j is one line", (report, text) => {
  expect(renderMode({ container: "web", mode: "up", isRunning: true, notes: [], ...report }, NOW)).toBe(text);
});

test("as one JSON document", () => {
  const report = { container: "web", mode: "down", isRunning: true, notes: [] } as const;
  expect(renderModeJson({ ...report, until: new Date("2026-12-01T10:25:00Z") })).toBe(
    '{"container":"web","mode":"down","notes":[],"until":"2026-12-01T10:25:00.000Z","running":true}\n',
  );
});
