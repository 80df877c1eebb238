import fc from "fast-check";

/** Any text, of any code points. What fast-check calls `unit: "binary"` is the same, and takes a second to be made. */
export function anyText(length: fc.StringSharedConstraints = {}): fc.Arbitrary<string> {
  return fc.string({ unit: CHARACTER, ...length });
}

const CHARACTER = fc.nat(0x10ffff).map((code) => String.fromCodePoint(code), codeOf);

/** The way back, by which fast-check mixes in the words that are dangerous to programs like these. */
function codeOf(text: unknown): number {
  const [character, ...rest] = String(text);
  if (character === undefined || rest.length > 0) throw new Error("not one character");
  return character.codePointAt(0) as number;
}
