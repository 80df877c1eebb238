import { expect, test } from "vitest";
import { composeProfiles } from "./compose-profiles.ts";
import { parseProfile } from "./parse-profile.ts";
import { renderEntry } from "./render-entry.ts";
import { canonicaliseRange } from "./stand-in-range.ts";

test("profiles are merged in order and the first of equal entries stays", () => {
  const merged = composeProfiles([
    profile("one", "b.example\nA.example.\n192.0.2.7\na.example\n"),
    profile("two", "*.a.example\na.example:443\n192.0.2.7\nc.example\nb.example\n"),
  ]);
  expect(merged.map((entry) => `${renderEntry(entry)} ${entry.source.file}:${entry.source.line}`)).toEqual([
    "b.example one:1",
    "a.example one:2",
    "192.0.2.7 one:3",
    "*.a.example two:1",
    "a.example:443 two:2",
    "c.example two:4",
  ]);
});

test("no profiles give no entries", () => {
  expect(composeProfiles([])).toEqual([]);
});

function profile(name: string, text: string) {
  return { name, entries: parseProfile(text, { file: name, canonicaliseRange }) };
}
