import type { ShieldMode } from "@terok-shield/nft-ruleset";
import { prepare } from "./commands/prepare.ts";
import { preview } from "./commands/preview.ts";
import { type Resolved, resolve } from "./commands/resolve.ts";
import { readRules } from "./commands/rules.ts";
import { type ContainerStatus, readStatus } from "./commands/status.ts";
import { openHost } from "./host/host.ts";
import { ShieldError } from "./shield-error.ts";

export interface ShieldOptions {
  /** Instead of `$XDG_STATE_HOME/terok/shield`. */
  readonly stateDirectory?: string;
}

/** terok-shield for other programs: the operations of the command line, without its printing. */
export interface Shield {
  /**
   * Writes the container's bundle.
   * @param profiles those of config.yml when absent
   * @returns the options to give to `podman run`, none with white space
   */
  preStart(container: string, profiles?: readonly string[]): Promise<readonly string[]>;
  allowDomain(container: string, domain: string): Promise<void>;
  denyDomain(container: string, domain: string): Promise<void>;
  allowIp(container: string, range: string): Promise<void>;
  denyIp(container: string, range: string): Promise<void>;
  shieldDown(container: string, options?: { readonly all?: boolean }): Promise<void>;
  shieldUp(container: string): Promise<void>;
  /** Judged by what the kernel lists at the moment of the call. */
  shieldState(container: string): Promise<ContainerStatus>;
  /** The kernel's rules as nft prints them. @throws ShieldError when the container does not run. */
  listRules(container: string): Promise<string>;
  /** The ruleset that a container of these profiles would get. */
  preview(options?: { readonly profiles?: readonly string[]; readonly mode?: ShieldMode }): Promise<string>;
  /** Name -> addresses. @throws nothing for names that do not resolve: they are in `unresolved`. */
  resolve(container: string, options?: { readonly force?: boolean }): Promise<Resolved>;
}

const UP: ShieldMode = { kind: "up" };

/** Every operation throws ShieldError for what its caller can mend. */
export function createShield(options: ShieldOptions = {}): Shield {
  const host = openHost(options);
  return {
    preStart: async (container, profiles) =>
      (await prepare(host, { container, ...(profiles === undefined ? {} : { profiles }) })).podmanOptions,
    allowDomain: notYet("allowDomain"),
    denyDomain: notYet("denyDomain"),
    allowIp: notYet("allowIp"),
    denyIp: notYet("denyIp"),
    shieldDown: notYet("shieldDown"),
    shieldUp: notYet("shieldUp"),
    shieldState: async (container) => (await readStatus(host, container)).status,
    listRules: (container) => readRules(host, container),
    preview: ({ profiles, mode = UP } = {}) =>
      preview(host, { mode, ...(profiles === undefined ? {} : { profiles }) }),
    resolve: (container, { force = false } = {}) => resolve(host, container, { force }),
  };
}

function notYet(operation: string): () => Promise<never> {
  return async () => {
    throw new ShieldError(
      `${operation} is not there yet: a running container's policy cannot be changed in this version.`,
    );
  };
}
