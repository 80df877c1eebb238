import type { AllowlistEntry } from "./parse-entry.ts";
import { renderPortScope } from "./parse-port-scope.ts";

/** Writes the only spelling of an entry; `parseEntry` reads the same entry from it. */
export function renderEntry(entry: AllowlistEntry): string {
  const target = renderTarget(entry);
  if (entry.ports === undefined) return target;
  const host = target.includes(":") ? `[${target}]` : target;
  return `${host}:${renderPortScope(entry.ports)}`;
}

function renderTarget(entry: AllowlistEntry): string {
  switch (entry.kind) {
    case "name":
      return entry.name;
    case "wildcard":
      return `*.${entry.parent}`;
    case "range":
      return entry.range;
  }
}
