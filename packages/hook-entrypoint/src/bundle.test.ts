import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openBundle } from "./bundle.ts";
import { BUNDLE_VERSION } from "./contract.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

const RULESET = "table inet terok_shield {}\n";
const isRoot = process.getuid?.() === 0;
const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const manifest = {
  version: BUNDLE_VERSION,
  container: "web",
  dns: { tier: "dig" },
  files: { "ruleset.nft": digest(RULESET) },
};
const seal = (value: unknown) =>
  `${JSON.stringify({ manifest: value, digest: digest(JSON.stringify(value)) })}\n`;

let parent: string;
let directory: string;
const path = (name: string) => join(directory, name);

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), "bundle-")));
  directory = join(parent, "containers", "web");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(path("bundle.json"), seal(manifest), { mode: 0o600 });
  writeFileSync(path("ruleset.nft"), RULESET, { mode: 0o600 });
});
afterEach(() => rmSync(parent, { recursive: true }));

test("a bundle as prepare left it is opened and read", () => {
  const bundle = openBundle(directory);
  expect([bundle.directory, bundle.manifest, bundle.path("ruleset"), bundle.read("ruleset")]).toEqual([
    directory,
    manifest,
    path("ruleset.nft"),
    RULESET,
  ]);
});

test("a bundle is replaced as soon as its manifest is another", () => {
  const bundle = openBundle(directory);
  expect(bundle.isReplaced()).toBe(false);
  writeFileSync(path("bundle.json"), seal({ ...manifest, container: "dev" }));
  expect(bundle.isReplaced()).toBe(true);
});

test("a state that is newer than what was made from it is told from damage", () => {
  writeFileSync(path("bundle.json"), seal({ ...manifest, files: { "state.json": digest("{}") } }));
  for (const name of ["state.json", "ruleset.nft"]) writeFileSync(path(name), "{} ", { mode: 0o600 });
  expect(() => openBundle(directory).read("state")).toThrow(
    `state.json in ${directory} is not what its bundle was made from. Run terok-shield up --repair web`,
  );
  expect(() => openBundle(directory).read("ruleset")).toThrow(
    `ruleset.nft in ${directory} is not what prepare wrote. Run terok-shield prepare again`,
  );
});

test("files may be readable by others, as a mounted resolv.conf has to be", () => {
  chmodSync(path("ruleset.nft"), 0o644);
  expect(openBundle(directory).read("ruleset")).toBe(RULESET);
});

describe("the directory is refused", () => {
  const refusal = (name: string) => {
    try {
      openBundle(name);
    } catch (error) {
      expect(error).toBeInstanceOf(ShieldRefusal);
      return (error as Error).message.replaceAll(parent, "");
    }
    return undefined;
  };

  test("when it is a symbolic link", () => {
    symlinkSync(directory, join(parent, "link"));
    expect(refusal(join(parent, "link"))).toBe(
      'the state directory "/link" is really "/containers/web"; symbolic links are not followed',
    );
  });

  test("when a directory above it is a symbolic link", () => {
    symlinkSync(join(parent, "containers"), join(parent, "link"));
    expect(refusal(join(parent, "link", "web"))).toBe(
      'the state directory "/link/web" is really "/containers/web"; symbolic links are not followed',
    );
  });

  test.each([
    (name: string) => `${name}/`,
    (name: string) => `${name}/.`,
    (name: string) => `${name}/../web`,
    (name: string) => name.replace("/containers/", "//containers/"),
  ])("when it is not in its shortest form (%s)", (spell) => {
    expect(refusal(spell(directory))).toMatch(
      / is really "\/containers\/web"; symbolic links are not followed$/,
    );
  });

  test.each(["", "web", "./web", "../web", "~/web"])("when it is %j", (name) => {
    expect(refusal(name)).toBe(`the state directory ${JSON.stringify(name)} is not an absolute path`);
  });

  test("when it is relative and would be found", () => {
    const name = relative(process.cwd(), directory);
    expect(refusal(name)).toMatch(/ is not an absolute path$/);
  });

  test("when it holds a zero byte", () => {
    expect(refusal(`${directory}\0`)).toBe(
      'the state directory "/containers/web\\u0000" is not an absolute path',
    );
  });

  test("when it does not exist", () => {
    expect(refusal(path("other"))).toBe('the state directory "/containers/web/other" does not exist');
  });

  test("when it is a file", () => {
    expect(refusal(path("ruleset.nft"))).toBe(
      'the state directory "/containers/web/ruleset.nft" is no directory',
    );
  });

  test.each([
    [0o755, "is open to others"],
    [0o750, "is open to others"],
    [0o701, "is open to others"],
    [0o770, "is writable by others"],
    [0o702, "is writable by others"],
    [0o1777, "is writable by others"],
  ])("when its mode is %o", (mode, fault) => {
    chmodSync(directory, mode);
    expect(refusal(directory)).toBe(`the state directory "/containers/web" ${fault}`);
  });

  test.skipIf(!isRoot)("when it belongs to another user", () => {
    chownSync(directory, 12345, 0);
    expect(refusal(directory)).toBe('the state directory "/containers/web" belongs to another user');
  });
});

describe("the manifest is refused", () => {
  const file = () => path("bundle.json");
  const DAMAGED = "bundle.json is damaged. Run terok-shield prepare again";
  const version = (value: unknown) =>
    `the bundle has version ${JSON.stringify(value)}, this hook reads 1. Run terok-shield prepare again`;

  test.each([
    ["empty", "", "bundle.json is not JSON"],
    ["cut off", seal(manifest).slice(0, 100), "bundle.json is not JSON"],
    ["a list", `[${seal(manifest)}]`, "bundle.json is not a JSON object"],
    ["without a seal", JSON.stringify({ manifest }), DAMAGED],
    ["without content", JSON.stringify({ digest: digest("") }), DAMAGED],
    ["sealed as another", seal(manifest).replace('"web"', '"dev"'), DAMAGED],
    ["of an older version", seal({ ...manifest, version: 0 }), version(0)],
    ["of a newer version", seal({ ...manifest, version: 2 }), version(2)],
    ["of a version in quotes", seal({ ...manifest, version: "1" }), version("1")],
    ["of no version", seal({}), version(undefined)],
    ["null", seal(null), version(undefined)],
    ["a list of its own", seal([manifest]), version(undefined)],
  ])("when it is %s", (_, content, message) => {
    writeFileSync(file(), content);
    expect(() => openBundle(directory)).toThrow(new ShieldRefusal(message));
  });

  test("when it is missing", () => {
    rmSync(file());
    expect(() => openBundle(directory)).toThrow(
      new ShieldRefusal(`${file()} is missing. Run terok-shield prepare again`),
    );
  });

  test("when any bit of it is another, and wherever it is cut", () => {
    const whole = Buffer.from(seal(manifest));
    const opened: string[] = [];
    const attempt = (content: Buffer, what: string) => {
      writeFileSync(file(), content);
      try {
        openBundle(directory);
        opened.push(what);
      } catch (error) {
        if (!(error instanceof ShieldRefusal)) throw error;
      }
    };
    for (let index = 0; index < whole.length; index++) {
      // Without its last newline it is still all there.
      if (index < whole.length - 1) attempt(whole.subarray(0, index), `cut at ${index}`);
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(whole);
        flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << bit), index);
        attempt(flipped, `bit ${bit} of byte ${index}`);
      }
    }
    expect(opened).toEqual([]);
  });
});

describe.each(["bundle.json", "ruleset.nft"])("%s is refused", (name) => {
  const read = () => openBundle(directory).read("ruleset");
  const file = () => path(name);

  test("as a symbolic link to the same content", () => {
    renameSync(file(), path("elsewhere"));
    symlinkSync(path("elsewhere"), file());
    expect(read).toThrow(new ShieldRefusal(`${file()} is not a regular file`));
  });

  test("as a directory", () => {
    rmSync(file());
    mkdirSync(file());
    expect(read).toThrow(new ShieldRefusal(`${file()} is not a regular file`));
  });

  test("as a fifo that nobody writes to, without a wait", () => {
    rmSync(file());
    execFileSync("sh", ["-c", 'mkfifo "$1"', "sh", file()]);
    expect(read).toThrow(new ShieldRefusal(`${file()} is not a regular file`));
  });

  test("when it is missing", () => {
    rmSync(file());
    expect(read).toThrow(new ShieldRefusal(`${file()} is missing. Run terok-shield prepare again`));
  });

  test.each([0o606, 0o620, 0o666, 0o777])("when its mode is %o", (mode) => {
    chmodSync(file(), mode);
    expect(read).toThrow(new ShieldRefusal(`${file()} is writable by others`));
  });

  test.skipIf(!isRoot)("when it belongs to another user", () => {
    chownSync(file(), 12345, 0);
    expect(read).toThrow(new ShieldRefusal(`${file()} belongs to another user`));
  });
});

describe("a file that the manifest seals is refused", () => {
  const read = () => openBundle(directory).read("ruleset");
  const notOurs = () =>
    new ShieldRefusal(
      `ruleset.nft in ${directory} is not what prepare wrote. Run terok-shield prepare again`,
    );

  test("with any one byte changed", () => {
    for (let index = 0; index < RULESET.length; index++) {
      const content = Buffer.from(RULESET);
      content.writeUInt8(content.readUInt8(index) ^ 1, index);
      writeFileSync(path("ruleset.nft"), content);
      expect(read).toThrow(notOurs());
    }
  });

  test("with a byte more", () => {
    writeFileSync(path("ruleset.nft"), `${RULESET}\n`);
    expect(read).toThrow(notOurs());
  });

  test("cut short", () => {
    truncateSync(path("ruleset.nft"), 5);
    expect(read).toThrow(notOurs());
  });

  test("empty", () => {
    truncateSync(path("ruleset.nft"));
    expect(read).toThrow(notOurs());
  });

  test("when the manifest does not list it", () => {
    writeFileSync(path("bundle.json"), seal({ ...manifest, files: {} }));
    expect(readFileSync(path("ruleset.nft"), "utf8")).toBe(RULESET);
    expect(read).toThrow(notOurs());
  });

  test("when it changes after the bundle was opened", () => {
    const bundle = openBundle(directory);
    writeFileSync(path("ruleset.nft"), RULESET.replace("inet", "ip"));
    expect(() => bundle.read("ruleset")).toThrow(notOurs());
  });
});
