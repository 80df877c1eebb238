import type * as Tldts from "tldts";

/**
 * Whether the names directly below this one belong to different owners, as
 * below `com`, `co.uk` and `github.io`. A name that only has such suffixes
 * further down, as `amazonaws.com` has, is not recognised.
 */
export function isPublicSuffix(name: string): boolean {
  // A rule such as `*.kawasaki.jp` makes a suffix of everything below, not of the name itself.
  return [name, `any.${name}`].some((candidate) => publicSuffixOf(candidate) === candidate);
}

function publicSuffixOf(name: string): string | null {
  return publicSuffixList().getPublicSuffix(name, {
    allowPrivateDomains: true,
    extractHostname: false,
    validateHostname: false,
    detectIp: false,
  });
}

/** Only wildcards need the list, and reading it takes longer than all else that `terok-shield allow ADDRESS` does. */
function publicSuffixList(): typeof Tldts {
  // The build bundles it: unlike an import, a `require` that esbuild bundles runs when it is first called.
  return require("tldts") as typeof Tldts;
}
