/** What a terminal obeys, hides or reorders: controls, formats, unassigned, line ends, halves of a surrogate pair. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Shows characters that a terminal obeys, hides or reorders as escapes: `\x1b`, `\u{202e}`. */
export function cleanText(text: string): string {
  return text.replace(HIDDEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const digits = code.toString(16);
    return code <= 0xff ? `\\x${digits.padStart(2, "0")}` : `\\u{${digits}}`;
  });
}
