const DECIMAL_OCTET = /^(?:0|[1-9]\d{0,2})$/;
const HEX_GROUP = /^[0-9a-f]{1,4}$/i;

/** True for four decimal octets without leading zeros, and for nothing that a lenient parser would also take. */
export function isIpv4Text(text: string): boolean {
  const octets = text.split(".");
  return octets.length === 4 && octets.every((octet) => DECIMAL_OCTET.test(octet) && Number(octet) <= 255);
}

/** True for an IPv6 address of RFC 4291 section 2.2, without a zone. */
export function isIpv6Text(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":"))).map(unembedIpv4);
  const count = groups.flat().length;
  if (halves.length === 1 ? count !== 8 : count > 7) return false;
  return (
    (halves.length === 1 || !halves[0]?.includes(".")) &&
    groups.flat().every((group) => HEX_GROUP.test(group))
  );
}

/** True for an IPv4 or IPv6 address. */
export function isIpText(text: string): boolean {
  return isIpv4Text(text) || isIpv6Text(text);
}

/**
 * True for an address in its only spelling (RFC 5952), which is how dnsmasq and nft write it. One of the IPv6
 * forms that end in an IPv4 address has none.
 */
export function isCanonicalIpText(text: string): boolean {
  return isIpv4Text(text) || (isIpv6Text(text) && new URL(`http://[${text}]`).hostname === `[${text}]`);
}

/** True for an address with a prefix length. */
export function isCidrText(text: string): boolean {
  const [address = "", length = "", ...rest] = text.split("/");
  if (rest.length > 0 || !DECIMAL_OCTET.test(length)) return false;
  return (isIpv4Text(address) && Number(length) <= 32) || (isIpv6Text(address) && Number(length) <= 128);
}

/** An IPv4 address at the end stands for two groups. */
function unembedIpv4(groups: readonly string[]): readonly string[] {
  const last = groups.at(-1);
  return last !== undefined && isIpv4Text(last) ? [...groups.slice(0, -1), "0", "0"] : groups;
}
