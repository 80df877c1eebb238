import { createHash } from "node:crypto";
import { lstatSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { BUNDLE_FILE, BUNDLE_VERSION, type BundleManifest } from "./contract.ts";
import { parseObject } from "./oci-state.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

/** A bundle whose manifest and files are what `prepare` wrote. */
export interface Bundle {
  readonly directory: string;
  readonly manifest: BundleManifest;
  path(file: keyof typeof BUNDLE_FILE): string;
  /** The content of a file that the manifest lists, checked against its digest. */
  read(file: keyof typeof BUNDLE_FILE): string;
  /** True when the manifest is another by now. */
  isReplaced(): boolean;
}

/**
 * Opens a container's bundle.
 * @throws ShieldRefusal unless the directory and its files belong to us alone and are as `prepare` left them.
 */
export function openBundle(directory: string): Bundle {
  checkDirectory(directory);
  const sealed = readOwnFile(join(directory, BUNDLE_FILE.manifest));
  const manifest = parseManifest(sealed);
  return {
    directory,
    manifest,
    isReplaced: () => !readOwnFile(join(directory, BUNDLE_FILE.manifest)).equals(sealed),
    path: (file) => join(directory, BUNDLE_FILE[file]),
    read: (file) => {
      const name = BUNDLE_FILE[file];
      const content = readOwnFile(join(directory, name));
      if (manifest.files[name] !== digest(content)) throw new ShieldRefusal(renderMismatch(name, directory));
      return content.toString("utf8");
    },
  };
}

/** The cli writes its state first: when that is another than the rest was made from, it was interrupted in between. */
function renderMismatch(name: string, directory: string): string {
  if (name !== BUNDLE_FILE.state)
    return `${name} in ${directory} is not what prepare wrote. Run terok-shield prepare again`;
  return `${name} in ${directory} is not what its bundle was made from. Run terok-shield up --repair ${basename(directory)}`;
}

/** @throws ShieldRefusal unless the directory is a real one and ours alone. */
export function checkDirectory(directory: string): void {
  if (!directory.startsWith("/") || directory.includes("\0")) {
    throw new ShieldRefusal(`the state directory ${JSON.stringify(directory)} is not an absolute path`);
  }
  let real: string;
  try {
    real = realpathSync(directory);
  } catch {
    throw new ShieldRefusal(`the state directory ${JSON.stringify(directory)} does not exist`);
  }
  if (real !== directory) {
    throw new ShieldRefusal(
      `the state directory ${JSON.stringify(directory)} is really ${JSON.stringify(real)}; symbolic links are not followed`,
    );
  }
  const stat = lstatSync(directory);
  if (!stat.isDirectory())
    throw new ShieldRefusal(`the state directory ${JSON.stringify(directory)} is no directory`);
  checkOwner(stat, `the state directory ${JSON.stringify(directory)}`);
  if ((stat.mode & 0o077) !== 0)
    throw new ShieldRefusal(`the state directory ${JSON.stringify(directory)} is open to others`);
}

/** @throws ShieldRefusal unless it is a regular file that nobody else can change. */
export function readOwnFile(path: string): Buffer {
  let stat: ReturnType<typeof lstatSync>;
  try {
    stat = lstatSync(path);
  } catch {
    throw new ShieldRefusal(`${path} is missing. Run terok-shield prepare again`);
  }
  if (!stat.isFile()) throw new ShieldRefusal(`${path} is not a regular file`);
  checkOwner(stat, path);
  return readFileSync(path);
}

function checkOwner(stat: { uid: number; mode: number }, what: string): void {
  if (stat.uid !== process.getuid?.()) throw new ShieldRefusal(`${what} belongs to another user`);
  if ((stat.mode & 0o022) !== 0) throw new ShieldRefusal(`${what} is writable by others`);
}

/** The manifest carries the digest of its own content, so that a torn write shows. */
function parseManifest(content: Buffer): BundleManifest {
  const sealed = parseObject(content.toString("utf8"), BUNDLE_FILE.manifest);
  const text = JSON.stringify(sealed.manifest);
  if (text === undefined || sealed.digest !== digest(Buffer.from(text))) {
    throw new ShieldRefusal(`${BUNDLE_FILE.manifest} is damaged. Run terok-shield prepare again`);
  }
  const manifest = sealed.manifest as BundleManifest | null;
  if (manifest?.version !== BUNDLE_VERSION) {
    throw new ShieldRefusal(
      `the bundle has version ${JSON.stringify(manifest?.version)}, this hook reads ${BUNDLE_VERSION}. Run terok-shield prepare again`,
    );
  }
  return manifest;
}

/** SHA-256 in hex. */
export function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
