import { createHash } from "node:crypto";
import { BUNDLE_FILE, type BundleManifest } from "@terok-shield/hook-entrypoint/contract";
import { readTextFile } from "./files.ts";

/**
 * Why the next start would be refused: a file of the bundle that is not what its manifest seals; undefined when all
 * are as sealed.
 */
export function findSealFault(bundle: string): string | undefined {
  const files = parseManifest(readTextFile(`${bundle}/${BUNDLE_FILE.manifest}`) ?? "");
  if (files === undefined) return `${BUNDLE_FILE.manifest} is missing or damaged`;
  for (const [name, sealed] of Object.entries(files)) {
    if (digest(readTextFile(`${bundle}/${name}`) ?? "") !== sealed) return `${name} is not as sealed`;
  }
  return Object.hasOwn(files, BUNDLE_FILE.state) ? undefined : `${BUNDLE_FILE.state} is not sealed`;
}

function parseManifest(text: string): BundleManifest["files"] | undefined {
  try {
    const { manifest, digest: sealed } = JSON.parse(text) as { manifest: BundleManifest; digest: string };
    return sealed === digest(JSON.stringify(manifest)) ? manifest.files : undefined;
  } catch {
    return undefined;
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
