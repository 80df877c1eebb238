import { EntryError } from "./entry-error.ts";
import { type AllowlistEntry, type EntryOptions, parseEntry } from "./parse-entry.ts";
import { HIDDEN_CHARACTER, quoteValue } from "./quote-value.ts";

/** Where an entry was written; lines count from 1. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

/** An entry and where it was written. */
export type ProfileEntry = AllowlistEntry & { readonly source: SourceLine };

/** What parsing a profile needs from outside; `file` is the name that complaints bear. */
export interface ParseOptions extends EntryOptions {
  readonly file: string;
}

/** What is wrong with one line of a profile. */
export interface Complaint extends SourceLine {
  readonly message: string;
}

/** A profile has wrong lines: all of them, one `file:line: message` a line. */
export class ProfileError extends Error {
  override readonly name = "ProfileError";

  constructor(readonly complaints: readonly Complaint[]) {
    super(complaints.map(({ file, line, message }) => `${file}:${line}: ${message}`).join("\n"));
  }
}

/**
 * Parses a profile: one entry a line, blank lines, comments from a `#` at the
 * start of a line or after a space. Throws a ProfileError that has every
 * complaint, so that a bad file is mended in one go.
 */
export function parseProfile(text: string, options: ParseOptions): ProfileEntry[] {
  const entries: ProfileEntry[] = [];
  const complaints: Complaint[] = [];
  for (const [index, line] of splitLines(text).entries()) {
    const source = { file: options.file, line: index + 1 };
    try {
      const entryText = stripComment(line);
      if (entryText !== "") entries.push({ ...parseEntry(entryText, options), source });
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      complaints.push({ ...source, message: error.message });
    }
  }
  if (complaints.length > 0) throw new ProfileError(complaints);
  return entries;
}

function splitLines(text: string): string[] {
  return text.replace(/^\uFEFF/, "").split(/\r?\n/);
}

function stripComment(line: string): string {
  // A carriage return or an escape sequence in a comment could show the reader another list than the one in force.
  if (HIDDEN_CHARACTER.test(line.replaceAll("\t", " "))) {
    throw new EntryError(
      `${quoteValue(line)} has a control character in it. Write visible text only, in comments too.`,
    );
  }
  return line.replace(/(?:^|[ \t])#.*$/, "").replace(/^[ \t]+|[ \t]+$/g, "");
}
