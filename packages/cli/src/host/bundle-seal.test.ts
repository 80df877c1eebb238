import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { findSealFault } from "./bundle-seal.ts";

const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const STATE = '{"version":2}\n';
const RULESET = "table inet terok_shield {}\n";

function seal(files: Record<string, string>): string {
  const manifest = { version: 1, files };
  return JSON.stringify({ manifest, digest: digest(JSON.stringify(manifest)) });
}

function makeBundle(changed: Record<string, string | undefined>): string {
  const directory = makeTemporaryDirectory();
  const files = {
    "state.json": STATE,
    "ruleset.nft": RULESET,
    "bundle.json": seal({ "state.json": digest(STATE), "ruleset.nft": digest(RULESET) }),
    ...changed,
  };
  for (const [name, content] of Object.entries(files)) {
    if (content !== undefined) writeFiles(directory, { [name]: content });
  }
  return directory;
}

test("a bundle whose files are as sealed has no fault", () => {
  expect(findSealFault(makeBundle({}))).toBeUndefined();
});

test.each<[string, string, Record<string, string | undefined>]>([
  ["a changed file", "ruleset.nft is not as sealed", { "ruleset.nft": `${RULESET} ` }],
  ["a missing file", "ruleset.nft is not as sealed", { "ruleset.nft": undefined }],
  ["a state that was written alone", "state.json is not as sealed", { "state.json": `${STATE}\n` }],
  ["no manifest", "bundle.json is missing or damaged", { "bundle.json": undefined }],
  ["a torn manifest", "bundle.json is missing or damaged", { "bundle.json": '{"manifest":' }],
  [
    "a manifest with another digest",
    "bundle.json is missing or damaged",
    { "bundle.json": seal({ "ruleset.nft": digest(RULESET) }).replace("ruleset.nft", "ruleset.nfs") },
  ],
  [
    "a state that is not sealed",
    "state.json is not sealed",
    { "bundle.json": seal({ "ruleset.nft": digest(RULESET) }) },
  ],
])("%s is a fault", (_, fault, changed) => {
  expect(findSealFault(makeBundle(changed))).toBe(fault);
});
