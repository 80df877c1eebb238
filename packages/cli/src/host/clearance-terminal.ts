import { emitKeypressEvents, type Key } from "node:readline";
import picocolors from "picocolors";
import type { Size } from "../clearance.ts";
import type { ScreenLine } from "../print/clearance.ts";
import { ShieldError } from "../shield-error.ts";

/** A whole terminal for one program: its screen, and the keys that are pressed. */
export interface KeyTerminal {
  size(): Size;
  paint(lines: readonly ScreenLine[]): void;
  /** Gives the terminal back as it was. May be called again. */
  close(): void;
}

export interface TerminalListener {
  /** By name: `a`, `up`, `ctrl-c`, `paste-start`. */
  readonly onKey: (key: string) => void;
  readonly onResize: () => void;
  /** Nobody can press a key any more. */
  readonly onGone: () => void;
}

const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?2004h";
const LEAVE = "\u001b[?2004l\u001b[0m\u001b[?25h\u001b[?1049l";

/** @throws ShieldError (usage) where standard input or output is no terminal. */
export function openKeyTerminal({ onKey, onResize, onGone }: TerminalListener): KeyTerminal {
  const { stdin, stdout } = process;
  if (stdin.isTTY !== true || stdout.isTTY !== true) {
    throw new ShieldError(
      "clearance asks you at a terminal, and there is none here. Where nobody can be asked: terok-shield watch --all",
      { code: "usage" },
    );
  }
  const onKeypress = (text: string | undefined, key: Key | undefined) => onKey(nameKey(text, key));
  const onHangup = () => onGone();
  emitKeypressEvents(stdin);
  stdin.setRawMode(true);
  stdin.on("keypress", onKeypress);
  for (const event of ["end", "close", "error"] as const) stdin.on(event, onHangup);
  stdout.on("error", onHangup);
  process.once("SIGHUP", onHangup);
  stdout.on("resize", onResize);
  stdin.resume();
  stdout.write(ENTER);
  let isOpen = true;
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    process.off("exit", close);
    stdin.off("keypress", onKeypress);
    stdout.off("resize", onResize);
    stdin.pause();
    try {
      stdin.setRawMode(false);
      stdout.write(LEAVE);
    } catch {
      // There is no terminal to be given back.
    }
  };
  // Also when the program is ended for taking too long.
  process.on("exit", close);
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    paint: (lines) => {
      // A terminal that takes no more is behind, and gets the next picture instead.
      if (isOpen && !stdout.writableNeedDrain) stdout.write(renderPicture(lines));
    },
    close,
  };
}

function nameKey(text: string | undefined, key: Key | undefined): string {
  const name = key?.name ?? text ?? "";
  return key?.ctrl === true ? `ctrl-${name}` : key?.meta === true ? `meta-${name}` : name;
}

/** Every row is written over where it stands: nothing scrolls, nothing flickers. */
function renderPicture(lines: readonly ScreenLine[]): string {
  const rows = lines.map((line, index) => `\u001b[${index + 1};1H${paintLine(line)}\u001b[K`);
  return `${rows.join("")}\u001b[J`;
}

function paintLine({ text, tone }: ScreenLine): string {
  switch (tone) {
    case "title":
      return picocolors.bold(text);
    case "dim":
      return picocolors.dim(text);
    case "selected":
      return picocolors.inverse(text);
    case "danger":
      return picocolors.red(text);
    case "good":
      return picocolors.green(text);
    case "plain":
      return text;
  }
}
