import { assertDomainName } from "./domain-name.ts";
import { isIpv4Text, isIpv6Text } from "./ip-text.ts";
import { parseUpstream } from "./upstream.ts";

/** The records that hold addresses. */
export type RecordType = "A" | "AAAA";

/** What one dig process printed: the addresses of the name asked for, and the status of the reply if there was one. */
export interface DigAnswers {
  readonly addresses: readonly string[];
  /** NOERROR, NXDOMAIN, SERVFAIL… */
  readonly status?: string;
}

/**
 * Arguments for one question. dig asks several names one after the other, so that one dead zone would use up
 * the time of all: each question is a process of its own.
 */
export function digArguments(
  name: string,
  type: RecordType,
  { server, timeoutSeconds }: { server?: string; timeoutSeconds: number },
): string[] {
  assertDomainName(name);
  return [
    "-r", // The owner's .digrc could change what is asked and printed.
    ...(server === undefined ? [] : serverArguments(server)),
    "+nosearch",
    `+time=${timeoutSeconds}`,
    "+tries=2",
    "+noall",
    "+comments",
    "+answer",
    "-q",
    name,
    "-t",
    type,
  ];
}

/** Reads what dig printed. Only addresses that CNAME records lead to from `name` count. */
export function parseDigAnswers(output: string, name: string): DigAnswers {
  const records = output.split("\n").flatMap(parseRecord);
  const owners = namesReachedFrom(name, records);
  const addresses = records.filter(({ owner, value, isAddress }) => owners.has(owner) && isAddress(value));
  const status = /^;; ->>HEADER<<- opcode: QUERY, status: ([A-Z0-9]{1,16}),/m.exec(output)?.[1];
  return {
    addresses: [...new Set(addresses.map(({ value }) => value))],
    ...(status === undefined ? {} : { status }),
  };
}

function serverArguments(server: string): string[] {
  const { address, port } = parseUpstream(server);
  return [`@${address}`, "-p", String(port)];
}

interface AnswerRecord {
  readonly owner: string;
  readonly type: string;
  readonly value: string;
  readonly isAddress: (value: string) => boolean;
}

const ADDRESS_CHECKS: Readonly<Record<string, (value: string) => boolean>> = {
  A: isIpv4Text,
  AAAA: isIpv6Text,
};

/** `api.example.com. 300 IN CNAME edge.example.net.` */
function parseRecord(line: string): AnswerRecord[] {
  if (line.startsWith(";")) return [];
  const [owner, ttl, dnsClass, type, value, ...rest] = line.trim().split(/\s+/);
  if (owner === undefined || type === undefined || value === undefined || rest.length > 0) return [];
  if (dnsClass !== "IN" || !/^\d+$/.test(ttl ?? "")) return [];
  const isAddress = Object.hasOwn(ADDRESS_CHECKS, type) ? ADDRESS_CHECKS[type] : undefined;
  return [{ owner: unrooted(owner), type, value, isAddress: isAddress ?? (() => false) }];
}

function namesReachedFrom(name: string, records: readonly AnswerRecord[]): ReadonlySet<string> {
  const aliases = records.filter(({ type }) => type === "CNAME");
  const reached = new Set([name]);
  // A set grows while it is walked and takes no name twice, so a loop of aliases ends.
  for (const alias of reached) {
    for (const { owner, value } of aliases) if (owner === alias) reached.add(unrooted(value));
  }
  return reached;
}

function unrooted(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}
