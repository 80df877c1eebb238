/**
 * Stands in for the range parser that cli passes, in tests: as strict on what it
 * takes, but it keeps host bits and leaves IPv4-mapped addresses as they are.
 */
export function canonicaliseRange(text: string): string {
  const [address = "", prefix, ...rest] = text.split("/");
  const canonical = canonicaliseAddress(address);
  const longestPrefix = address.includes(":") ? 128 : 32;
  const isPrefix =
    prefix === undefined || (/^(?:0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= longestPrefix);
  if (canonical === undefined || !isPrefix || rest.length > 0) {
    throw new Error(`${JSON.stringify(text)} is not an IP address or CIDR range.`);
  }
  return prefix === undefined ? canonical : `${canonical}/${prefix}`;
}

function canonicaliseAddress(text: string): string | undefined {
  if (!/^[0-9a-f:.]+$/i.test(text)) return undefined;
  const host = text.includes(":") ? `[${text}]` : text;
  if (!URL.canParse(`http://${host}`)) return undefined;
  const canonical = new URL(`http://${host}`).hostname;
  if (host !== text) return canonical.slice(1, -1);
  // The URL standard reads octal and short IPv4 addresses, and gives them back as others.
  return canonical === text ? canonical : undefined;
}
