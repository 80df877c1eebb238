import { parse, stringify } from "smol-toml";
import { ShieldError } from "./shield-error.ts";

/** One of the files that podman reads as containers.conf(5), in podman's order. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

export interface HooksSetting {
  readonly directories: readonly string[];
  /** The file that has the last word; undefined when it is podman's own default. */
  readonly file?: string;
}

/**
 * The hooks directories that podman takes from its files: a later file's list replaces an earlier one, or extends it
 * once a file said `{append=true}` (podman 5).
 * @throws ShieldError for a file that podman cannot read either.
 */
export function mergeHooksDirectories(
  builtIn: readonly string[],
  files: readonly ConfigFile[],
): HooksSetting {
  let setting: HooksSetting = { directories: builtIn };
  let isAppended = false;
  for (const file of files) {
    const items = readHooksDirectories(file);
    if (items === undefined) continue;
    isAppended = items.findLast((item) => typeof item !== "string")?.append ?? isAppended;
    const directories = items.filter((item) => typeof item === "string");
    setting = {
      directories: isAppended ? [...setting.directories, ...directories] : directories,
      file: file.path,
    };
  }
  return { ...setting, directories: [...new Set(setting.directories)] };
}

/** The drop-in that makes podman fire the hooks in `own` beside those that were there before. */
export function renderHooksDropIn(before: readonly string[], own: string): string {
  const directories = [...before.filter((directory) => directory !== own), own];
  return [
    "# Written by terok-shield setup; terok-shield setup --uninstall removes it.",
    "# A file that podman reads later and that sets hooks_dir replaces this list.",
    stringify({ engine: { hooks_dir: directories } }),
  ].join("\n");
}

type Item = string | { readonly append: boolean };

function readHooksDirectories({ path, text }: ConfigFile): Item[] | undefined {
  const engine = findKey(parseToml(path, text), "engine");
  const value = isTable(engine) ? findKey(engine, "hooks_dir") : undefined;
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every(isItem)) {
    throw new ShieldError(
      `${path}, engine.hooks_dir: not a list of directories. Podman cannot read it either.`,
    );
  }
  return value;
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    const { line, message } = cause as Error & { readonly line?: number };
    const reason = message.split("\n")[0]?.replace(/^Invalid TOML document: /, "");
    throw new ShieldError(`${path}:${line ?? 1}: ${reason}. Podman cannot read it either.`, { cause });
  }
}

/** Podman compares keys without regard to case. */
function findKey(table: Record<string, unknown>, key: string): unknown {
  return Object.entries(table).find(([name]) => name.toLowerCase() === key)?.[1];
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isItem(value: unknown): value is Item {
  return typeof value === "string" || (isTable(value) && typeof value.append === "boolean");
}
