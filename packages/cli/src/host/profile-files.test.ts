import { mkdirSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestPlaces } from "../../testing/test-host.ts";
import { ShieldError } from "../shield-error.ts";
import { listProfiles, readProfile } from "./profile-files.ts";

describe("listProfiles", () => {
  test("without any of the user's: the bundled ones, by name", async () => {
    const places = makeTestPlaces();
    expect(await listProfiles(places)).toEqual(
      ["base", "dev-node", "dev-python", "dev-standard", "nvidia-hpc"].map((name) => ({
        name,
        file: `${places.bundledProfiles}/${name}.txt`,
        origin: "bundled",
      })),
    );
  });

  test("a user's profile joins the bundled ones, or replaces the one of its name", async () => {
    const places = makeTestPlaces();
    writeFiles(places.config, { "profiles/mine.txt": "", "profiles/base.txt": "" });
    const profiles = await listProfiles(places);
    expect(profiles.map(({ name, origin }) => `${name} ${origin}`)).toEqual([
      "base user",
      "dev-node bundled",
      "dev-python bundled",
      "dev-standard bundled",
      "mine user",
      "nvidia-hpc bundled",
    ]);
    expect(profiles[0]?.file).toBe(`${places.config}/profiles/base.txt`);
  });

  test("files that are no profile by their name are left out", async () => {
    const places = { ...makeTestPlaces(), bundledProfiles: "/nonexistent" };
    const junk = [
      "README.md",
      ".txt",
      ".hidden.txt",
      "Base.txt",
      "a b.txt",
      "base.txt~",
      "base.txt.swp",
      "ü.txt",
    ];
    writeFiles(
      places.config,
      Object.fromEntries(["mine.txt", ...junk].map((name) => [`profiles/${name}`, ""])),
    );
    expect((await listProfiles(places)).map(({ name }) => name)).toEqual(["mine"]);
  });
});

describe("readProfile", () => {
  test("gives the user's text before the bundled one", async () => {
    const places = makeTestPlaces();
    writeFiles(places.config, { "profiles/base.txt": "example.com\n" });
    expect(await readProfile(places, "base")).toEqual({
      file: `${places.config}/profiles/base.txt`,
      text: "example.com\n",
    });
  });

  test("an unknown profile is refused, with those that there are", async () => {
    const places = makeTestPlaces();
    writeFiles(places.config, { "profiles/mine.txt": "" });
    await expect(readProfile(places, "dev-nod")).rejects.toThrow(
      new ShieldError(
        'profile "dev-nod" does not exist. Known profiles: base, dev-node, dev-python, dev-standard, mine, nvidia-hpc.',
        { code: "usage" },
      ),
    );
  });

  test("a user's profile that cannot be read is never replaced by the bundled one", async () => {
    const places = makeTestPlaces();
    mkdirSync(`${places.config}/profiles/base.txt`, { recursive: true });
    symlinkSync("/nonexistent", `${places.config}/profiles/dev-node.txt`);
    await expect(readProfile(places, "base")).rejects.toThrow(/base.txt" cannot be read: EISDIR/);
    await expect(readProfile(places, "dev-node")).rejects.toThrow(/^profile "dev-node" does not exist./);
  });

  test("a directory of profiles that cannot be read is a failure, not an empty one", async () => {
    const places = makeTestPlaces();
    writeFiles(places.config, { profiles: "a file" });
    await expect(listProfiles(places)).rejects.toThrow(
      new ShieldError(
        `"${places.config}/profiles" cannot be read: ENOTDIR: not a directory, scandir '${places.config}/profiles'`,
      ),
    );
  });
});
