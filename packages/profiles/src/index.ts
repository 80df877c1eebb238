export { composeProfiles, type Profile } from "./compose-profiles.ts";
export { coversEntry, coversPorts } from "./covers-entry.ts";
export { EntryError } from "./entry-error.ts";
export { type AllowlistEntry, type EntryOptions, parseEntry } from "./parse-entry.ts";
export type { PortScope, Protocol } from "./parse-port-scope.ts";
export {
  type Complaint,
  type ParseOptions,
  type ProfileEntry,
  ProfileError,
  parseProfile,
  type SourceLine,
} from "./parse-profile.ts";
export { BUNDLED_PROFILES, ProfileNameError, parseProfileName } from "./parse-profile-name.ts";
export { renderEntry } from "./render-entry.ts";
