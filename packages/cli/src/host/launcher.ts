/**
 * Runs main.cjs with what V8 made of it the last time, since to compile it takes as long as all that a command does.
 *
 * That compilation is code that we run, so it is ours alone: below the state directory, which no mount hands to a
 * container, in a file of this user that nobody else may change, and as it was written, which V8 does not look at.
 * Without it, or where anything is not as it should be, the source is compiled.
 *
 * WORKAROUND(node-20-compile-cache): `module.enableCompileCache` does the like from Node 22.1 on. Goes with Node 20.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { findCodeCache } from "./code-cache-place.ts";

const DIGEST_LENGTH = 32;

const program = join(dirname(__filename), "main.cjs");
const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(program, "utf8")}\n})`;
const directory = findCodeCache(process.env.HOME ?? homedir(), process.env);
const generation = nameGeneration();
/** What one command compiles, another has no use for. */
const file = join(directory, generation, /^[a-z]{1,20}$/.exec(process.argv[2] ?? "")?.[0] ?? "none");
const cachedData = readCompiled(file);
const script = new Script(source, { filename: program, ...(cachedData === undefined ? {} : { cachedData }) });
if (cachedData === undefined || script.cachedDataRejected === true) process.once("exit", keepCompiled);
const main = { exports: {} };
script.runInThisContext()(main.exports, createRequire(program), main, program, dirname(program));

/** Of this program and this Node: what another one compiled is of no use. */
function nameGeneration(): string {
  const { size, mtimeMs } = statSync(program);
  return `${process.version}-${process.arch}-${size}-${Math.trunc(mtimeMs)}`;
}

function readCompiled(path: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    if (!isOursAlone(fstatSync(fd))) return undefined;
    const content = readFileSync(fd);
    const data = content.subarray(DIGEST_LENGTH);
    return digest(data).equals(content.subarray(0, DIGEST_LENGTH)) ? data : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Only beside state that is there: to ask for help leaves no trace. Failure costs time and nothing else. */
function keepCompiled(exitCode: number): void {
  if (exitCode !== 0) return;
  try {
    const state = lstatSync(dirname(directory));
    if (!state.isDirectory() || !isOursAlone(state)) return;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const data = script.createCachedData();
    const staged = `${file}.${randomBytes(6).toString("hex")}`;
    writeFileSync(staged, Buffer.concat([digest(data), data]), { mode: 0o600, flag: "wx" });
    renameSync(staged, file);
    for (const name of readdirSync(directory)) {
      if (name !== generation) rmSync(join(directory, name), { recursive: true });
    }
  } catch {
    // Next time, perhaps.
  }
}

function isOursAlone({ uid, mode }: { uid: number; mode: number }): boolean {
  return uid === process.getuid?.() && (mode & 0o022) === 0;
}

function digest(data: Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}
