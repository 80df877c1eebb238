import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { ShieldError } from "../shield-error.ts";
import {
  appendHosts,
  appendLine,
  ensurePrivateDirectory,
  isSocketFile,
  readTextFile,
  removeFile,
  removeStagedFiles,
  resolvePath,
  stageFile,
  writeFileAtomically,
} from "./files.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let directory: string;
beforeEach(() => {
  directory = makeTemporaryDirectory();
});

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

function setUmask(mask: number): void {
  const before = process.umask(mask);
  onTestFinished(() => void process.umask(before));
}

describe("readTextFile", () => {
  test("gives the text, and undefined when there is no file", () => {
    writeFileSync(`${directory}/a`, "hello\n");
    expect(readTextFile(`${directory}/a`)).toBe("hello\n");
    expect(readTextFile(`${directory}/b`)).toBeUndefined();
    expect(readTextFile(`${directory}/no/b`)).toBeUndefined();
  });

  test("a file that cannot be read is not a missing one", () => {
    expect(() => readTextFile(directory)).toThrow(ShieldError);
    expect(() => readTextFile(directory)).toThrow(`"${directory}" cannot be read: EISDIR`);
  });
});

describe("writeFileAtomically", () => {
  test.each([0o022, 0o077, 0o777, 0])("gives the mode asked for under umask %o", async (mask) => {
    setUmask(mask);
    await writeFileAtomically(`${directory}/private`, "a", 0o600);
    await writeFileAtomically(`${directory}/shared`, "b", 0o644);
    expect([modeOf(`${directory}/private`), modeOf(`${directory}/shared`)]).toEqual(["600", "644"]);
  });

  test("replaces content and mode, and leaves nothing else in the directory", async () => {
    await writeFileAtomically(`${directory}/a`, "a long text", 0o644);
    await writeFileAtomically(`${directory}/a`, "short", 0o600);
    expect([readFileSync(`${directory}/a`, "utf8"), modeOf(`${directory}/a`)]).toEqual(["short", "600"]);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("writes a new file: who holds the old one keeps the old content", async () => {
    writeFileSync(`${directory}/a`, "old");
    linkSync(`${directory}/a`, `${directory}/held`);
    await writeFileAtomically(`${directory}/a`, "new", 0o600);
    expect(readFileSync(`${directory}/held`, "utf8")).toBe("old");
  });

  test("replaces a symbolic link, and does not write through it", async () => {
    writeFileSync(`${directory}/target`, "theirs");
    symlinkSync(`${directory}/target`, `${directory}/a`);
    await writeFileAtomically(`${directory}/a`, "ours", 0o600);
    expect(readFileSync(`${directory}/target`, "utf8")).toBe("theirs");
    expect(lstatSync(`${directory}/a`).isFile()).toBe(true);
  });

  test("of many at a time, one wins whole", async () => {
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
    await Promise.all(texts.map((text) => writeFileAtomically(`${directory}/a`, text, 0o600)));
    expect(texts).toContain(readFileSync(`${directory}/a`, "utf8"));
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("in a directory that is not there, fails and makes nothing", async () => {
    const path = `${directory}/missing/a`;
    await expect(writeFileAtomically(path, "a", 0o600)).rejects.toThrow(ShieldError);
    await expect(writeFileAtomically(path, "a", 0o600)).rejects.toThrow(
      `"${path}" cannot be written: ENOENT`,
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test("where a directory stands, fails and leaves no temporary file", async () => {
    mkdirSync(`${directory}/a`);
    await expect(writeFileAtomically(`${directory}/a`, "a", 0o600)).rejects.toThrow(ShieldError);
    expect(readdirSync(directory)).toEqual(["a"]);
  });
});

test("appendLine adds at the end, and what it makes is ours alone", async () => {
  setUmask(0);
  await appendLine(`${directory}/log`, "one\n");
  await Promise.all(
    Array.from({ length: 50 }, () => appendLine(`${directory}/log`, `${"x".repeat(4000)}\n`)),
  );
  const lines = readFileSync(`${directory}/log`, "utf8").split("\n");
  expect([lines.length, new Set(lines).size, modeOf(`${directory}/log`)]).toEqual([52, 3, "600"]);
});

describe("ensurePrivateDirectory", () => {
  test.each([0o022, 0o077, 0o777, 0])("makes what is missing for us alone under umask %o", (mask) => {
    setUmask(mask);
    expect(ensurePrivateDirectory(`${directory}/a/b/c`)).toBe(`${directory}/a/b/c`);
    expect(["a", "a/b", "a/b/c"].map((path) => modeOf(`${directory}/${path}`))).toEqual([
      "700",
      "700",
      "700",
    ]);
  });

  test("is content with one that is there, and leaves what is in it", () => {
    writeFileSync(`${directory}/a`, "");
    expect(ensurePrivateDirectory(directory)).toBe(directory);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("gives the path without symbolic links", () => {
    mkdirSync(`${directory}/real`, 0o700);
    symlinkSync(`${directory}/real`, `${directory}/link`);
    expect(ensurePrivateDirectory(`${directory}/link`)).toBe(`${directory}/real`);
    expect(ensurePrivateDirectory(`${directory}/link/new`)).toBe(`${directory}/real/new`);
  });

  test.each(["750", "705", "701", "770", "777", "1777"])("refuses one of mode %s", (mode) => {
    mkdirSync(`${directory}/a`);
    chmodSync(`${directory}/a`, Number.parseInt(mode, 8));
    expect(() => ensurePrivateDirectory(`${directory}/a`)).toThrow(
      new ShieldError(
        `The state directory "${directory}/a" is not safe: others may enter it. Run chmod 700 ${directory}/a`,
      ),
    );
  });

  test("refuses one below a directory where anybody may rename it", () => {
    mkdirSync(`${directory}/open`);
    chmodSync(`${directory}/open`, 0o777);
    expect(() => ensurePrivateDirectory(`${directory}/open/a`)).toThrow(
      new ShieldError(
        `The state directory "${directory}/open/a" is not safe: anybody may write to ${directory}/open. Choose another with --state-dir.`,
      ),
    );
  });

  test("takes one below a sticky directory, as /tmp is", () => {
    mkdirSync(`${directory}/open`);
    chmodSync(`${directory}/open`, 0o1777);
    expect(ensurePrivateDirectory(`${directory}/open/a`)).toBe(`${directory}/open/a`);
  });

  test.runIf(isRoot)("refuses one of another user, or below one", () => {
    mkdirSync(`${directory}/theirs/ours`, { recursive: true, mode: 0o700 });
    chownSync(`${directory}/theirs`, NOBODY, NOBODY);
    expect(() => ensurePrivateDirectory(`${directory}/theirs`)).toThrow(
      `The state directory "${directory}/theirs" is not safe: it belongs to another user.`,
    );
    expect(() => ensurePrivateDirectory(`${directory}/theirs/ours`)).toThrow(
      `The state directory "${directory}/theirs/ours" is not safe: ${directory}/theirs belongs to another user.`,
    );
  });

  test.each([
    ["a file", "file", "it is no directory"],
    ["a path below a file", "file/a", "ENOTDIR"],
    ["a link to nowhere", "nowhere", "ENOENT"],
  ])("refuses %s in one sentence", (_, path, reason) => {
    writeFileSync(`${directory}/file`, "");
    symlinkSync(`${directory}/missing`, `${directory}/nowhere`);
    expect(() => ensurePrivateDirectory(`${directory}/${path}`)).toThrow(ShieldError);
    expect(() => ensurePrivateDirectory(`${directory}/${path}`)).toThrow(reason);
    expect(existsSync(`${directory}/missing`)).toBe(false);
  });

  test("fails where no directory can be, such as in /proc", () => {
    expect(() => ensurePrivateDirectory("/proc/terok-shield/state")).toThrow(
      /^The directory "\/proc\/terok-shield\/state" cannot be made or looked at: E/,
    );
  });
});

describe("a staged file", () => {
  test("is on disk, but has its name only when it is committed", async () => {
    writeFiles(directory, { a: "old" });
    const staged = await stageFile(`${directory}/a`, "new", 0o640);
    expect(readFileSync(`${directory}/a`, "utf8")).toBe("old");
    await staged.commit();
    expect(readFileSync(`${directory}/a`, "utf8")).toBe("new");
    expect(statSync(`${directory}/a`).mode & 0o777).toBe(0o640);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  test("leaves nothing when it is discarded", async () => {
    await (await stageFile(`${directory}/a`, "new", 0o600)).discard();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("of a writer that was killed is removed, and nothing else", async () => {
    await stageFile(`${directory}/a`, "new", 0o600);
    writeFiles(directory, { "runtime.json.new": "", "a.new": "", "b.0123456789ab.new.txt": "" });
    await removeStagedFiles(directory);
    expect(readdirSync(directory).sort()).toEqual(["a.new", "b.0123456789ab.new.txt", "runtime.json.new"]);
  });
});

test("removeFile removes one, and none there is fine", async () => {
  writeFileSync(`${directory}/a`, "");
  await removeFile(`${directory}/a`);
  await removeFile(`${directory}/a`);
  expect(readdirSync(directory)).toEqual([]);
});

test("resolvePath follows links to the end, and knows what is missing", () => {
  symlinkSync(directory, `${directory}/link`);
  expect(resolvePath(`${directory}/link/link`)).toBe(directory);
  expect(resolvePath(`${directory}/missing`)).toBeUndefined();
});

test("isSocketFile tells a socket from a file", async () => {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
  onTestFinished(() => void server.close());
  writeFileSync(`${directory}/file`, "");
  expect([isSocketFile(`${directory}/socket`), isSocketFile(`${directory}/file`)]).toEqual([true, false]);
});

describe("appendHosts", () => {
  const PODMAN = "127.0.0.1\tlocalhost\n198.18.0.7\ta.example\n";
  test.each([
    [
      "adds what is missing",
      "198.18.0.7\ta.example\n198.18.0.8\ta.example\n",
      `${PODMAN}198.18.0.8\ta.example\n`,
    ],
    ["leaves a file alone that has it all", "198.18.0.7\ta.example\n", PODMAN],
    ["adds nothing for nothing", "", PODMAN],
  ])("%s", async (_, lines, expected) => {
    writeFileSync(`${directory}/hosts`, PODMAN);
    linkSync(`${directory}/hosts`, `${directory}/mounted`);
    await appendHosts(`${directory}/hosts`, lines);
    expect(readFileSync(`${directory}/mounted`, "utf8")).toBe(expected);
  });

  test("begins a line of its own after a file without a last newline", async () => {
    writeFileSync(`${directory}/hosts`, "127.0.0.1\tlocalhost");
    await appendHosts(`${directory}/hosts`, "198.18.0.7\ta.example\n");
    expect(readFileSync(`${directory}/hosts`, "utf8")).toBe("127.0.0.1\tlocalhost\n198.18.0.7\ta.example\n");
  });
});
