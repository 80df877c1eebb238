import { ShieldError } from "./shield-error.ts";

declare const parsed: unique symbol;
/** A name that Podman takes, and that is one path component. */
export type ContainerName = string & { readonly [parsed]: true };

/** As Podman's own rule, with a length that fits a file name. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** @throws ShieldError (usage) */
export function parseContainerName(text: string): ContainerName {
  if (!CONTAINER_NAME.test(text)) {
    throw new ShieldError(
      `${JSON.stringify(text)} is not a container name. Use letters, digits, "_", "." and "-", a letter or digit first.`,
      { code: "usage" },
    );
  }
  return text as ContainerName;
}
