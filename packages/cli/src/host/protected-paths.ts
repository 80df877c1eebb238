import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { BundleManifest } from "@terok-shield/hook-entrypoint/contract";
import { findCodeCache } from "./code-cache-place.ts";
import type { Places } from "./places.ts";

/** What no mount may hand to a container: see `BundleManifest.protectedPaths`. */
export function findProtectedPaths(
  places: Places,
  environment = process.env,
): BundleManifest["protectedPaths"] {
  const home = environment.HOME ?? homedir();
  const config = environment.XDG_CONFIG_HOME || join(home, ".config");
  const data = environment.XDG_DATA_HOME || join(home, ".local/share");
  const runtime = environment.XDG_RUNTIME_DIR || `/run/user/${process.getuid?.()}`;
  const unwritable = [
    places.state,
    places.config,
    // The state may be elsewhere, and what is here is run.
    findCodeCache(home, environment),
    dirname(places.hookEntrypoint),
    dirname(process.execPath),
    // What terok-shield setup installs.
    join(data, "terok/shield"),
    // Podman's own configuration, containers and hooks, and units that run outside of containers.
    join(config, "containers"),
    join(data, "containers"),
    join(config, "systemd"),
    join(data, "systemd"),
    join(runtime, "containers"),
    join(runtime, "libpod"),
  ];
  const unreachable = [
    join(runtime, "podman"),
    join(runtime, "docker.sock"),
    join(runtime, "bus"),
    join(runtime, "systemd"),
    "/run/podman",
    "/run/docker.sock",
    "/run/containerd",
    "/run/crio",
    "/run/dbus",
    "/run/systemd/private",
  ];
  return {
    unwritable: unwritable.map(resolveLinks),
    unreachable: unreachable.map(resolveLinks),
  };
}

/** A path that does not exist yet is protected under the name that it would get. */
function resolveLinks(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path === "/" ? path : join(resolveLinks(dirname(path)), path.slice(path.lastIndexOf("/")));
  }
}
