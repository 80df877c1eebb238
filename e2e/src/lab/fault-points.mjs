/**
 * Preloaded into terok-shield and, with it, into its hook: names everything that they do to the world, and ends them at
 * one of these points. What it wraps is Node's own, so the product knows nothing of it.
 *
 * Environment: FAULT_LOG, a file that gets one JSON line for each point reached; FAULT_AT, if anything is to happen, the
 * JSON of a point with `how`.
 */
import childProcess from "node:child_process";
import fs from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";

const program = path.basename(process.argv[1] ?? "").includes("hook") ? "hook" : "cli";
const faultAt = JSON.parse(process.env.FAULT_AT ?? "{}");
const log = fs.openSync(process.env.FAULT_LOG ?? "/dev/null", "a");
const kill = process.kill.bind(process);
const PATIENCE = 20;
/** How often each label has been reached. */
const reached = new Map();

/** @returns what is to happen at this point; "before" has happened by then. */
function reach(kind, label) {
  const occurrence = (reached.get(label) ?? 0) + 1;
  reached.set(label, occurrence);
  const isFault = faultAt.program === program && faultAt.label === label && faultAt.occurrence === occurrence;
  const { how } = faultAt;
  const point = { program, kind, label, occurrence };
  fs.writeSync(log, `${JSON.stringify(isFault ? { ...point, how } : point)}\n`);
  if (isFault && how === "before") die();
  return isFault ? how : undefined;
}

function die() {
  kill(process.pid, "SIGKILL");
}

/** `around` gets the original and its arguments. What a synchronous original does in turn is part of it. */
function wrap(object, name, around) {
  const original = object[name];
  object[name] = function (...args) {
    if (isInside) return original.apply(this, args);
    return around.call(this, (...changed) => inside(() => original.apply(this, changed)), args);
  };
}

let isInside = false;
function inside(work) {
  isInside = true;
  try {
    return work();
  } finally {
    isInside = false;
  }
}

/** Without what is different each time. */
function nameOf(file) {
  if (typeof file === "number") return descriptorPaths.get(file);
  return path.basename(String(file)).replace(/\.[0-9a-f]{12}\.new$/, ".new");
}

/** Of a file that is written in one go, half may be there. */
function halve(content) {
  return content.slice(0, content.length / 2);
}

const WRITING = fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC;
const isWriting = (flags = "r") => (typeof flags === "number" ? (flags & WRITING) !== 0 : flags !== "r");

const descriptorPaths = new Map();
wrap(fs, "openSync", (open, args) => {
  if (isWriting(args[1])) reach("file", `open ${nameOf(args[0])}`);
  const descriptor = open(...args);
  descriptorPaths.set(descriptor, nameOf(args[0]));
  return descriptor;
});
const handlePaths = new WeakMap();
const probe = await promises.open("/dev/null");
const fileHandle = Object.getPrototypeOf(probe);
await probe.close();

wrap(promises, "open", async (open, args) => {
  if (isWriting(args[1])) reach("file", `open ${nameOf(args[0])}`);
  const handle = await open(...args);
  handlePaths.set(handle, nameOf(args[0]));
  return handle;
});
for (const name of ["chmod", "sync", "datasync", "truncate", "write", "writev"]) {
  wrap(fileHandle, name, function (operate, args) {
    reach("file", `${name} ${handlePaths.get(this)}`);
    return operate(...args);
  });
}
for (const name of ["writeFile", "appendFile"]) {
  wrap(fileHandle, name, async function (write, [content, ...rest]) {
    const fault = reach("write", `${name} ${handlePaths.get(this)}`);
    if (fault === "half") {
      await write(halve(content), ...rest);
      die();
    }
    return write(content, ...rest);
  });
  wrap(promises, name, async (write, [file, content, ...rest]) => {
    const fault = reach("write", `${name} ${nameOf(file)}`);
    if (fault === "half") {
      await write(file, halve(content), ...rest);
      die();
    }
    return write(file, content, ...rest);
  });
  wrap(fs, `${name}Sync`, (write, [file, content, ...rest]) => {
    const fault = reach("write", `${name} ${nameOf(file)}`);
    if (fault === "half") {
      write(file, halve(content), ...rest);
      die();
    }
    return write(file, content, ...rest);
  });
}
for (const name of ["rename", "rm", "unlink", "mkdir", "chmod", "symlink", "link", "truncate", "utimes"]) {
  wrap(promises, name, (operate, args) => {
    reach("file", `${name} ${nameOf(args[0])}`);
    return operate(...args);
  });
  wrap(fs, `${name}Sync`, (operate, args) => {
    reach("file", `${name} ${nameOf(args[0])}`);
    return operate(...args);
  });
}

/** A command as its owner would say it: what nsenter, or a shell that only sets a limit, starts, without directories. */
function nameCommand(file, args) {
  const words = [file, ...args];
  const isLimit = /^trap .*; ulimit .*; exec "\$@"$/.test(args[1] ?? "");
  const entry = path.basename(file) === "nsenter" ? words.indexOf("--") : isLimit ? words.indexOf("sh") : -1;
  const inner = words.slice(entry + 1);
  return inner.map((word) => (word.startsWith("/") ? path.basename(word) : word)).join(" ");
}

/** A program that ends by a signal, either at once or when it has done its work. */
const DYING = { "child-first": "kill -KILL $$", "child-last": '"$@"; kill -KILL $$' };
const dying = (fault, file, args) => ["/bin/sh", ["-c", DYING[fault], "sh", file, ...args]];

/** Takes all of its input, sees to it that we die, and does its work alone. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's expansion
const ALONE = 'input=$(cat; echo x); kill -KILL $PPID; printf %s "${input%x}" | "$@"';

wrap(childProcess, "spawn", (spawn, [file, args, ...rest]) => {
  const { detached } = rest[0] ?? {};
  const fault = reach(detached === true ? "daemon" : "command", nameCommand(file, args));
  if (DYING[fault] !== undefined) return spawn(...dying(fault, file, args), ...rest);
  const child = spawn(file, args, ...rest);
  // It has been given all that it needs, and goes on alone.
  if (fault === "alone") child.stdin === null ? child.once("spawn", die) : child.stdin.once("finish", die);
  return child;
});
wrap(childProcess, "spawnSync", (spawnSync, [file, args, ...rest]) => {
  const fault = reach("command", nameCommand(file, args));
  if (DYING[fault] !== undefined) return spawnSync(...dying(fault, file, args), ...rest);
  if (fault === "alone") return spawnSync("/bin/sh", ["-c", ALONE, "sh", file, ...args], ...rest);
  return spawnSync(file, args, ...rest);
});

wrap(process, "kill", (send, [pid, signal]) => {
  if (signal !== 0) reach("signal", String(signal));
  return send(pid, signal);
});
wrap(process.stdout, "write", (write, args) => {
  if (args[0] !== "") reach("print", "standard output");
  return write(...args);
});
// How fast the machine is shall not decide which points there are.
const { timeout } = AbortSignal;
AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds * PATIENCE);
syncBuiltinESMExports();
