import { type ChildProcess, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { enterNetwork, holdNetwork, installHook, type Outcome, writeBundle } from "../testing/hook-lab.ts";
import { type PreparedStart, prepareStart, staticFiles } from "../testing/prepared-start.ts";
import { ANNOTATION, HOOK_DONE } from "./contract.ts";
import { CONTAINER_ID } from "./stand-in-spec.ts";

/** A few for each run of `npm test`; `pnpm test:fuzz` has more. A failure names the seed: FUZZ_SEED repeats it. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 20);
/** There for a test that hangs; the hook itself has less time. */
const TIMEOUT_MILLISECONDS = 60_000 + RUNS * 5000;
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) };

const ONE_LINE = /^terok-shield: [^\p{Cc}\p{Bidi_Control}]+\n$/u;
const SHIELDED = "table inet terok_shield\n";

describe.skipIf(process.getuid?.() !== 0)("whatever reaches the built hook", () => {
  let host: ChildProcess;
  let container: ChildProcess;
  let parent: string;
  let start: PreparedStart;

  beforeAll(async () => {
    host = await holdNetwork();
    container = await holdNetwork(enterNetwork(host));
  });
  afterAll(() => {
    for (const holder of [container, host]) holder.kill("SIGKILL");
  });
  beforeEach(() => {
    const installed = installHook();
    parent = installed.parent;
    start = prepareStart(installed, host, container);
    start.prepare();
    expect(judge(start.fire(JSON.stringify(start.ociState)))).toBe("up");
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  test(
    `on its standard input: it is one line of refusal, unless all that counts is as it was (${RUNS} inputs)`,
    () => {
      const counts = ({ id, pid, bundle, annotations }: Record<string, unknown>) => {
        const said = (annotations ?? {}) as Record<string, unknown>;
        return [id, pid, bundle, ...COUNTING_ANNOTATIONS.map((key) => said[key])];
      };
      fc.assert(
        fc.property(anyInput(start.ociState), (input) => {
          const state = parsed(input);
          // The process of somebody else on this machine has a network of its own, which is none of ours.
          fc.pre(!isForeignProcess(state?.pid));
          if (judge(start.fire(input)) === "up") expect(counts(state ?? {})).toEqual(counts(start.ociState));
        }),
        { numRuns: RUNS, ...SEED },
      );
    },
    TIMEOUT_MILLISECONDS,
  );

  test(
    `in its state directory: it is one line of refusal, or the shield is up as prepared (${RUNS} damages)`,
    () => {
      const other = join(parent, "containers", "dev");
      mkdirSync(other, { mode: 0o700 });
      const files = Object.entries(staticFiles({})).map(([name, content]) => [name, `${content} `]);
      writeBundle(other, Object.fromEntries(files), { container: "dev" });
      const damages = fc.uniqueArray(fc.tuple(fc.constantFrom(...FILES), damage), {
        selector: ([file]) => file,
        minLength: 1,
        maxLength: 2,
      });
      const outcomes = new Set<string>();
      fc.assert(
        fc.property(damages, (done) => {
          rmSync(start.directory, { recursive: true });
          start.prepare();
          for (const [file, { act }] of done) {
            const path = join(start.directory, file);
            if (!existsSync(path)) writeFileSync(path, "{}\n", { mode: 0o600 });
            act(path, join(other, file));
          }
          const outcome = judge(start.fire(JSON.stringify(start.ociState)));
          const isSpoilt = done.some(([file, { name }]) => SEALED.includes(file) && !HARMLESS.includes(name));
          if (isSpoilt) expect({ done, outcome }).toEqual({ done, outcome: "refused" });
          outcomes.add(outcome);
        }),
        { numRuns: RUNS, ...SEED },
      );
      expect(outcomes).toContain("refused");
    },
    TIMEOUT_MILLISECONDS,
  );

  /** It refuses in one line, or the rules are loaded and it says so; whatever else is a failure. */
  function judge({ status, stdout, stderr }: Outcome): "up" | "refused" {
    const tables = start.takeTables();
    if (status !== 0) {
      expect({ status, stdout, stderr }).toEqual({
        status: 1,
        stdout: "",
        stderr: expect.stringMatching(ONE_LINE),
      });
      return "refused";
    }
    expect({ stdout, stderr, tables }).toEqual({
      stdout: `${HOOK_DONE}${container.pid}`,
      stderr: "",
      tables: SHIELDED,
    });
    return "up";
  }

  function isForeignProcess(pid: unknown): boolean {
    return Number.isSafeInteger(pid) && Number(pid) > 0 && pid !== container.pid && Number(pid) < 2 ** 23;
  }
});

const COUNTING_ANNOTATIONS = [ANNOTATION.stateDirectory, ANNOTATION.version, ANNOTATION.name];

/** What the manifest seals, the manifest itself, and what a run of the container leaves. */
const SEALED = ["bundle.json", "ruleset.nft", "listing.json", "resolv.conf", "state.json", "hosts"];
const FILES = [
  ...SEALED,
  ...[
    "runtime.json",
    "runtime.json.new",
    "refusal.txt",
    "audit.jsonl",
    "packets.jsonl",
    "ulogd.pid",
    "keeper.pid",
  ],
];

interface Damage {
  readonly name: string;
  readonly act: (path: string, twin: string) => void;
}

/** Others may read a file of the bundle, for all that the hook cares: its directory keeps them out. */
const HARMLESS = ["readable by others", "a second name"];

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.nat().map((at) => ({ name: "cut short", act: (path: string) => truncateSync(path, at % sizeOf(path)) })),
  fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]) => ({
    name: `bit ${bit} turned`,
    act: (path: string) => {
      const content = readFileSync(path);
      const index = at % content.length;
      content[index] = (content[index] ?? 0) ^ (1 << bit);
      writeFileSync(path, content);
    },
  })),
  // No space, which JSON lets stand at its end.
  fc.uint8Array({ min: 0x21, minLength: 1, maxLength: 40 }).map((bytes) => ({
    name: "more at its end",
    act: (path: string) => appendFileSync(path, bytes),
  })),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => ({
    name: "other bytes",
    act: (path: string) => writeFileSync(path, bytes),
  })),
  fc.constantFrom<Damage>(
    { name: "missing", act: (path) => rmSync(path) },
    {
      name: "a link to what it was",
      act: replacedBy((path) => symlinkSync(`${path}.aside`, path)),
    },
    { name: "a link to a file of the system", act: replacedBy((path) => symlinkSync("/etc/passwd", path)) },
    { name: "a link to itself", act: replacedBy((path) => symlinkSync(path, path)) },
    { name: "a link to nothing", act: replacedBy((path) => symlinkSync("/nowhere/at/all", path)) },
    { name: "a link to an endless file", act: replacedBy((path) => symlinkSync("/dev/zero", path)) },
    { name: "a pipe that nobody reads", act: replacedBy((path) => void spawnSync("mkfifo", [path])) },
    { name: "a directory", act: replacedBy((path) => mkdirSync(path)) },
    { name: "a socket", act: replacedBy(makeSocket) },
    { name: "another user's", act: (path) => chownSync(path, 65_534, 65_534) },
    { name: "writable by others", act: (path) => chmodSync(path, 0o602) },
    { name: "writable by its group", act: (path) => chmodSync(path, 0o620) },
    { name: "readable by others", act: (path) => chmodSync(path, 0o644) },
    { name: "a second name", act: (path) => linkSync(path, `${path}.second`) },
    { name: "that of another bundle", act: (path, twin) => swap(path, twin) },
    {
      name: "what another file of it is",
      act: (path, twin) => copyFileSync(join(twin, "..", otherThan(path)), path),
    },
  ),
);

function replacedBy(make: (path: string) => void): (path: string) => void {
  return (path) => {
    renameSync(path, `${path}.aside`);
    make(path);
  };
}

function makeSocket(path: string): void {
  spawnSync("python3", ["-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path]);
}

function swap(path: string, twin: string): void {
  if (!existsSync(twin)) writeFileSync(twin, "{}\n");
  renameSync(path, `${path}.mine`);
  copyFileSync(twin, path);
}

function otherThan(path: string): string {
  return path.endsWith("ruleset.nft") ? "listing.json" : "ruleset.nft";
}

function sizeOf(path: string): number {
  return readFileSync(path).length;
}

/** Random bytes, a valid state with bytes changed, and valid JSON with hostile values in the place of its own. */
function anyInput(valid: Readonly<Record<string, unknown>>): fc.Arbitrary<string | Buffer> {
  const text = JSON.stringify(valid);
  const edits = fc.array(
    fc.tuple(
      fc.nat(text.length),
      fc.nat(3),
      fc.oneof(fc.constantFrom(...'{}[]",:\\0'), fc.string({ maxLength: 3 })),
    ),
    { minLength: 1, maxLength: 4 },
  );
  const key = fc.constantFrom(...Object.keys(valid), "__proto__", "constructor", "toString");
  const annotation = fc.constantFrom(...COUNTING_ANNOTATIONS, "__proto__", "terok.shield.audit_enabled");
  const said = valid.annotations as object;
  return fc.oneof(
    fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
    fc.nat(text.length).map((end) => text.slice(0, end)),
    edits.map((all) =>
      all.reduce(
        (edited, [at, length, inserted]) => edited.slice(0, at) + inserted + edited.slice(at + length),
        text,
      ),
    ),
    fc
      .tuple(fc.nat(text.length - 1), fc.integer({ min: 0x80, max: 0xff }))
      .map(([at, byte]) =>
        Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.from([byte]), Buffer.from(text.slice(at))]),
      ),
    fc.dictionary(key, hostile, { minKeys: 1 }).map((change) => JSON.stringify({ ...valid, ...change })),
    fc
      .dictionary(annotation, hostile, { minKeys: 1 })
      .map((change) => JSON.stringify({ ...valid, annotations: { ...said, ...change } })),
    // The same key twice: whoever reads the first, and whoever reads the last, may see different containers.
    fc
      .tuple(key, hostile)
      .map(
        ([name, value]) => `${text.slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value) ?? "0"}}`,
      ),
    fc
      .tuple(key, hostile)
      .map(([name, value]) => `{${JSON.stringify(name)}:${JSON.stringify(value) ?? "0"},${text.slice(1)}`),
    fc
      .integer({ min: 1, max: 200_000 })
      .map((depth) => `${text.slice(0, -1)},"deep":${"[".repeat(depth)}${"]".repeat(depth)}}`),
    fc
      .integer({ min: 1, max: 2_000_000 })
      .map((length) => JSON.stringify({ ...valid, long: "x".repeat(length) })),
  );
}

const hostile = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    ...[
      "",
      "/",
      "/dev/zero",
      "/proc/self",
      "../web",
      "a\0b",
      "1",
      "01",
      "\u001b[2J",
      "\u202e",
      "x".repeat(70_000),
    ],
    ...[CONTAINER_ID.toUpperCase(), "0".repeat(64), 0, -1, 1.5, 2 ** 31, 2 ** 53, null, true, [], {}],
  ),
);

function parsed(input: string | Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(input.toString("utf8")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
