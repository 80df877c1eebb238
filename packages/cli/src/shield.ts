import type { ShieldMode } from "@terok-shield/nft-ruleset";
import { allow, deny } from "./commands/allow-deny.ts";
import { block, down, up } from "./commands/change-mode.ts";
import { prepare } from "./commands/prepare.ts";
import { preview } from "./commands/preview.ts";
import { type Resolved, resolve } from "./commands/resolve.ts";
import { readRules } from "./commands/rules.ts";
import { type ContainerStatus, readStatus } from "./commands/status.ts";
import { parseDuration } from "./duration.ts";
import { openHost } from "./host/host.ts";

export interface ShieldOptions {
  /** Instead of `$XDG_STATE_HOME/terok/shield`. */
  readonly stateDirectory?: string;
}

interface DecisionOptions {
  /** For good when absent. */
  readonly seconds?: number;
}

/** terok-shield for other programs: the operations of the command line, without its printing. */
export interface Shield {
  /**
   * Writes the container's bundle.
   * @param profiles those of config.yml when absent
   * @returns the options to give to `podman run`, none with white space
   */
  preStart(container: string, profiles?: readonly string[]): Promise<readonly string[]>;
  /**
   * Opens a name or a wildcard, with ports or without: at once where the container runs, and at each later start.
   * @throws ShieldError when a wider deny keeps it closed.
   */
  allowDomain(container: string, domain: string, options?: DecisionOptions): Promise<void>;
  /** Closes it and ends what flows there; beats every allow. */
  denyDomain(container: string, domain: string, options?: DecisionOptions): Promise<void>;
  /** As `allowDomain`, for an address or CIDR range. */
  allowIp(container: string, range: string, options?: DecisionOptions): Promise<void>;
  denyIp(container: string, range: string, options?: DecisionOptions): Promise<void>;
  /** Opens everything but what is denied and, without `all`, private: until `shieldUp`, for `seconds`, or to the container's end. */
  shieldDown(
    container: string,
    options?: { readonly all?: boolean; readonly seconds?: number },
  ): Promise<void>;
  /** Ends bypass or a block, and puts right what is not as policy says. */
  shieldUp(container: string): Promise<void>;
  /** Lets nothing in or out until `shieldUp`, also over restarts. */
  shieldBlock(container: string): Promise<void>;
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
  const decideOn =
    (verdict: "allow" | "deny") =>
    async (container: string, target: string, request: DecisionOptions = {}): Promise<void> => {
      checkSeconds(request);
      await (verdict === "allow" ? allow : deny)(host, { container, targets: [target], ...request });
    };
  return {
    preStart: async (container, profiles) =>
      (await prepare(host, { container, ...(profiles === undefined ? {} : { profiles }) })).podmanOptions,
    allowDomain: decideOn("allow"),
    denyDomain: decideOn("deny"),
    allowIp: decideOn("allow"),
    denyIp: decideOn("deny"),
    shieldDown: async (container, { all = false, seconds } = {}) => {
      checkSeconds({ seconds });
      await down(host, { container, all, ...(seconds === undefined ? {} : { seconds }) });
    },
    shieldUp: async (container) => {
      await up(host, container);
    },
    shieldBlock: async (container) => {
      await block(host, container);
    },
    shieldState: async (container) => (await readStatus(host, container)).status,
    listRules: (container) => readRules(host, container),
    preview: ({ profiles, mode = UP } = {}) =>
      preview(host, { mode, ...(profiles === undefined ? {} : { profiles }) }),
    resolve: (container, { force = false } = {}) => resolve(host, container, { force }),
  };
}

function checkSeconds({ seconds }: { readonly seconds?: number | undefined }): void {
  if (seconds !== undefined) parseDuration(`${seconds}s`);
}
