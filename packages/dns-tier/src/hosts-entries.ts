/** Renders what podman's `--add-host` takes, one entry for each address: `NAME:ADDRESS`. */
export function renderHostsEntries(resolved: ReadonlyMap<string, readonly string[]>): string[] {
  return [...resolved].flatMap(([name, addresses]) => addresses.map((address) => `${name}:${address}`));
}

/** Renders the same as lines of /etc/hosts. */
export function renderHostsFile(resolved: ReadonlyMap<string, readonly string[]>): string {
  return [...resolved]
    .flatMap(([name, addresses]) => addresses.map((address) => `${address}\t${name}\n`))
    .join("");
}
