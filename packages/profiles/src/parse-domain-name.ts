import { EntryError } from "./entry-error.ts";
import { quoteValue } from "./quote-value.ts";

const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;

/**
 * Parses a domain name of one label or more to its only spelling: lower case,
 * A-labels, no trailing dot.
 *
 * An underscore may stand wherever a letter may. It is no part of a host name
 * by the book, but glibc resolves such names, buckets and hosts bear them, and
 * the names of SRV records begin with one.
 */
export function parseDomainName(text: string): string {
  const unrooted = text.endsWith(".") ? text.slice(0, -1) : text;
  const isAscii = /^\p{ASCII}*$/u.test(unrooted);
  const name = isAscii ? unrooted.toLowerCase() : toALabels(unrooted);
  const fault = findFault(name);
  if (fault !== undefined) throw new EntryError(`${quoteValue(text)} ${fault}`);
  return name;
}

function findFault(name: string): string | undefined {
  const labels = name.split(".");
  const stray = /[^a-z0-9_.-]/.exec(name)?.[0];
  if (stray !== undefined) {
    return `has ${quoteValue(stray)} in it, which no host name has. Write a plain name, as in api.example.com.`;
  }
  if (labels.includes("")) {
    return "has an empty label. Write one dot between labels and none before the first.";
  }
  const long = labels.find((label) => label.length > LONGEST_LABEL);
  if (long !== undefined) {
    return `has a label of ${long.length} bytes. Write labels of at most ${LONGEST_LABEL}.`;
  }
  if (name.length > LONGEST_NAME) {
    return `has ${name.length} bytes. Write a name of at most ${LONGEST_NAME}.`;
  }
  const hyphened = labels.find((label) => label.startsWith("-") || label.endsWith("-"));
  if (hyphened !== undefined) {
    return `has the label ${quoteValue(hyphened)}. Write labels that neither begin nor end with a hyphen.`;
  }
  if (labels.some((label) => label.startsWith("xn--")) && hostOfUrl(name) !== name) {
    return "has an xn-- label that is no encoded name. Write the name as its owner registered it.";
  }
  return undefined;
}

function toALabels(name: string): string {
  const strange = findStrangeCharacter(name);
  if (strange !== undefined) {
    throw new EntryError(
      `${quoteValue(name)} has ${quoteValue(strange)} in it, which is not plain text of a name. Write the name in its xn-- form.`,
    );
  }
  const host = hostOfUrl(name);
  if (host === undefined) {
    throw new EntryError(
      `${quoteValue(name)} is not an internationalised host name. Write the name as its owner registered it.`,
    );
  }
  return host;
}

/**
 * What the URL standard would fold, drop or decode (full-width dots and digits,
 * soft hyphens, percent signs) would make a name that is not the one written.
 */
function findStrangeCharacter(name: string): string | undefined {
  return [...name].find(
    (character) =>
      /[^\p{L}\p{M}\p{N}._-]|\p{Default_Ignorable_Code_Point}/u.test(character) ||
      character.normalize("NFKC") !== character,
  );
}

function hostOfUrl(host: string): string | undefined {
  const url = `http://${host}/`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
