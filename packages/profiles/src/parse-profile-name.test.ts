import { expect, test } from "vitest";
import { BUNDLED_PROFILES, ProfileNameError, parseProfileName } from "./parse-profile-name.ts";

test.each([...BUNDLED_PROFILES, "a", "0", "my_team-2", "a".repeat(64)])("%s is a profile name", (text) => {
  expect(parseProfileName(text)).toBe(text);
});

test.each([
  "",
  ".",
  "..",
  "../base",
  "a/b",
  "a\\b",
  "/etc/passwd",
  "base.txt",
  "-base",
  "_base",
  "Base",
  "dev standard",
  "base\n",
  "base\0",
  "bäse",
  "a".repeat(65),
])("%j is no profile name", (text) => {
  expect(() => parseProfileName(text)).toThrow(ProfileNameError);
  expect(() => parseProfileName(text)).toThrow(JSON.stringify(text));
});
