import { assertDomainName } from "./domain-name.ts";
import { isIpv4Text, isIpv6Text } from "./ip-text.ts";

/** Arguments that ask for both families. The final dot keeps the search list of resolv.conf away from the name. */
export function getentArguments(name: string): string[] {
  assertDomainName(name);
  return ["ahosts", `${name}.`];
}

/** Reads the addresses that getent printed, without the IPv4-mapped ones it makes up for lack of IPv6. */
export function parseGetentAnswers(output: string): string[] {
  const addresses = output
    .split("\n")
    .map((line) => line.split(/\s/, 1)[0] ?? "")
    .filter((address) => isIpv4Text(address) || (isIpv6Text(address) && !/^::ffff:/i.test(address)));
  return [...new Set(addresses)];
}
