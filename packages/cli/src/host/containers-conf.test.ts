import { mkdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { type ContainersConfPlaces, findContainersConfPlaces, readHooksSetting } from "./containers-conf.ts";

/** Every file that podman may read for a rootless user, in its order. */
const CHAIN = [
  "vendor/containers.conf",
  "administrator/containers.conf",
  "administrator/containers.conf.d/10.conf",
  "administrator/containers.conf.d/9.conf",
  "administrator/containers.rootless.conf",
  "administrator/containers.rootless.conf.d/a.conf",
  "administrator/containers.rootless.conf.d/1000/a.conf",
  "user/containers.conf",
  "user/containers.conf.d/10.conf",
  "user/containers.conf.d/9.conf",
];

function makePlaces(files: readonly string[], changes: Partial<ContainersConfPlaces> = {}) {
  const root = makeTemporaryDirectory();
  writeFiles(
    root,
    Object.fromEntries(files.map((file) => [file, `[engine]\nhooks_dir = ["/from/${file}"]\n`])),
  );
  const places = {
    vendor: `${root}/vendor`,
    administrator: `${root}/administrator`,
    user: `${root}/user`,
    uid: 1000,
    ...changes,
  };
  return { root, places };
}

async function fileInForce(places: ContainersConfPlaces, podmanMajor = 5): Promise<string | undefined> {
  const { directories } = await readHooksSetting(places, podmanMajor);
  return directories[0]?.replace("/from/", "");
}

describe("the last of podman's files wins", () => {
  test.each(CHAIN.map((file, index) => ({ file, chain: CHAIN.slice(0, index + 1) })))(
    "$file over those before it",
    async ({ file, chain }) => {
      expect(await fileInForce(makePlaces(chain).places)).toBe(file);
    },
  );

  test("$CONTAINERS_CONF alone, when it is set", async () => {
    const { root, places } = makePlaces([...CHAIN, "only"]);
    expect(await fileInForce({ ...places, only: `${root}/only` })).toBe("only");
  });

  test("$CONTAINERS_CONF_OVERRIDE over all, which podman 4 does not know", async () => {
    const { root, places } = makePlaces([...CHAIN, "last"]);
    expect(await fileInForce({ ...places, last: `${root}/last` })).toBe("last");
    expect(await fileInForce({ ...places, last: `${root}/last` }, 4)).toBe(CHAIN.at(-1));
  });

  test("for root no file for rootless users, and with podman 4 none at home", async () => {
    const { places } = makePlaces(CHAIN, { uid: 0 });
    expect(await fileInForce(places)).toBe("user/containers.conf.d/9.conf");
    expect(await fileInForce(places, 4)).toBe("administrator/containers.conf.d/9.conf");
  });

  test("for every user no file at home", async () => {
    const { places } = makePlaces(CHAIN, { user: undefined });
    expect(await fileInForce(places)).toBe("administrator/containers.rootless.conf.d/1000/a.conf");
  });

  test("but for those left out", async () => {
    const { root, places } = makePlaces(CHAIN);
    const without = [`${root}/user/containers.conf.d/9.conf`];
    expect((await readHooksSetting(places, 4, { without })).directories).toEqual([
      "/from/user/containers.conf.d/10.conf",
    ]);
  });
});

test("without files there is the vendor's directory, which podman knows", async () => {
  const { root, places } = makePlaces([]);
  expect(await readHooksSetting(places, 4)).toEqual({ directories: [`${root}/vendor/oci/hooks.d`] });
});

test("comments, other names and directories are no settings", async () => {
  const { root, places } = makePlaces([
    "user/containers.conf.d/README",
    "user/containers.conf.d/a.conf/b.conf",
  ]);
  writeFiles(root, { "user/containers.conf": '[engine]\n#hooks_dir = ["/a"]\n# set "hooks_dir" here\n' });
  mkdirSync(`${root}/administrator/containers.conf.d`, { recursive: true });
  expect(await readHooksSetting(places, 4)).toEqual({ directories: [`${root}/vendor/oci/hooks.d`] });
});

test.each([
  { environment: {}, user: "/home/me/.config/containers" },
  { environment: { XDG_CONFIG_HOME: "/c" }, user: "/c/containers" },
  { environment: { XDG_CONFIG_HOME: "", CONTAINERS_CONF: "" }, user: "/home/me/.config/containers" },
])("with $environment the user's files are in $user", ({ environment, user }) => {
  expect(findContainersConfPlaces({ HOME: "/home/me", ...environment })).toEqual({
    vendor: "/usr/share/containers",
    administrator: "/etc/containers",
    user,
    uid: process.getuid?.(),
    only: undefined,
    last: undefined,
  });
});
