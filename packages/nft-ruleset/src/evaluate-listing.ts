import {
  type FirstPacket,
  type FoundElement,
  type ListedSet,
  type Marks,
  matchPacket,
  portBoundaries,
  readSetElement,
} from "./evaluate-listing-match.ts";
import type { IpRange } from "./ip-range.ts";
import { listedObjects } from "./listing.ts";
import type { Transport } from "./port-area.ts";

/** What `nft -j list ruleset` shows of all tables. */
export interface ListedRuleset {
  readonly tables: readonly ListedTable[];
  /** What of it is not understood, so that nothing can be said. */
  readonly fault?: string;
}

interface ListedTable {
  readonly family: string;
  readonly name: string;
  readonly chains: ReadonlyMap<string, ListedChain>;
  readonly sets: ReadonlyMap<string, ListedSet>;
}

interface ListedChain {
  readonly name: string;
  readonly hook?: string;
  readonly type?: string;
  readonly priority: number;
  readonly policy: string;
  readonly rules: ListedRule[];
}

interface ListedRule {
  readonly handle?: number;
  readonly statements: readonly unknown[];
}

/** A rule that the packet met on its way and that said where it goes on or ends. */
export interface MetRule {
  readonly table: string;
  readonly chain: string;
  /** As `nft -a list ruleset` numbers it; absent for the chain's policy. */
  readonly handle?: number;
  readonly found: readonly FoundElement[];
}

export interface Judgement {
  readonly verdict: "accepted" | "dropped" | "rejected" | "unknown";
  /** Why it is not known. */
  readonly reason?: string;
  readonly trail: readonly MetRule[];
}

/**
 * Reads the rules and sets of `nft -j list ruleset`.
 * @throws Error when the text is not such a listing.
 */
export function readListedRuleset(json: string): ListedRuleset {
  const tables = new Map<string, { chains: Map<string, ListedChain>; sets: Map<string, ListedSet> }>();
  const faults: string[] = [];
  for (const object of listedObjects(json)) {
    const [[kind, body] = ["", {}]] = Object.entries(object) as [string, Listed][];
    if (kind === "table") {
      tables.set(`${body.family} ${body.name}`, { chains: new Map(), sets: new Map() });
      if (!FAMILIES.has(String(body.family)))
        faults.push(`there is a table of the family ${String(body.family)}`);
      continue;
    }
    const table = tables.get(`${body.family} ${body.table}`);
    if (table === undefined) continue;
    if (kind === "chain") table.chains.set(String(body.name), chainOf(body));
    if (kind === "set") table.sets.set(String(body.name), setOf(body));
    if (kind === "rule") table.chains.get(String(body.chain))?.rules.push(ruleOf(body));
  }
  return {
    tables: [...tables].map(([key, table]) => {
      const [family = "", name = ""] = key.split(" ");
      return { family, name, ...table };
    }),
    ...(faults[0] === undefined ? {} : { fault: faults[0] }),
  };
}

interface Listed {
  readonly family?: unknown;
  readonly table?: unknown;
  readonly name?: unknown;
  readonly chain?: unknown;
  readonly handle?: unknown;
  readonly hook?: unknown;
  readonly type?: unknown;
  readonly prio?: unknown;
  readonly policy?: unknown;
  readonly expr?: unknown;
  readonly elem?: unknown;
}

const FAMILIES = new Set(["inet", "ip", "ip6"]);

function chainOf({ name, hook, type, prio, policy }: Listed): ListedChain {
  return {
    name: String(name),
    ...(hook === undefined ? {} : { hook: String(hook), type: String(type) }),
    priority: Number(prio ?? 0),
    policy: String(policy ?? "accept"),
    rules: [],
  };
}

function setOf({ name, elem }: Listed): ListedSet {
  return { name: String(name), elements: Array.isArray(elem) ? elem.map(readSetElement) : [] };
}

function ruleOf({ handle, expr }: Listed): ListedRule {
  return {
    ...(typeof handle === "number" ? { handle } : {}),
    statements: Array.isArray(expr) ? expr : [{ unreadable: expr }],
  };
}

/**
 * What becomes of the first packet of something new that the container sends, by the rules as they are listed. What is
 * not understood, where it would matter, makes the verdict `unknown`, never a guess. Rate limits count as not reached.
 */
export function judgePacket(ruleset: ListedRuleset, packet: FirstPacket): Judgement {
  if (ruleset.fault !== undefined) return { verdict: "unknown", reason: ruleset.fault, trail: [] };
  const family = packet.address.family === 4 ? "ip" : "ip6";
  const bases = ruleset.tables
    .filter((table) => table.family === "inet" || table.family === family)
    .flatMap((table) => [...table.chains.values()].map((chain) => ({ table, chain })))
    .filter(({ chain }) => chain.hook !== undefined)
    .sort((left, right) => left.chain.priority - right.chain.priority);
  const walk = new Walk(packet);
  for (const { table, chain } of bases) {
    if (NOT_ON_THE_WAY.has(chain.hook ?? "")) continue;
    if (chain.hook !== "output" || chain.type !== "filter") {
      return walk.judgement("unknown", `chain ${chain.name} of table ${table.name} is of no kind known here`);
    }
    const end = walk.run(table, chain);
    if (end === "accepted") continue;
    if (end !== "continues") return walk.judgement(end);
    walk.meetPolicy(table, chain);
    if (chain.policy === "drop") return walk.judgement("dropped");
    if (chain.policy !== "accept") return walk.judgement("unknown", `policy ${chain.policy}`);
  }
  return walk.judgement("accepted");
}

/** Packets that begin here come by none of these; what is for the container itself comes in by `lo`. */
const NOT_ON_THE_WAY = new Set(["input", "forward", "prerouting", "ingress"]);

type End = "accepted" | "dropped" | "rejected" | "unknown" | "continues";

const DEEPEST = 16;

/** One packet's way through the rules. */
class Walk {
  readonly #packet: FirstPacket;
  readonly #trail: MetRule[] = [];
  #marks: Marks = { connection: 0, packet: 0 };
  #reason: string | undefined;

  constructor(packet: FirstPacket) {
    this.#packet = packet;
  }

  judgement(verdict: Judgement["verdict"], reason = this.#reason): Judgement {
    return {
      verdict,
      ...(verdict === "unknown" && reason !== undefined ? { reason } : {}),
      trail: this.#trail,
    };
  }

  meetPolicy(table: ListedTable, chain: ListedChain): void {
    this.#trail.push({ table: table.name, chain: chain.name, found: [] });
  }

  run(table: ListedTable, chain: ListedChain, depth = 0): End {
    if (depth > DEEPEST) return this.#cannotTell(chain, "it jumps too deep");
    for (const rule of chain.rules) {
      const end = this.#apply(table, chain, rule, depth);
      if (end === "returns") return "continues";
      if (end !== "continues") return end;
    }
    return "continues";
  }

  #apply(table: ListedTable, chain: ListedChain, rule: ListedRule, depth: number): End | "returns" {
    const found: FoundElement[] = [];
    let doubt: string | undefined;
    const meet = () => {
      const { handle } = rule;
      this.#trail.push({
        table: table.name,
        chain: chain.name,
        ...(handle === undefined ? {} : { handle }),
        found,
      });
    };
    for (const statement of rule.statements) {
      const [[kind, body] = ["", undefined]] = Object.entries((statement ?? {}) as object) as [
        string,
        unknown,
      ][];
      if (kind === "match") {
        const matched = matchPacket(body, this.#packet, this.#marks, table.sets);
        if (matched.truth === false) return "continues";
        if (matched.truth === undefined) doubt ??= JSON.stringify(body);
        if (matched.found !== undefined) found.push(matched.found);
        continue;
      }
      if (kind === "limit") {
        const isOver = (body as { inv?: unknown } | null)?.inv === true;
        if (isOver) return "continues";
        if (rule.statements.some(decides)) doubt ??= "a rate limit";
        continue;
      }
      if (WITHOUT_EFFECT.has(kind)) continue;
      if (doubt !== undefined) return this.#cannotTell(chain, doubt);
      switch (kind) {
        case "mangle":
          if (!this.#setMark(body)) return this.#cannotTell(chain, JSON.stringify(statement));
          continue;
        case "accept":
          meet();
          return "accepted";
        case "drop":
          meet();
          return "dropped";
        case "reject":
          meet();
          return "rejected";
        case "return":
          return "returns";
        case "goto":
        case "jump": {
          const target = table.chains.get(String((body as { target?: unknown } | null)?.target));
          if (target === undefined) return this.#cannotTell(chain, "it leads nowhere");
          meet();
          const end = this.run(table, target, depth + 1);
          if (end === "continues") {
            this.#trail.pop();
            if (kind === "goto") return "returns";
            continue;
          }
          return end;
        }
        default:
          return this.#cannotTell(chain, JSON.stringify(statement));
      }
    }
    return "continues";
  }

  #setMark(body: unknown): boolean {
    const { key, value } = (body ?? {}) as {
      key?: { ct?: { key?: unknown }; meta?: { key?: unknown } };
      value?: unknown;
    };
    if (typeof value !== "number") return false;
    if (key?.ct?.key === "mark") this.#marks = { ...this.#marks, connection: value };
    else if (key?.meta?.key === "mark") this.#marks = { ...this.#marks, packet: value };
    else return false;
    return true;
  }

  #cannotTell({ name }: ListedChain, what: string): "unknown" {
    this.#reason = `chain ${name} has a rule that is not understood here: ${what.slice(0, 200)}`;
    return "unknown";
  }
}

/** Count, log and remember, whatever becomes of the packet. */
const WITHOUT_EFFECT = new Set(["counter", "log", "set"]);
const DECISIONS = new Set(["accept", "drop", "reject", "goto", "jump", "return", "queue"]);

function decides(statement: unknown): boolean {
  return Object.keys((statement ?? {}) as object).some((kind) => DECISIONS.has(kind));
}

/** What becomes of some ports, or of a ping. */
export interface JudgedPorts {
  readonly protocol: Transport | "icmp";
  readonly first: number;
  readonly last: number;
  readonly judgement: Judgement;
}

/** The same for every port, in runs that one way through the rules is true of. A ping stands for what has no ports. */
export function judgeEveryPort(
  ruleset: ListedRuleset,
  to: { readonly address: IpRange; readonly isLocal: boolean },
): JudgedPorts[] {
  const firsts = firstPorts(ruleset, to.address);
  const runs: JudgedPorts[] = [];
  for (const protocol of ["tcp", "udp"] as const) {
    for (const [index, first] of firsts.entries()) {
      const last = (firsts[index + 1] ?? 65_536) - 1;
      const judgement = judgePacket(ruleset, { ...to, protocol, port: first });
      const before = runs.at(-1);
      if (before?.protocol === protocol && isSameWay(before.judgement, judgement)) {
        runs[runs.length - 1] = { ...before, last };
      } else {
        runs.push({ protocol, first, last, judgement });
      }
    }
  }
  const ping = judgePacket(ruleset, { ...to, protocol: "icmp" });
  return [...runs, { protocol: "icmp", first: 0, last: 65_535, judgement: ping }];
}

/** Port 0 is none that anybody can connect to. */
function firstPorts({ tables }: ListedRuleset, address: IpRange): number[] {
  const firsts = new Set([1]);
  for (const { chains, sets } of tables) {
    for (const { rules } of chains.values()) {
      for (const statement of rules.flatMap(({ statements }) => statements)) {
        const { match } = (statement ?? {}) as { match?: unknown };
        for (const port of portBoundaries(match, address, sets)) {
          if (port >= 1 && port <= 65_535) firsts.add(port);
        }
      }
    }
  }
  return [...firsts].sort((left, right) => left - right);
}

function isSameWay(left: Judgement, right: Judgement): boolean {
  return (
    left.verdict === right.verdict &&
    left.trail.length === right.trail.length &&
    left.trail.every((rule, index) => {
      const other = right.trail[index];
      return (
        rule.table === other?.table &&
        rule.chain === other.chain &&
        rule.handle === other.handle &&
        // Leases and names end at different times, and one rule may find different elements.
        JSON.stringify(rule.found) === JSON.stringify(other.found)
      );
    })
  );
}
