const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/**
 * Asserts that a name is canonical: lower case, no trailing dot, letters, digits, hyphens and underscores.
 * Such a name means nothing to a command line, a dnsmasq file or a hosts file but itself.
 */
export function assertDomainName(name: string): void {
  if (!isDomainName(name)) throw new Error(`${JSON.stringify(name)} is not a canonical domain name`);
}

/** True when `assertDomainName` would not throw. */
export function isDomainName(name: string): boolean {
  return name.length <= 253 && NAME.test(name);
}
