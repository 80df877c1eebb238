import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { readTextFile, removeFile } from "../host/files.ts";

/** Why the hook refused the last start, once; undefined when it did not. */
export async function takeRefusal(bundle: string): Promise<string | undefined> {
  const file = `${bundle}/${BUNDLE_FILE.refusal}`;
  const text = readTextFile(file);
  if (text === undefined) return undefined;
  await removeFile(file);
  return text.trim();
}
