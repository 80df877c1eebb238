import type { HostUser } from "./host-user.ts";
import { until } from "./until.ts";

export interface TerminalOptions {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A program in a real terminal, as somebody in front of it sees it. */
export interface Terminal {
  /** Presses keys, by tmux's names for them: "a", "Enter", "C-c", "Up"; "Enter" and "Up" alone are no letters. */
  type(...keys: readonly string[]): Promise<void>;
  /** What the terminal shows, without trailing blanks and without the empty rows at the end. */
  screen(): Promise<string[]>;
  /** The same, with the colours as escape sequences. */
  colouredScreen(): Promise<string>;
  /** Also what has left the screen at its top. */
  scrollback(): Promise<string[]>;
  /** What a program can change beyond the screen: title, cursor's shape and place, alternate screen, mouse modes. */
  modes(): Promise<string>;
  /** Gives the screen as soon as it shows that. */
  waitForScreen(pattern: RegExp | string, timeoutMs?: number): Promise<string[]>;
  resize(columns: number, rows: number): Promise<void>;
  /** Of the program, as soon as it has ended; its last screen stays. */
  waitForExit(timeoutMs?: number): Promise<number>;
  /** Of the program, as the machine numbers it. */
  pid(): Promise<number>;
  close(): Promise<void>;
}

const DEADLINE_MS = 30_000;
let opened = 0;

/** Runs a program in a tmux of its own, on the user's machine. */
export async function openTerminal(
  user: HostUser,
  { command, columns = 80, rows = 24, env = {} }: TerminalOptions,
): Promise<Terminal> {
  opened += 1;
  const socket = `${user.runtimeDirectory}/tmux-${opened}`;
  const tmux = (...args: readonly string[]) =>
    user.mustRun("tmux", ["-S", socket, "-f", "/dev/null", ...args]);
  const ask = async (...formats: readonly string[]) =>
    (await tmux("display-message", "-p", "-t", "main", formats.join(" "))).trimEnd();
  const capture = async (...options: readonly string[]) =>
    withoutEmptyEnd(await tmux("capture-pane", "-p", "-t", "main", ...options));
  const options = [
    ...[
      "set-option",
      "-g",
      "status",
      "off",
      ";",
      "set-option",
      "-g",
      "default-terminal",
      "tmux-256color",
      ";",
    ],
    ...[
      "set-option",
      "-wg",
      "remain-on-exit",
      "on",
      ";",
      "set-option",
      "-wg",
      "remain-on-exit-format",
      "",
      ";",
    ],
  ];
  const environment = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const size = ["-x", String(columns), "-y", String(rows)];
  await tmux(...options, "new-session", "-d", "-s", "main", ...size, ...environment, "--", ...command);

  const screen = () => capture();
  return {
    async type(...keys) {
      await tmux("send-keys", "-t", "main", "--", ...keys);
    },
    screen,
    colouredScreen: async () => (await capture("-e")).join("\n"),
    scrollback: () => capture("-S", "-"),
    modes: () => ask(...MODES.map((mode) => `${mode}=#{${mode}}`)),
    async waitForScreen(pattern, timeoutMs = DEADLINE_MS) {
      let seen: string[] = [];
      const shows = async () => {
        seen = await screen();
        const text = seen.join("\n");
        return typeof pattern === "string" ? text.includes(pattern) : pattern.test(text);
      };
      await until(`the terminal shows ${pattern}`, shows, timeoutMs).catch((cause: Error) => {
        throw new Error(`${cause.message} It shows:\n${seen.join("\n")}`);
      });
      return seen;
    },
    async resize(width, height) {
      await tmux("resize-window", "-t", "main", "-x", String(width), "-y", String(height));
    },
    async waitForExit(timeoutMs = DEADLINE_MS) {
      let [status, signal] = ["", ""];
      const hasEnded = async () => {
        const [isDead, server, ...how] = (await ask(PANE_END)).split("/");
        [status = "", signal = ""] = how;
        if (status !== "" || signal !== "") return true;
        // WORKAROUND(tmux-sleeps-through-sigchld): on a busy machine tmux 3.3a does not look after a child that has ended
        // before the next signal. Goes with Debian 12.
        if (isDead === "1") await user.run("kill", ["-s", "CHLD", server ?? ""]);
        return false;
      };
      await until("the program has ended", hasEnded, timeoutMs);
      return status === "" ? 128 + Number(signal) : Number(status);
    },
    pid: async () => Number(await ask("#{pane_pid}")),
    async close() {
      await user.run("tmux", ["-S", socket, "kill-server"]);
    },
  };
}

const PANE_END = "#{pane_dead}/#{pid}/#{pane_dead_status}/#{pane_dead_signal}";

const MODES = [
  ...["pane_title", "alternate_on", "cursor_flag", "insert_flag", "keypad_cursor_flag", "keypad_flag"],
  ...[
    "mouse_any_flag",
    "origin_flag",
    "wrap_flag",
    "scroll_region_upper",
    "scroll_region_lower",
    "window_bell_flag",
  ],
];

function withoutEmptyEnd(text: string): string[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());
}
