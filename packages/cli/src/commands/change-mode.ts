import { bundleDirectory } from "../bundle-directory.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import { appendAuditEvents } from "../host/audit-log.ts";
import type { Host } from "../host/host.ts";
import { startLease } from "../lease.ts";
import { ShieldError } from "../shield-error.ts";
import { applyChange } from "./apply-change.ts";

export interface DownRequest {
  readonly container: string;
  /** Also private ranges. */
  readonly all?: boolean;
  /** Until `up` when absent. */
  readonly seconds?: number;
}

export interface ModeReport {
  readonly container: string;
  readonly mode: "up" | "down" | "down_all" | "block";
  readonly until?: Date;
  readonly isRunning: boolean;
  /** What the owner should know, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Opens a running container to everything that is not denied. It ends with the container's run at the latest.
 * @throws ShieldError when it does not run, or is blocked.
 */
export async function down(host: Host, { container: name, all, seconds }: DownRequest): Promise<ModeReport> {
  const container = parseContainerName(name);
  const privateRanges = all === true ? "open" : "closed";
  const applied = await applyChange(host, container, {
    decide: (state, { moment, run }) => {
      if (run === undefined) throw cannotBypass(container, "does not run", `terok-shield start ${container}`);
      if (state.mode.kind === "block")
        throw cannotBypass(container, "is blocked", `terok-shield up ${container}`);
      const lease = seconds === undefined ? undefined : startLease(seconds, moment, run);
      const end = lease === undefined ? "" : ` until ${lease.until}`;
      return {
        state: {
          ...state,
          mode: { kind: "down", privateRanges, run, ...(lease === undefined ? {} : { lease }) },
        },
        result: lease,
        narrows: false,
        audit: () => [
          { action: "shield_down", detail: `bypass, private ranges ${privateRanges}${end}`, privateRanges },
        ],
      };
    },
  });
  return {
    container,
    mode: all === true ? "down_all" : "down",
    ...(applied.result === undefined ? {} : { until: new Date(applied.result.until) }),
    isRunning: applied.isRunning,
    notes: applied.notes,
  };
}

function cannotBypass(container: ContainerName, why: string, remedy: string): ShieldError {
  return new ShieldError(
    `The container ${container} ${why}, so it cannot be put into bypass. First: ${remedy}`,
  );
}

/**
 * Ends bypass or a block, also at the next start.
 * @param options `repair`: load the rules and start the helpers anew, whatever there is
 */
export async function up(
  host: Host,
  name: string,
  { repair = false }: { readonly repair?: boolean } = {},
): Promise<ModeReport> {
  const container = parseContainerName(name);
  const { isRunning, notes } = await applyChange(host, container, {
    repair,
    decide: (state) => ({
      state: { ...state, mode: { kind: "up" } },
      result: undefined,
      narrows: state.mode.kind !== "block",
      audit: () => [{ action: "shield_up", detail: repair ? "shield up, loaded anew" : "shield up" }],
    }),
  });
  return { container, mode: "up", isRunning, notes };
}

/** Closes everything, in and out, until `up`: also over restarts. */
export async function block(host: Host, name: string): Promise<ModeReport> {
  const container = parseContainerName(name);
  const { isRunning, notes } = await applyChange(host, container, {
    decide: (state) => ({
      state: { ...state, mode: { kind: "block" } },
      result: undefined,
      narrows: true,
      audit: () => [{ action: "blocked", detail: "everything is closed" }],
    }),
  });
  return { container, mode: "block", isRunning, notes };
}

/**
 * Finishes whatever is over by now: the kernel ended it, but the resolver and the files do not know. For the lease timer,
 * whose complaints nobody would see but for the audit log.
 */
export async function expire(host: Host, name: string): Promise<void> {
  const container = parseContainerName(name);
  try {
    await applyChange(host, container, {
      decide: (state, { recorded }) => ({
        state,
        result: undefined,
        narrows: true,
        audit: () => [],
        isNothing: state === recorded,
      }),
    });
  } catch (cause) {
    const detail = `what is over could not be finished: ${(cause as Error).message}`;
    const event = { v: 1, ts: host.now().toISOString(), container, action: "error", detail } as const;
    await appendAuditEvents(bundleDirectory(host.places, container), [event]).catch(() => {});
    throw cause;
  }
}
