/** One entry of an allowlist is wrong; the message says what, the value, and what to write instead. */
export class EntryError extends Error {
  override readonly name = "EntryError";
}
