import type { Choice } from "../clearance.ts";
import type { Notice } from "../clearance-notice.ts";
import { isSocketFile } from "./files.ts";
import type { Host } from "./host.ts";

/** Shows one notice and comes back with the button that was pressed, if one was. Never fails. */
export type Notifier = (notice: Notice, signal: AbortSignal) => Promise<Choice | "ignore" | undefined>;

/** Buttons came with libnotify 0.7.10. */
const FIRST_WITH_ACTIONS = [0, 7, 10] as const;
const SHOWN_MILLISECONDS = 60_000;

/** Undefined where there is no desktop to show anything, or no notify-send that knows buttons. */
export async function openNotifier(
  { runCommand }: Pick<Host, "runCommand">,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Notifier | undefined> {
  if (!hasSessionBus(environment)) return undefined;
  const program = { program: "notify-send", file: "notify-send" } as const;
  try {
    const { stdout } = await runCommand({ ...program, args: ["--version"] });
    if (!hasActions(stdout)) return undefined;
  } catch {
    return undefined;
  }
  return async ({ summary, body, actions }, signal) => {
    const buttons = actions.map(({ choice, label }) => `--action=${choice}=${label}`);
    const options = ["--app-name=terok-shield", `--expire-time=${SHOWN_MILLISECONDS}`, ...buttons];
    try {
      const { stdout } = await runCommand({
        ...program,
        args: [...options, "--", summary, body],
        signal: AbortSignal.any([signal, AbortSignal.timeout(SHOWN_MILLISECONDS)]),
      });
      return actions.find(({ choice }) => choice === stdout.trim())?.choice;
    } catch {
      // The prompt has it all the same.
      return undefined;
    }
  };
}

function hasSessionBus({
  DBUS_SESSION_BUS_ADDRESS: address,
  XDG_RUNTIME_DIR: directory,
}: Readonly<Record<string, string | undefined>>): boolean {
  if (address !== undefined && address !== "") return true;
  if (directory === undefined || directory === "") return false;
  try {
    return isSocketFile(`${directory}/bus`);
  } catch {
    return false;
  }
}

function hasActions(version: string): boolean {
  const [, ...parts] = /(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  for (const [index, first] of FIRST_WITH_ACTIONS.entries()) {
    const part = Number(parts[index] ?? -1);
    if (part !== first) return part > first;
  }
  return true;
}
