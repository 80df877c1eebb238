import { quoteValue } from "./quote-value.ts";

/** The profiles that come with terok-shield; a user's profile of the same name replaces one. */
export const BUNDLED_PROFILES = ["base", "dev-standard", "dev-python", "dev-node", "nvidia-hpc"] as const;

/** A profile's name cannot be one; the message says what to write instead. */
export class ProfileNameError extends Error {
  override readonly name = "ProfileNameError";
}

/** Parses the name of a profile, which is safe as the stem of a file name, or throws a ProfileNameError. */
export function parseProfileName(text: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,63}$/.test(text)) return text;
  throw new ProfileNameError(
    `${quoteValue(text)} is not a profile name. Write 1-64 of a-z, 0-9, "-" and "_", a letter or digit first.`,
  );
}
