import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import {
  findHooksInstallation,
  type HooksInstallation,
  isRunnableByAll,
  readInstalledFiles,
  removeInstallation,
  writeInstallation,
} from "./hooks-installation.ts";

const HOME = "/home/me";

test.each([
  {
    name: "at home by the XDG defaults",
    scope: "user",
    environment: { HOME },
    directory: "/home/me/.local/share/terok/shield",
    dropIn: "/home/me/.config/containers/containers.conf.d/99-terok-shield.conf",
  },
  {
    name: "where XDG variables say",
    scope: "user",
    environment: { HOME, XDG_DATA_HOME: "/d", XDG_CONFIG_HOME: "/c" },
    directory: "/d/terok/shield",
    dropIn: "/c/containers/containers.conf.d/99-terok-shield.conf",
  },
  {
    name: "for every user",
    scope: "system",
    environment: { HOME, XDG_DATA_HOME: "/d" },
    directory: "/usr/local/lib/terok-shield",
    dropIn: "/etc/containers/containers.conf.d/99-terok-shield.conf",
  },
] as const)("an installation is $name", ({ scope, environment, directory, dropIn }) => {
  expect(findHooksInstallation(scope, environment)).toEqual({
    scope,
    directory,
    hookEntrypoint: `${directory}/terok-shield-hook.cjs`,
    hooksDirectory: `${directory}/hooks.d`,
    dropIn,
  });
});

test("a data directory that a hook cannot name is refused", () => {
  expect(() => findHooksInstallation("user", { HOME: "/home/m e" })).toThrow(/data directory "\/home\/m e/);
});

interface Scene {
  readonly home: string;
  readonly installation: HooksInstallation;
  readonly planned: readonly { readonly path: string; readonly content: string }[];
}

function makeScene(): Scene {
  const home = makeTemporaryDirectory();
  const installation = findHooksInstallation("user", { HOME: home });
  const { hookEntrypoint, hooksDirectory, dropIn } = installation;
  const planned = [
    { path: hookEntrypoint, content: "// hook\n" },
    { path: `${hooksDirectory}/terok-shield-createRuntime.json`, content: "{}\n" },
    { path: dropIn, content: "[engine]\n" },
  ];
  return { home, installation, planned };
}

describe("writing an installation", () => {
  test("makes every file, the drop-in last, and the second time nothing", async () => {
    const { installation, planned } = makeScene();
    expect(await readInstalledFiles(installation)).toEqual([]);
    expect(await writeInstallation(installation, planned)).toEqual(planned.map(({ path }) => path));
    expect(await readInstalledFiles(installation)).toEqual(planned);
    expect(await writeInstallation(installation, planned)).toEqual([]);
  });

  test("writes only what differs, and takes away what a former version or a crash left", async () => {
    const { installation, planned } = makeScene();
    await writeInstallation(installation, planned);
    const { hookEntrypoint, hooksDirectory, dropIn } = installation;
    writeFileSync(hookEntrypoint, "// old\n");
    const left = [`${hookEntrypoint}.ab.new`, `${hooksDirectory}/terok-shield-old.json`, `${dropIn}.cd.new`];
    for (const path of left) writeFileSync(path, "");
    expect(await writeInstallation(installation, planned)).toEqual([hookEntrypoint, ...left]);
    expect(await readInstalledFiles(installation)).toEqual(planned);
  });

  test("leaves files of others alone", async () => {
    const { installation, planned } = makeScene();
    await writeInstallation(installation, planned);
    writeFileSync(`${installation.hooksDirectory}/mine.json`, "");
    expect(await writeInstallation(installation, planned)).toEqual([]);
    await removeInstallation(installation);
    expect(readdirSync(installation.hooksDirectory)).toEqual(["mine.json"]);
  });

  test("keeps what it makes to the user", async () => {
    const { installation, planned } = makeScene();
    await writeInstallation(installation, planned);
    expect(statSync(installation.directory).mode & 0o777).toBe(0o700);
  });
});

describe("removing an installation", () => {
  test("leaves nothing of it, and no directory that it made", async () => {
    const { home, installation, planned } = makeScene();
    mkdirSync(`${home}/.config/terok`, { recursive: true });
    mkdirSync(`${home}/.local/share/containers`, { recursive: true });
    const before = readdirSync(home, { recursive: true });
    await writeInstallation(installation, planned);
    expect(await removeInstallation(installation)).toEqual(planned.map(({ path }) => path).reverse());
    expect(readdirSync(home, { recursive: true })).toEqual(before);
    expect(await removeInstallation(installation)).toEqual([]);
  });

  test("leaves podman's other configuration", async () => {
    const { home, installation, planned } = makeScene();
    const other = `${home}/.config/containers/containers.conf.d/50-mine.conf`;
    writeFiles("/", { [other]: "" });
    await writeInstallation(installation, planned);
    await removeInstallation(installation);
    expect(existsSync(other)).toBe(true);
  });
});

describe("a program runs for every user", () => {
  function makeProgram(): string {
    const directory = makeTemporaryDirectory();
    mkdirSync(`${directory}/bin`);
    writeFileSync(`${directory}/bin/node`, "");
    chmodSync(`${directory}/bin/node`, 0o755);
    chmodSync(directory, 0o755);
    return `${directory}/bin/node`;
  }

  test("when it and every directory on the way are open", async () => {
    expect(await isRunnableByAll(makeProgram())).toBe(true);
  });

  test("not when a directory on the way is closed", async () => {
    const program = makeProgram();
    chmodSync(dirname(dirname(program)), 0o750);
    expect(await isRunnableByAll(program)).toBe(false);
  });

  test("not when it is its owner's alone", async () => {
    const program = makeProgram();
    chmodSync(program, 0o700);
    expect(await isRunnableByAll(program)).toBe(false);
  });
});
