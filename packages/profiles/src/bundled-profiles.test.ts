import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { composeProfiles } from "./compose-profiles.ts";
import { parseProfile } from "./parse-profile.ts";
import { BUNDLED_PROFILES } from "./parse-profile-name.ts";
import { canonicaliseRange } from "./stand-in-range.ts";

const directory = new URL("../../../profiles/", import.meta.url);

test("the bundled profiles are the files in profiles/", () => {
  expect(readdirSync(directory).sort()).toEqual(BUNDLED_PROFILES.map((name) => `${name}.txt`).sort());
});

describe.each(BUNDLED_PROFILES)("%s", (name) => {
  const text = readFileSync(new URL(`${name}.txt`, directory), "utf8");
  const entries = parseProfile(text, { file: `${name}.txt`, canonicaliseRange });

  test("opens names alone, on every port", () => {
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.filter(({ kind, ports }) => kind === "range" || ports !== undefined)).toEqual([]);
  });

  test("says nothing twice", () => {
    expect(composeProfiles([{ name, entries }])).toEqual(entries);
  });

  test("begins each group of entries with a comment", () => {
    const uncommented = text
      .trim()
      .split(/\n{2,}/)
      .filter((group) => !group.startsWith("# "));
    expect(uncommented).toEqual([]);
  });
});
