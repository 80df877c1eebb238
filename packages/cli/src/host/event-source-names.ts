import { BackwardQueryReader, cleanName } from "@terok-shield/audit";
import { BUNDLE_FILE } from "@terok-shield/hook-entrypoint/contract";
import { type LogEnd, resolverLinesBack } from "./event-source-backward.ts";
import { readTextFile } from "./files.ts";

/** Which name led to an address at a time (in milliseconds since 1970), as far as it is known. */
export type FindName = (address: string, time: number) => Promise<string | undefined>;

/** How much of dnsmasq's log to look through for names: the newest that it has. */
const MAXIMUM_BYTES = 4 * 1024 * 1024;

/** The names of a static tier, from the hosts file in the bundle. */
export function namesOfHosts(bundle: string): FindName {
  const names = new Map<string, string>();
  for (const line of (readTextFile(`${bundle}/${BUNDLE_FILE.hosts}`) ?? "").split("\n")) {
    const [address, name] = line.split(/\s+/);
    if (address !== undefined && name !== undefined && !address.startsWith("#")) names.set(address, name);
  }
  return async (address) => names.get(address);
}

/** The names of the dnsmasq tier, from the logs of each run: what one learned says nothing about another. */
export function namesOfRuns(runs: readonly (readonly LogEnd[])[]): FindName {
  const indexes = runs.map((ends) => ({ start: startOf(ends), index: new AnswerIndex(ends) }));
  return async (address, time) => {
    for (const { start, index } of indexes) {
      const since = await start();
      if (since !== undefined && time >= since) return index.find(address, time);
    }
    return undefined;
  };
}

/** When the first of those lines was written; undefined when there is none. */
function startOf(ends: readonly LogEnd[]): () => Promise<number | undefined> {
  let start: Promise<number | undefined> | undefined;
  return () => {
    start ??= readStart(ends);
    return start;
  };
}

const FIRST_LINES_BYTES = 4096;

async function readStart(ends: readonly LogEnd[]): Promise<number | undefined> {
  const oldest = ends.at(-1);
  if (oldest === undefined) return undefined;
  const end = Math.min(FIRST_LINES_BYTES, oldest.end ?? (await oldest.log.size()));
  let start: number | undefined;
  for await (const { time } of resolverLinesBack([{ log: oldest.log, end }])) start = time;
  return start;
}

/** A name that led to an address since `since`, until the next newer one did. */
interface Lead {
  readonly name: string;
  since: number;
}

/** Answers by address, read from the end of the log as far back as is asked for. */
class AnswerIndex {
  /** Newest first. */
  readonly #leads = new Map<string, Lead[]>();
  readonly #reader = new BackwardQueryReader();
  readonly #blocks: ReturnType<typeof resolverLinesBack>;

  constructor(ends: readonly LogEnd[]) {
    this.#blocks = resolverLinesBack(ends, MAXIMUM_BYTES);
  }

  async find(address: string, time: number): Promise<string | undefined> {
    for (;;) {
      const lead = this.#leads.get(address)?.find(({ since }) => since <= time);
      if (lead !== undefined) return lead.name;
      if (!(await this.#readMore())) return undefined;
    }
  }

  async #readMore(): Promise<boolean> {
    const next = await this.#blocks.next();
    if (next.done === true) return false;
    for (const { line, time } of next.value.lines) {
      const query = this.#reader.read(line);
      for (const address of query?.addresses ?? []) this.#add(address, cleanName(query?.name ?? ""), time);
    }
    return true;
  }

  #add(address: string, name: string, time: number): void {
    const leads = this.#leads.get(address) ?? [];
    const oldest = leads.at(-1);
    if (oldest?.name === name) oldest.since = time;
    else leads.push({ name, since: time });
    this.#leads.set(address, leads);
  }
}
