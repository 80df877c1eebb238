import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BUILT = new URL("../dist/terok-shield-hook.cjs", import.meta.url);

/** A directory of its own, and in it one with nothing in it but the hook. */
export function installHook(): { readonly parent: string; readonly hook: string } {
  if (!existsSync(BUILT)) throw new Error("dist/terok-shield-hook.cjs is missing. Run npm run build first");
  const parent = realpathSync(mkdtempSync(join(tmpdir(), "hook-")));
  mkdirSync(join(parent, "alone"));
  const hook = join(parent, "alone", "terok-shield-hook.cjs");
  copyFileSync(BUILT, hook);
  return { parent, hook };
}

/** A process that keeps a new network namespace. */
export async function holdNetwork(entry: readonly string[] = []): Promise<ChildProcess> {
  const hold = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; read _"];
  const [file = "", ...args] = [...entry, ...hold];
  const holder = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  return holder;
}

/** What a command starts with that runs in the network namespace of a process. */
export function enterNetwork({ pid }: ChildProcess): string[] {
  return ["nsenter", `--target=${pid}`, "--net", "--"];
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command as a child of a shell in the network namespace of `host`, as podman's processes are on its host. */
export function runOn(
  host: ChildProcess | undefined,
  command: readonly string[],
  options: { readonly cwd: string; readonly input: string | Buffer },
): Outcome {
  const entry = host === undefined ? [] : [...enterNetwork(host), "sh", "-c", '"$@"; exit $?', "sh"];
  const [file = "", ...args] = [...entry, ...command];
  const { status, stdout, stderr } = spawnSync(file, args, { ...options, encoding: "utf8" });
  return { status, stdout, stderr: stderr.replaceAll(join(options.cwd, ".."), "") };
}

/** Writes files and a manifest that seals them, as prepare does. */
export function writeBundle(
  directory: string,
  files: Readonly<Record<string, string>>,
  change: object = {},
): void {
  const manifest = {
    version: 1,
    container: "web",
    dns: { tier: "dig" },
    table: { family: "inet", name: "terok_shield" },
    programs: { nft: which("nft"), nsenter: which("nsenter"), setpriv: which("setpriv") },
    protectedPaths: { unwritable: [join(directory, "..")], unreachable: [] },
    trustedMounts: [],
    files: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, digest(content)])),
    ...change,
  };
  const sealed = { manifest, digest: digest(JSON.stringify(manifest)) };
  for (const [name, content] of Object.entries({ ...files, "bundle.json": JSON.stringify(sealed) })) {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
  }
}

export function which(program: string): string {
  const environment = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return execFileSync("/bin/sh", ["-c", `command -v ${program}`], {
    encoding: "utf8",
    env: environment,
  }).trim();
}

export function digest(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}
