import {
  type DnsTier,
  isFresh,
  parseResolutionCache,
  type Resolution,
  renderResolutionCache,
  resolveNames,
} from "@terok-shield/dns-tier";
import { withBundleLock } from "../host/bundle-lock.ts";
import { readTextFile, writeFileAtomically } from "../host/files.ts";
import type { Host } from "../host/host.ts";

const NOTHING: Resolution = { resolved: new Map(), unresolved: [] };

/**
 * Resolves the names that a static tier opens before the start; dnsmasq needs none.
 * Answers are kept for an hour, all names together have 5 seconds.
 */
export async function resolveEntries(
  host: Host,
  names: readonly string[],
  { tier, renew }: { readonly tier: DnsTier; readonly renew: boolean },
): Promise<Resolution> {
  if (tier === "dnsmasq") return NOTHING;
  const file = `${host.places.state}/resolutions.json`;
  const now = host.now().getTime();
  const cache = parseResolutionCache(readTextFile(file) ?? "");
  const fresh = new Map(
    renew
      ? []
      : names.flatMap((name) => {
          const entry = cache.get(name);
          return entry !== undefined && isFresh(entry, now) ? [[name, entry.addresses] as const] : [];
        }),
  );
  const asked = names.filter((name) => !fresh.has(name));
  const { programs } = await host.facts();
  const { resolved, unresolved } = await resolveNames(asked, {
    tier,
    runCommand: ({ file: program, args, signal }) =>
      host.runCommand({ program, file: programs[program] ?? program, args, signal }),
  });
  if (resolved.size > 0) {
    await withBundleLock(host.places.state, async () => {
      const known = parseResolutionCache(readTextFile(file) ?? "");
      const additions = [...resolved].map(
        ([name, addresses]) => [name, { addresses, resolvedAtMilliseconds: now }] as const,
      );
      await writeFileAtomically(file, renderResolutionCache(new Map([...known, ...additions])), 0o600);
    });
  }
  return { resolved: new Map([...fresh, ...resolved]), unresolved };
}
