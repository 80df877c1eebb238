import type { SetupResult } from "../commands/setup.ts";

/** What `setup` changed, one path a line, and what holds now. */
export function renderSetup({ changed }: SetupResult): string {
  const now = "podman start, restart policies and a reboot bring shielded containers up by themselves.";
  return `${[...changed.map((path) => `wrote ${path}`), changed.length === 0 ? `Nothing to do: ${now}` : now].join("\n")}\n`;
}

/** What `setup --uninstall` removed, one path a line, and what holds now. */
export function renderUninstall({ changed }: SetupResult): string {
  if (changed.length === 0) return "Nothing to do: it is not set up.\n";
  const now = "Only terok-shield starts shielded containers; podman's own start is refused.";
  return `${[...changed.map((path) => `removed ${path}`), now].join("\n")}\n`;
}
