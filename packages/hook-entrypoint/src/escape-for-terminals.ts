/**
 * Writes characters that a terminal or a line reader obeys instead of showing as JSON escapes: control characters,
 * line ends, and the marks that turn the direction of text.
 */
export function escapeForTerminals(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
