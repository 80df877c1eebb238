import type { ProfileEntry } from "./parse-profile.ts";
import { renderEntry } from "./render-entry.ts";

/** A parsed profile and its name. */
export interface Profile {
  readonly name: string;
  readonly entries: readonly ProfileEntry[];
}

/** Merges profiles in the order given; of equal entries the first stays, with its source. */
export function composeProfiles(profiles: readonly Profile[]): ProfileEntry[] {
  const merged = new Map<string, ProfileEntry>();
  for (const entry of profiles.flatMap(({ entries }) => entries)) {
    const text = renderEntry(entry);
    if (!merged.has(text)) merged.set(text, entry);
  }
  return [...merged.values()];
}
