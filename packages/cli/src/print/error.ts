import { ShieldError } from "../shield-error.ts";

/** What to print for a failure: its sentence, what lies beneath, and the stack of what is our fault. */
export function renderError(cause: unknown, { debug }: { readonly debug: boolean }): string {
  if (!(cause instanceof Error)) return `${String(cause)}\n`;
  const reason = cause.cause instanceof Error ? (cause.cause.message.split("\n")[0] ?? "") : "";
  // What is passed on with another code says the same.
  const beneath = reason === "" || cause.message.includes(reason) ? [] : [`    ${reason}`];
  const isOurFault = !(cause instanceof ShieldError) && !isInputError(cause);
  // The stack begins with the sentence.
  const sentence = debug || isOurFault ? (cause.stack ?? cause.message) : cause.message;
  return `${[sentence, ...beneath].join("\n")}\n`;
}

/** Commander's complaint in our form: one line, without "error:". */
export function renderUsageError(text: string): string {
  const line = text
    .replace(/^error: /, "")
    .trim()
    .replaceAll(/\s*\n\s*/g, " ");
  return `${line}\n`;
}

/** Errors of the pure packages about what the user wrote. */
export function isInputError(cause: unknown): boolean {
  return cause instanceof Error && INPUT_ERRORS.has(cause.name);
}

const INPUT_ERRORS = new Set(["ProfileNameError", "ProfileError", "EntryError", "PodmanArgumentError"]);
