import { expect, onTestFinished } from "vitest";
import { type Command, CommandFailedError, type RunCommand } from "../src/host/run-command.ts";

export interface ScriptedCommand {
  /** The program and its arguments; a text of standard input after `<`. */
  readonly expect: string;
  readonly stdout?: string;
  readonly fails?: { readonly exitCode: number; readonly stderr?: string };
}

/** Runs nothing: answers these commands in this order, fails on any other, and on those that never came. */
export function scriptRunner(script: readonly ScriptedCommand[]): RunCommand {
  const waiting = [...script];
  onTestFinished(() => expect(waiting.map((step) => step.expect)).toEqual([]));
  return async (command) => {
    const step = waiting.shift();
    expect(renderCommand(command)).toBe(step?.expect ?? "no further command");
    if (step?.fails !== undefined) {
      throw new CommandFailedError(command, step.fails.stderr ?? "", step.fails.exitCode);
    }
    return { stdout: step?.stdout ?? "" };
  };
}

function renderCommand({ file, args, stdin }: Command): string {
  return [file, ...args, ...(stdin === undefined ? [] : ["<", stdin])].join(" ");
}
