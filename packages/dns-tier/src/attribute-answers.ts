import { isDomainName } from "./domain-name.ts";
import { isCanonicalIpText } from "./ip-text.ts";

/** With `log-queries=extra` what belongs to a query begins with the query's number and who asked it. */
const LINE = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d dnsmasq\[(\d+)\]: (?:(\d+) [\d.]+\/\d+ )?(.*)$/;
const STARTED = /^started, version /;
/** Other queries fill no set, and a TXT record that says an address looks like one. */
const ADDRESS_QUERY = /^query\[(?:A|AAAA)\] (\S+) from [\d.]+$/;
const ANY_QUERY = /^query(?:\[\S+\])? /;
/** Names here are the upstream's: they may have spaces, and one of two lines that run into each other has another's head. */
const ANSWER = /^(?:reply|cached) (?!.*\]: ).* is (\S+)$/;

/**
 * Which addresses the answers for each name brought, from dnsmasq's log, whether it was started anew meanwhile or not. What
 * a CNAME led to is the answer of the name that was asked for. Names are canonical; addresses as nft lists them.
 *
 * Left out: lines that are torn or not dnsmasq's, and names that no entry can spell (`a b.wild.example`), which a
 * workload may look up below a wildcard. So an address in a set that is not here is of no name that anybody allowed.
 */
export function attributeAnswers(log: string): ReadonlyMap<string, ReadonlySet<string>> {
  const answers = new Map<string, Set<string>>();
  const asked = new Map<string, string>();
  // What follows the last line break is still being written.
  for (const line of log.split("\n").slice(0, -1)) {
    const [, process, number, text = ""] = LINE.exec(line) ?? [];
    if (number === undefined) {
      // It counts its queries from the beginning again.
      if (STARTED.test(text)) asked.clear();
      continue;
    }
    // A connection over TCP has a process of its own.
    const query = `${process} ${number}`;
    if (ANY_QUERY.test(text)) {
      const name = canonicalName(ADDRESS_QUERY.exec(text)?.[1]);
      if (name === undefined) asked.delete(query);
      else asked.set(query, name);
      continue;
    }
    const name = asked.get(query);
    const address = ANSWER.exec(text)?.[1];
    if (name === undefined || address === undefined || !isCanonicalIpText(address)) continue;
    answers.set(name, (answers.get(name) ?? new Set()).add(address));
  }
  return answers;
}

/** dnsmasq writes a name as it was asked for. */
function canonicalName(text: string | undefined): string | undefined {
  const name = text?.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return name !== undefined && isDomainName(name) ? name : undefined;
}
