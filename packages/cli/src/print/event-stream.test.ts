import type { ShieldEvent } from "@terok-shield/audit";
import { beforeEach, expect, test, vi } from "vitest";
import type { Output } from "../host/output.ts";
import { linePrinter, openPrinter, printEvents } from "./event-stream.ts";

vi.stubEnv("TZ", "UTC");

const EVENT: ShieldEvent = {
  ...{ v: 1, ts: "2026-11-24T06:07:08.123Z", container: "web", action: "packet" },
  ...{ verdict: "blocked", protocol: "tcp", address: "198.18.1.1", port: 443 },
};
const JSON_LINE = `${JSON.stringify(EVENT)}\n`;
const LINE =
  "06:07:08  web  blocked      tcp/443   198.18.1.1  (terok-shield allow web 198.18.1.1:443/tcp)\n";
/** Goes to the line before, and clears it. */
const REPLACE = "\u001b[1A\r\u001b[2K";

let written = "";
beforeEach(() => {
  written = "";
});

function output(isTerminal: boolean, columns = 200): Output {
  return {
    isTerminal,
    columns: () => columns,
    write: async (text) => {
      written += text;
    },
  };
}

/** Without colours, of which the machine that tests may have none. */
function shown(): string {
  return written.replaceAll(/\u001b\[\d+m/g, "");
}

test.each([
  ["JSON lines in a pipe", false, {}, JSON_LINE],
  ["lines in a pipe when asked for", false, { pretty: true }, LINE],
  ["lines on a terminal", true, {}, LINE],
  ["JSON lines on a terminal when asked for", true, { json: true }, JSON_LINE],
])("prints %s", async (_, isTerminal, form, expected) => {
  await openPrinter(output(isTerminal), form).print(EVENT);
  expect(shown()).toBe(expected);
});

test("replaces the last line on a terminal, and none that stands above a note", async () => {
  const printer = linePrinter(output(true), () => 0);
  await printer.print(EVENT);
  await printer.print(EVENT);
  await printer.flush();
  await printer.print(EVENT);
  expect(shown()).toBe(`${LINE}${REPLACE}${LINE.replace("blocked    ", "blocked ×2 ")}${LINE}`);
});

test("fits lines to the width that the terminal has now", async () => {
  let columns = 200;
  const printer = linePrinter({ ...output(true), columns: () => columns }, () => 0);
  await printer.print(EVENT);
  columns = 20;
  await printer.print({ ...EVENT, container: "other" });
  expect(shown()).toBe(`${LINE}06:07:08  other  bl~\n`);
});

test("neither joins nor loses a JSON line", async () => {
  const printer = openPrinter(output(false), {});
  for (let index = 0; index < 3; index++) await printer.print(EVENT);
  await printer.tick();
  await printer.flush();
  expect(written).toBe(JSON_LINE.repeat(3));
});

test.each([
  ["JSON lines", "json", JSON_LINE.repeat(10_000)],
  ["joined lines with their day", "lines", `2026-11-24 ${LINE.replace("blocked    ", "blocked ×10000")}`],
] as const)("prints the past as %s", async (_, form, expected) => {
  await printEvents(
    output(false),
    Array.from({ length: 10_000 }, () => EVENT),
    form,
  );
  expect(written).toBe(expected);
});
