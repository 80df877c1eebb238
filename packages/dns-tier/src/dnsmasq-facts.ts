/** What `dnsmasq --version` tells of the binary. */
export interface DnsmasqFacts {
  readonly version: readonly [number, number];
  /** Compile-time options that are in, such as "nftset" and "conntrack". */
  readonly options: ReadonlySet<string>;
}

/**
 * Reads the output of `dnsmasq --version`.
 * @throws Error when a version or the list of options is missing.
 */
export function parseDnsmasqVersion(output: string): DnsmasqFacts {
  const [, major, minor] = /^Dnsmasq version (\d{1,4})\.(\d{1,4})(?![\d.])/m.exec(output) ?? [];
  const options = /^Compile time options: ([\w -]+)$/m.exec(output)?.[1];
  if (major === undefined || minor === undefined || options === undefined) {
    throw new Error(
      `dnsmasq --version answered ${JSON.stringify(output.slice(0, 120))}, which names no version and options`,
    );
  }
  return {
    version: [Number(major), Number(minor)],
    options: new Set(options.split(/ +/).filter((option) => option !== "" && !option.startsWith("no-"))),
  };
}

/** True when the version is `minimum` or a later one. */
export function isAtLeast(version: DnsmasqFacts["version"], minimum: DnsmasqFacts["version"]): boolean {
  return version[0] > minimum[0] || (version[0] === minimum[0] && version[1] >= minimum[1]);
}
