import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { readTextFile } from "./files.ts";

/**
 * What dnsmasq has logged in the container's present run, as far back as it is kept. The newer part is read first: if it
 * is renamed meanwhile it comes twice, and nothing that was there at the beginning is missing.
 */
export function readResolverLog(bundle: string): string {
  const newer = readTextFile(`${bundle}/${BUNDLE_FILE.dnsmasqLog}`) ?? "";
  const older = readTextFile(`${bundle}/${BUNDLE_FILE.rotatedDnsmasqLog}`) ?? "";
  // The last line of a log that found no room has no end.
  return `${older}\n${newer}`;
}
