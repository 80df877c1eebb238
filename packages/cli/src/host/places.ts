import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ShieldError } from "../shield-error.ts";

/** Directories of one user's terok-shield (XDG base directory specification). */
export interface Places {
  readonly state: string;
  readonly config: string;
  /** The bundled profiles and the hook's file, installed beside the program. */
  readonly bundledProfiles: string;
  readonly hookEntrypoint: string;
  /** The command line's own file. */
  readonly program: string;
}

export function findPlaces(stateDirectory: string | undefined, environment = process.env): Places {
  const home = environment.HOME ?? homedir();
  const under = (variable: string, fallback: string) =>
    join(environment[variable] || join(home, fallback), "terok/shield");
  return {
    // The hook, dnsmasq and what looks for it later must all call it the same.
    state: checkPath(
      resolveLinks(
        checkPath(
          stateDirectory ?? environment.TEROK_SHIELD_STATE_DIR ?? under("XDG_STATE_HOME", ".local/state"),
          "state directory",
        ),
      ),
      "state directory",
    ),
    config: checkPath(
      environment.TEROK_SHIELD_CONFIG_DIR ?? under("XDG_CONFIG_HOME", ".config"),
      "configuration directory",
    ),
    bundledProfiles: fileURLToPath(new URL("./profiles", import.meta.url)),
    hookEntrypoint: checkPath(
      fileURLToPath(new URL("./terok-shield-hook.cjs", import.meta.url)),
      "installation",
    ),
    program: fileURLToPath(new URL("./terok-shield.cjs", import.meta.url)),
  };
}

/** What does not exist yet keeps its name. */
function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === "ENOENT" && path !== "/" ? join(resolveLinks(dirname(path)), basename(path)) : path;
  }
}

/** Podman's --volume, dnsmasq.conf, ulogd.conf and a sed script have to carry these paths. */
const CARRIED_EVERYWHERE = /^\/[A-Za-z0-9._/@+=~-]*$/;

/** @throws ShieldError (usage) for a path that some configuration cannot carry. */
export function checkPath(path: string, what: string): string {
  if (!CARRIED_EVERYWHERE.test(path)) {
    throw new ShieldError(
      `The ${what} ${JSON.stringify(path)} is not an absolute path of letters, digits and ._/@+=~- only.`,
      { code: "usage" },
    );
  }
  return path;
}
