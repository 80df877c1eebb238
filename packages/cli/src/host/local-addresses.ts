import { readFile } from "node:fs/promises";
import type { RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import { coversRange, type IpRange, parseIpRange } from "@terok-shield/nft-ruleset";

const LOOPBACK = ["127.0.0.0/8", "::1"].map(parseIpRange);

/** Tells of an address whether it is the container's own, as its network namespace has it now. */
export async function findLocalAddresses({ pid }: RuntimeRecord): Promise<(address: IpRange) => boolean> {
  const read = (file: string) => readFile(`/proc/${pid}/net/${file}`, "utf8").catch(() => "");
  const [routes, interfaces] = await Promise.all([read("fib_trie"), read("if_inet6")]);
  const own = [...LOOPBACK, ...parseLocalRoutes(routes), ...parseInterfaces(interfaces)];
  return (address) => coversRange(own, address);
}

/** The leaves of fib_trie that are followed by `/32 host LOCAL`. */
function parseLocalRoutes(text: string): IpRange[] {
  return [...text.matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)].map(([, address = ""]) =>
    parseIpRange(address),
  );
}

/** Each line begins with 32 hexadecimal digits. */
function parseInterfaces(text: string): IpRange[] {
  return [...text.matchAll(/^([\da-f]{32}) /gm)].map(([, digits = ""]) =>
    parseIpRange((digits.match(/.{4}/g) ?? []).join(":")),
  );
}
