import { type IpRange, mergeRanges, parseIpRange, renderIpRange } from "./ip-range.ts";

/** Private and special IPv4 space (RFC 6890 and successors). 198.18.0.0/15, benchmarking, stays ordinary. */
const PRIVATE_IPV4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32", // Azure's resolver and metadata service
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "224.0.0.0/4",
  "240.0.0.0/4",
];

const PRIVATE_IPV6 = [
  "::/96", // unspecified, loopback, IPv4-compatible
  "::ffff:0:0:0/96", // IPv4-translated (RFC 7915)
  "64:ff9b:1::/48", // local-use NAT64 (RFC 8215): where it embeds the IPv4 address is the network's secret
  "100::/64", // discard-only
  "2001::/32", // Teredo
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** Cloud instance and credential endpoints: an entry opens one only by naming exactly that address. */
const METADATA_IPV4 = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
];
const METADATA_IPV6 = ["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"];

/** Ranges that a DNS answer never opens and that stay closed in bypass. */
export const PRIVATE_RANGES: readonly IpRange[] = mergeRanges([
  ...PRIVATE_IPV4.map(parseIpRange),
  ...PRIVATE_IPV4.map(parseIpRange).flatMap(embeddings),
  ...PRIVATE_IPV6.map(parseIpRange),
  mappedRange(),
]);

/** Addresses that a wider entry never opens. */
export const METADATA_ADDRESSES: readonly IpRange[] = mergeRanges([
  ...METADATA_IPV4.map(parseIpRange),
  ...METADATA_IPV4.map(parseIpRange).flatMap(embeddings),
  ...METADATA_IPV6.map(parseIpRange),
]);

/** Where IPv6 carries the IPv4 range: NAT64 (RFC 6052) and 6to4 (RFC 3056). */
function embeddings(range: IpRange): IpRange[] {
  const [address, length = "32"] = renderIpRange(range).split("/");
  const [high, low] = hexGroups(range.first);
  return [
    parseIpRange(`64:ff9b::${address}/${96 + Number(length)}`),
    parseIpRange(`2002:${high}:${low}::/${16 + Number(length)}`),
  ];
}

function hexGroups(ipv4: bigint): [string, string] {
  return [(ipv4 >> 16n).toString(16), (ipv4 & 0xffffn).toString(16)];
}

/** `::ffff:0:0/96` itself, which parseIpRange would read as all of IPv4. */
function mappedRange(): IpRange {
  const first = 0xffffn << 32n;
  return { ...parseIpRange("::/96"), first, last: first + 0xffffffffn };
}
