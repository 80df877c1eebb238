import type { HelperKind } from "@terok-shield/hook-entrypoint/contract";
import type { ContainerName } from "./container-name.ts";

/** How long a bundle may wait for its container: podman may have to fetch the image first. */
export const GRACE_SECONDS = 3600;

/** A container's bundle, as far as it matters for whether anybody still needs it. */
export interface BundleFacts {
  readonly container: ContainerName;
  readonly directory: string;
  /** Of the last run; undefined when there was none. */
  readonly containerId?: string | undefined;
  readonly isRunning: boolean;
  /** Since it was last prepared. */
  readonly ageSeconds: number;
  /** For a Quadlet unit or a compose file, which make the container anew for each run. */
  readonly isKept: boolean;
}

export interface PodmanContainer {
  readonly id: string;
  readonly names: readonly string[];
}

export interface HelperFacts {
  readonly pid: number;
  readonly kind: HelperKind;
  readonly bundle: string;
  /** Nobody but helpers is left in its network namespace. */
  readonly isAlone: boolean;
}

export interface PrunePlan {
  readonly bundles: readonly BundleFacts[];
  readonly helpers: readonly HelperFacts[];
}

/** What nobody needs any more. `all` spares neither bundles that are new nor those of units and compose files. */
export function planPrune(
  {
    bundles,
    helpers,
    containers,
    stateDirectories,
  }: {
    readonly bundles: readonly BundleFacts[];
    readonly helpers: readonly HelperFacts[];
    readonly containers: readonly PodmanContainer[];
    /** Of containers with another name than their bundle, since podman renamed them. */
    readonly stateDirectories: readonly string[];
  },
  { all }: { readonly all: boolean },
): PrunePlan {
  const ids = new Set(containers.map(({ id }) => id));
  const names = new Set(containers.flatMap((container) => container.names));
  const gone = bundles
    .filter(({ container, containerId }) => !names.has(container) && !ids.has(containerId ?? ""))
    .filter(({ directory, isRunning }) => !isRunning && !stateDirectories.includes(directory))
    .filter(({ isKept, ageSeconds }) => all || (!isKept && ageSeconds >= GRACE_SECONDS));
  const removed = new Set(gone.map(({ directory }) => directory));
  const running = new Set(bundles.filter(({ isRunning }) => isRunning).map(({ directory }) => directory));
  const present = new Set(bundles.map(({ directory }) => directory));
  return {
    bundles: gone,
    helpers: helpers.filter(({ bundle, kind, isAlone }) =>
      // A timer has no network namespace of its own: it goes with its bundle.
      kind === "timer" ? removed.has(bundle) || !present.has(bundle) : isAlone && !running.has(bundle),
    ),
  };
}
