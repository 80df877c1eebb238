import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { makeTemporaryDirectory } from "../../testing/temporary-directory.ts";
import { writeChangedFiles } from "./write-bundle.ts";

let directory: string;
beforeEach(() => {
  directory = makeTemporaryDirectory();
});

const plan = (contents: Record<string, string>) =>
  Object.entries(contents).map(([name, content]) => ({ path: `${directory}/${name}`, content, mode: 0o600 }));
const names = (paths: readonly string[]) => paths.map((path) => path.slice(directory.length + 1));

test("only what differs is written, in its order", async () => {
  await writeChangedFiles(plan({ a: "1", b: "1", c: "1" }));
  const before = statSync(`${directory}/b`).ino;
  expect(names(await writeChangedFiles(plan({ c: "2", b: "1", a: "2" })))).toEqual(["c", "a"]);
  expect(statSync(`${directory}/b`).ino).toBe(before);
  expect(readFileSync(`${directory}/a`, "utf8")).toBe("2");
  expect(await writeChangedFiles(plan({ a: "2", b: "1", c: "2" }))).toEqual([]);
});

test("a file of another mode, or a link to the right content, is not as planned", async () => {
  await writeChangedFiles(plan({ a: "1", b: "1" }));
  chmodSync(`${directory}/a`, 0o644);
  symlinkSync(`${directory}/a`, `${directory}/link`);
  expect(names(await writeChangedFiles(plan({ a: "1", b: "1", link: "1" })))).toEqual(["a", "link"]);
  expect(statSync(`${directory}/a`).mode & 0o777).toBe(0o600);
});

test("when one cannot be written, none has changed and nothing is left", async () => {
  await writeChangedFiles(plan({ a: "1", b: "1" }));
  const blocked = [...plan({ a: "2" }), { path: `${directory}/missing/c`, content: "2", mode: 0o600 }];
  await expect(writeChangedFiles(blocked)).rejects.toThrow(`"${directory}/missing/c" cannot be written`);
  expect(readFileSync(`${directory}/a`, "utf8")).toBe("1");
  expect(readdirSync(directory).sort()).toEqual(["a", "b"]);
});

test("when one cannot get its name, those after it stay as they were", async () => {
  await writeChangedFiles(plan({ a: "1", c: "1" }));
  mkdirSync(`${directory}/b`);
  writeFileSync(`${directory}/b/inside`, "");
  await expect(writeChangedFiles(plan({ a: "2", b: "2", c: "2" }))).rejects.toThrow("cannot be written");
  expect([readFileSync(`${directory}/a`, "utf8"), readFileSync(`${directory}/c`, "utf8")]).toEqual([
    "2",
    "1",
  ]);
  expect(readdirSync(directory).sort()).toEqual(["a", "b", "c"]);
});
