import { expect, test } from "vitest";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { makeTestPlaces } from "../../testing/test-host.ts";
import { listBundles } from "./bundles.ts";

test("there are no bundles before the first container", async () => {
  expect(await listBundles(makeTestPlaces())).toEqual([]);
});

test("bundles are listed by name, and what no container can be called is left out", async () => {
  const places = makeTestPlaces();
  const names = ["web", "api", "web.lock", ".hidden", "a b", "-x"];
  writeFiles(places.state, Object.fromEntries(names.map((name) => [`containers/${name}/state.json`, ""])));
  expect(await listBundles(places)).toEqual(["api", "web", "web.lock"]);
});

test("a directory that cannot be read is a failure, not an empty one", async () => {
  const places = makeTestPlaces();
  writeFiles(places.state, { containers: "a file" });
  await expect(listBundles(places)).rejects.toThrow("ENOTDIR");
});
