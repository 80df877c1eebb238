import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { type ConfigFile, mergeHooksDirectories, renderHooksDropIn } from "./containers-conf.ts";
import { ShieldError } from "./shield-error.ts";

const BUILT_IN = ["/usr/share/containers/oci/hooks.d"];

function files(...texts: readonly string[]): ConfigFile[] {
  return texts.map((text, index) => ({ path: `/etc/${index + 1}.conf`, text }));
}

const list = (items: string) => `[engine]\nhooks_dir = [${items}]\n`;

describe("the hooks directories that podman takes from its files", () => {
  test.each([
    { name: "its own when there is no file", texts: [], directories: BUILT_IN },
    {
      name: "its own when no file sets any",
      texts: ["[engine]\nruntime = 'crun'\n", ""],
      directories: BUILT_IN,
    },
    { name: "those of one file", texts: [list('"/a", "/b"')], directories: ["/a", "/b"], file: 1 },
    {
      name: "those of the last file alone",
      texts: [list('"/a"'), list('"/b"')],
      directories: ["/b"],
      file: 2,
    },
    { name: "none", texts: [list("")], directories: [], file: 1 },
    {
      name: "no other file's beside them",
      texts: [list('"/a"'), "[engine]\n"],
      directories: ["/a"],
      file: 1,
    },
    {
      name: "those before, where a file appends",
      texts: [list('"/a"'), list('"/b", {append=true}')],
      directories: ["/a", "/b"],
      file: 2,
    },
    {
      name: "those before, after a file that appended",
      texts: [list('"/a", {append=true}'), list('"/b"')],
      directories: [...BUILT_IN, "/a", "/b"],
      file: 2,
    },
    {
      name: "no more of those before, once a file ends appending",
      texts: [list('"/a", {append=true}'), list('"/b", {append=false}')],
      directories: ["/b"],
      file: 2,
    },
    { name: "each once", texts: [list('"/a", "/a"')], directories: ["/a"], file: 1 },
    { name: "those of a dotted key", texts: ['engine.hooks_dir = ["/a"]\n'], directories: ["/a"], file: 1 },
    {
      name: "those of a key in capitals, as podman reads it",
      texts: ['[Engine]\nHooks_Dir = ["/a"]\n'],
      directories: ["/a"],
      file: 1,
    },
  ])("are $name", ({ texts, directories, file }) => {
    expect(mergeHooksDirectories(BUILT_IN, files(...texts))).toEqual({
      directories,
      ...(file === undefined ? {} : { file: `/etc/${file}.conf` }),
    });
  });

  test.each([
    ['[engine]\nhooks_dir = "/a"\n', "/etc/1.conf, engine.hooks_dir: not a list of directories."],
    ["[engine]\nhooks_dir = [1]\n", "/etc/1.conf, engine.hooks_dir: not a list of directories."],
    ['[engine]\nhooks_dir = ["/a"\n', "/etc/1.conf:3: expected comma or end of structure."],
    ["[engine]\nhooks_dir = a\n", "/etc/1.conf:2: invalid value."],
  ])("%j is an error, as to podman", (text, reason) => {
    expect(() => mergeHooksDirectories(BUILT_IN, files(text))).toThrow(
      `${reason} Podman cannot read it either.`,
    );
  });
});

describe("the drop-in", () => {
  test("adds our directory to those there were", () => {
    expect(renderHooksDropIn(["/a"], "/ours")).toBe(
      [
        "# Written by terok-shield setup; terok-shield setup --uninstall removes it.",
        "# A file that podman reads later and that sets hooks_dir replaces this list.",
        "[engine]",
        'hooks_dir = [ "/a", "/ours" ]',
        "",
      ].join("\n"),
    );
  });

  test("names our directory once", () => {
    const text = renderHooksDropIn(["/ours", "/a"], "/ours");
    expect(mergeHooksDirectories([], files(text)).directories).toEqual(["/a", "/ours"]);
  });

  test.each(["/a b", '/a"b', "/a\\b", "/a\nb", "/ä"])("carries the directory %j", (directory) => {
    expect(parse(renderHooksDropIn([directory], "/ours"))).toEqual({
      engine: { hooks_dir: [directory, "/ours"] },
    });
  });
});

test("the drop-in reads back as the directories that were written, whatever they are called", () => {
  const directory = fc.string({ unit: "grapheme", minLength: 1 }).map((name) => `/${name}`);
  fc.assert(
    fc.property(fc.uniqueArray(directory), directory, (before, own) => {
      const { directories } = mergeHooksDirectories(BUILT_IN, files(renderHooksDropIn(before, own)));
      expect(directories).toEqual([...before.filter((each) => each !== own), own]);
    }),
  );
});

test("whatever a file holds, it is read or is a ShieldError that names the file", () => {
  const part = fc.constantFrom(
    "[engine]",
    "\n",
    "hooks_dir",
    "=",
    "[",
    "]",
    '"/a"',
    "{append=true}",
    ",",
    "'",
    "#",
    "\0",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(part, { maxLength: 12 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (content) => {
      try {
        const { directories } = mergeHooksDirectories(BUILT_IN, files(content));
        expect(directories.every((each) => typeof each === "string")).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldError);
        expect((error as Error).message).toMatch(/^\/etc\/1\.conf[:,]/);
      }
    }),
    { numRuns: 1000 },
  );
});
