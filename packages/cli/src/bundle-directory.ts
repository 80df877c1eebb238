import type { ContainerName } from "./container-name.ts";
import type { Places } from "./host/places.ts";

/** Where a container's bundle lies. */
export function bundleDirectory({ state }: Pick<Places, "state">, container: ContainerName): string {
  return `${state}/containers/${container}`;
}
