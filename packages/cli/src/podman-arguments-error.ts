/** An argument for `podman run` is wrong or would open the shield: the argument, the reason, what to do instead. */
export class PodmanArgumentError extends Error {
  override readonly name = "PodmanArgumentError";
}

const LONGEST_SHOWN = 120;
/** Printable, and the same to a reader whether or not a shell reads it. */
const PLAIN_ARGUMENT = /^[\w@%+=:,./~#*[\]-]+$/;
const HIDDEN_CHARACTER = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `typed` holds the arguments as they stand on the command line; the sentence goes on with `reason`. */
export function refuse(typed: readonly string[], reason: string): never {
  throw new PodmanArgumentError(`${typed.map(showText).join(" ")} ${reason}`);
}

/** Untrusted text for a message: on one line, short, and harmless to a terminal. */
export function showText(text: string): string {
  if (text.length <= LONGEST_SHOWN && PLAIN_ARGUMENT.test(text)) return text;
  const shown = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return JSON.stringify(shown).replace(HIDDEN_CHARACTER, escapeCharacter);
}

/** JSON.stringify leaves DEL, the C1 controls and the bidirectional marks as they are. */
function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
