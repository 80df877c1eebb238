/** Characters that change how a line is shown or where it ends without being seen: no profile needs one. */
export const HIDDEN_CHARACTER = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

const LONGEST_QUOTE = 120;

/** Quotes untrusted text for a message: on one line, short, and harmless to a terminal. */
export function quoteValue(text: string): string {
  const shown = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return JSON.stringify(shown).replace(new RegExp(HIDDEN_CHARACTER, "gu"), escapeCharacter);
}

/** JSON.stringify leaves DEL, the C1 controls and the bidirectional marks as they are. */
function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
