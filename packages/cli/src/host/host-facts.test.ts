import { chmodSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type ScriptedCommand, scriptRunner } from "../../testing/scripted-runner.ts";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { ShieldError } from "../shield-error.ts";
import { findHooksInstallation } from "./hooks-installation.ts";
import { findHostFacts, type SearchedDirectories } from "./host-facts.ts";

const NEEDED = ["podman", "nft", "nsenter", "setpriv", "sed"];

/** A machine of empty programs. */
function makeMachine(programs: readonly string[] = NEEDED): {
  readonly bin: string;
  readonly root: string;
  readonly cache: string;
  readonly searched: SearchedDirectories;
} {
  const root = makeTemporaryDirectory();
  const bin = `${root}/bin`;
  mkdirSync(bin);
  for (const name of programs) writeProgram(`${bin}/${name}`);
  return {
    bin,
    root,
    cache: `${root}/facts.json`,
    searched: {
      programs: [bin, `${root}/sbin`],
      containersConf: {
        vendor: `${root}/vendor`,
        administrator: `${root}/etc`,
        user: `${root}/user`,
        uid: 1000,
      },
      ulogdPlugins: [`${root}/lib`, `${root}/lib64`],
    },
  };
}

function writeProgram(path: string): void {
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
}

const podman = (bin: string, stdout = "podman version 4.3.1\n"): ScriptedCommand => ({
  expect: `${bin}/podman --version`,
  stdout,
});

const DNSMASQ =
  "Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley\nCompile time options: IPv6 GNU-getopt no-ubus conntrack nftset auth\n";
const dnsmasq = (bin: string, stdout = DNSMASQ): ScriptedCommand => ({
  expect: `${bin}/dnsmasq --version`,
  stdout,
});

describe("what a machine has", () => {
  test("no more than is needed", async () => {
    const { bin, cache, searched } = makeMachine();
    expect(await findHostFacts(cache, scriptRunner([podman(bin)]), searched)).toEqual({
      podmanMajor: 4,
      hasHostsFileOption: false,
      otherHooksDirectories: expect.any(Function),
      programs: {
        ...Object.fromEntries(NEEDED.map((name) => [name, `${bin}/${name}`])),
        node: process.execPath,
      },
    });
  });

  test("everything", async () => {
    const optional = ["dnsmasq", "ulogd", "dig", "getent", "slirp4netns", "pasta"];
    const { bin, root, cache, searched } = makeMachine([...NEEDED, ...optional]);
    writeFiles(root, {
      "lib/x86_64-linux-gnu/ulogd/ulogd_output_JSON.so": "",
    });
    const script = [podman(bin, "podman version 5.4.2\n"), dnsmasq(bin)];
    expect(await findHostFacts(cache, scriptRunner(script), searched)).toEqual({
      podmanMajor: 5,
      hasHostsFileOption: true,
      otherHooksDirectories: expect.any(Function),
      programs: {
        ...Object.fromEntries([...NEEDED, ...optional].map((name) => [name, `${bin}/${name}`])),
        node: process.execPath,
        dnsmasq: {
          path: `${bin}/dnsmasq`,
          facts: {
            version: [2, 90],
            options: new Set(["IPv6", "GNU-getopt", "conntrack", "nftset", "auth"]),
          },
        },
        ulogd: { path: `${bin}/ulogd`, plugins: `${root}/lib/x86_64-linux-gnu/ulogd` },
      },
    });
  });

  test("programs in the first directory that has them, and only files that can be run", async () => {
    const { bin, root, cache, searched } = makeMachine();
    mkdirSync(`${root}/sbin`);
    for (const name of ["podman", "dig", "pasta", "getent"]) writeProgram(`${root}/sbin/${name}`);
    mkdirSync(`${bin}/dig`);
    writeFileSync(`${bin}/pasta`, "", { mode: 0o644 });
    symlinkSync("/nonexistent", `${bin}/getent`);
    const { programs } = await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
    expect([programs.podman, programs.dig, programs.pasta, programs.getent]).toEqual([
      `${bin}/podman`,
      `${root}/sbin/dig`,
      `${root}/sbin/pasta`,
      `${root}/sbin/getent`,
    ]);
  });

  test("a ulogd without its JSON plugin does not count", async () => {
    const { bin, root, cache, searched } = makeMachine([...NEEDED, "ulogd"]);
    writeFiles(root, { "lib64/ulogd/ulogd_output_LOGEMU.so": "" });
    const { programs } = await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
    expect(programs.ulogd).toBeUndefined();
  });

  test.each([
    ["podman", "podman"],
    ["nft", "nftables"],
    ["nsenter", "util-linux"],
    ["setpriv", "util-linux"],
    ["sed", "sed"],
  ])("without %s nothing goes on, and the package %s is named", async (name, debianPackage) => {
    const { cache, searched } = makeMachine(NEEDED.filter((needed) => needed !== name));
    await expect(findHostFacts(cache, scriptRunner([]), searched)).rejects.toThrow(
      new ShieldError(`${name} is not installed. On Debian: sudo apt-get install ${debianPackage}`),
    );
  });
});

describe("versions", () => {
  test.each([
    ["podman version 3.0.1\n", 3],
    ["podman version 10.0.0-dev\n", 10],
  ])("%j is podman of major version %i", async (stdout, podmanMajor) => {
    const { bin, cache, searched } = makeMachine();
    const facts = await findHostFacts(cache, scriptRunner([podman(bin, stdout)]), searched);
    expect(facts.podmanMajor).toBe(podmanMajor);
  });

  test.each([
    ["podman version 4.9.4\n", false],
    ["podman version 5.2.5\n", false],
    ["podman version 5.3.0\n", true],
    ["podman version 5.10.0-dev\n", true],
    ["podman version 6.0.0\n", true],
  ])("%j has --hosts-file: %j", async (stdout, hasHostsFileOption) => {
    const { bin, cache, searched } = makeMachine();
    const facts = await findHostFacts(cache, scriptRunner([podman(bin, stdout)]), searched);
    expect(facts.hasHostsFileOption).toBe(hasHostsFileOption);
  });

  test.each(["", "\n", "Docker version 24.0.7, build afdb53b\n", "podman version \u001b[31m\n"])(
    "podman that prints %j is refused, and asked again next time",
    async (stdout) => {
      const { bin, cache, searched } = makeMachine();
      await expect(findHostFacts(cache, scriptRunner([podman(bin, stdout)]), searched)).rejects.toThrow(
        new ShieldError(`podman --version printed ${JSON.stringify(stdout)}, which names no version.`),
      );
      await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
    },
  );

  test("a dnsmasq that prints no version does not count", async () => {
    const { bin, cache, searched } = makeMachine([...NEEDED, "dnsmasq"]);
    const script = [podman(bin), dnsmasq(bin, "hello\n")];
    const { programs } = await findHostFacts(cache, scriptRunner(script), searched);
    expect(programs.dnsmasq).toBeUndefined();
  });
});

describe("answers are kept", () => {
  test("while the programs are the same files, so a second call runs nothing", async () => {
    const { bin, cache, searched } = makeMachine([...NEEDED, "dnsmasq"]);
    const first = await findHostFacts(cache, scriptRunner([podman(bin), dnsmasq(bin)]), searched);
    expect(await findHostFacts(cache, scriptRunner([]), searched)).toEqual({
      ...first,
      otherHooksDirectories: expect.any(Function),
    });
  });

  test("where they can be written; elsewhere they are asked again", async () => {
    const { bin, root, searched } = makeMachine();
    for (let call = 0; call < 2; call++)
      await findHostFacts(`${root}/none/facts.json`, scriptRunner([podman(bin)]), searched);
  });

  test("until a program is another file", async () => {
    const { bin, cache, searched } = makeMachine();
    await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
    utimesSync(`${bin}/podman`, new Date(0), new Date(0));
    const upgraded = scriptRunner([podman(bin, "podman version 5.4.2\n")]);
    expect((await findHostFacts(cache, upgraded, searched)).podmanMajor).toBe(5);
    writeFileSync(`${bin}/podman`, "another size");
    utimesSync(`${bin}/podman`, new Date(0), new Date(0));
    const again = scriptRunner([podman(bin, "podman version 6.0.0\n")]);
    expect((await findHostFacts(cache, again, searched)).podmanMajor).toBe(6);
  });

  test.each(["", "{", "null", "[]", '{"/bin/podman": 5}', '"text"'])(
    "and a cache of %j counts as none",
    async (text) => {
      const { bin, cache, searched } = makeMachine();
      writeFileSync(cache, text);
      const facts = await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
      expect(facts.podmanMajor).toBe(4);
      expect(Object.values(JSON.parse(readFileSync(cache, "utf8")))).toEqual(["podman version 4.3.1\n"]);
    },
  );
});

describe("the hooks directories to keep", () => {
  async function findOthers(files: (root: string) => Record<string, string>): Promise<string[]> {
    const { bin, root, cache, searched } = makeMachine();
    writeFiles(root, files(root));
    const facts = await findHostFacts(cache, scriptRunner([podman(bin)]), searched);
    return (await facts.otherHooksDirectories()).map((directory) => directory.replace(root, "ROOT"));
  }
  const list = (...directories: string[]) => `[engine]\nhooks_dir = ${JSON.stringify(directories)}\n`;

  test("are the vendor's when it has hooks", async () => {
    expect(await findOthers(() => ({ "vendor/oci/hooks.d/nvidia.json": "" }))).toEqual([
      "ROOT/vendor/oci/hooks.d",
    ]);
    expect(await findOthers(() => ({}))).toEqual([]);
  });

  test("are those of podman's configuration less our own, and less the empty ones", async () => {
    const own = (["user", "system"] as const).map((scope) => findHooksInstallation(scope).hooksDirectory);
    expect(
      await findOthers((root) => ({
        "a/x.json": "",
        "b/y.json": "",
        "user/containers.conf": list(...own, `${root}/b`, `${root}/empty`, `${root}/a`),
      })),
    ).toEqual(["ROOT/b", "ROOT/a"]);
  });

  test.each(["a b", "a,b", 'a"b', "a$b"])(
    "cannot have the name %j, which no option carries",
    async (name) => {
      const files = (root: string) => ({
        [`${name}/x.json`]: "",
        "user/containers.conf": list(`${root}/${name}`),
      });
      await expect(findOthers(files)).rejects.toThrow(
        /containers\.conf: the hooks directory .* cannot be passed on/,
      );
      expect(await findOthers((root) => ({ "user/containers.conf": list(`${root}/${name}`) }))).toEqual([]);
    },
  );

  test("are an error when podman cannot read its configuration, but only then and there", async () => {
    await expect(findOthers(() => ({ "user/containers.conf": "hooks_dir = [" }))).rejects.toThrow(
      ShieldError,
    );
  });
});
