import type { Pruned } from "../commands/prune.ts";

/** What was removed, or would be, one a line. */
export function renderPruned({ bundles, helpers }: Pruned, { dryRun }: { readonly dryRun: boolean }): string {
  if (bundles.length + helpers.length === 0)
    return "Nothing to do: every bundle and helper has its container.\n";
  const [removed, ended] = dryRun ? ["would remove", "would end"] : ["removed", "ended"];
  return [
    ...bundles.map(({ container, directory }) => `${removed} the bundle of ${container}: ${directory}\n`),
    ...helpers.map(({ pid, kind, bundle }) => `${ended} ${kind} (process ${pid}) of ${bundle}\n`),
  ].join("");
}
