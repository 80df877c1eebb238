/**
 * What the hook found out about the dnsmasq of a running container, as SHA-256 in hex: the servers file that it was seen
 * to follow, and the dnsmasq.conf that it was started with. Only with the latter is it known which sets its answers fill.
 */
export interface Confirmation {
  readonly servers: string;
  readonly configuration: string;
}

/** The text of dns-servers.confirmed. */
export function renderConfirmation({ servers, configuration }: Confirmation): string {
  return `${servers} ${configuration}\n`;
}

/** Undefined when the text is not of that kind. */
export function parseConfirmation(text: string): Confirmation | undefined {
  const [, servers, configuration] = /^([0-9a-f]{64}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
  return servers === undefined || configuration === undefined ? undefined : { servers, configuration };
}
