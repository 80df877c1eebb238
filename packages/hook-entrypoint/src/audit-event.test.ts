import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { appendEvent } from "./audit-event.ts";

let parent: string;
let directory: string;
const file = () => join(directory, "audit.jsonl");
const lines = () => readFileSync(file(), "utf8").split("\n");

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "audit-event-"));
  directory = join(parent, "web");
  mkdirSync(directory);
});
afterEach(() => rmSync(parent, { recursive: true }));

test("an event is one line with the container's name and the time", () => {
  const before = new Date().toISOString();
  appendEvent(directory, { action: "setup", detail: "shield up", tier: "dnsmasq", containerId: "4a5b" });
  const [line = "", end] = lines();
  const { ts, ...event } = JSON.parse(line) as { ts: string };
  expect(event).toEqual({
    v: 1,
    container: "web",
    action: "setup",
    detail: "shield up",
    tier: "dnsmasq",
    containerId: "4a5b",
  });
  expect(ts >= before && ts <= new Date().toISOString()).toBe(true);
  expect(end).toBe("");
});

test("events are added at the end of a file that is the owner's alone", () => {
  appendEvent(directory, { action: "error", detail: "one" });
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  appendEvent(directory, { action: "error", detail: "two" });
  const details = lines()
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { detail: string }).detail);
  expect(details).toEqual(["one", "two"]);
});

test.each([
  ["line ends", "a\nb\r\u2028\u2029\u0085c"],
  ["terminal sequences", "\u001b]0;title\u0007\u009b2J\u007f"],
  ["marks that turn the text", "\u202egnp.exe\u2066\u200f\u061c"],
  ["half a character", "\ud83d"],
  ["zero bytes and quotes", '\0"\\'],
])("%s stay inside their line and reach no terminal", (_, detail) => {
  appendEvent(directory, { action: "error", detail });
  const [line = "", ...rest] = lines();
  expect(rest).toEqual([""]);
  expect(line).toMatch(/^[\x20-\x7e]*$/);
  expect(JSON.parse(line)).toMatchObject({ detail });
});

test("a long detail is cut, so that its line is one write", () => {
  appendEvent(directory, { action: "error", detail: "\0".repeat(100_000) });
  const [line = ""] = lines();
  expect(JSON.parse(line)).toMatchObject({ detail: "\0".repeat(1000) });
  expect(line.length).toBeLessThan(8192);
});
