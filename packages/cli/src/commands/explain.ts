import { attributeAnswers, isNameOpen } from "@terok-shield/dns-tier";
import { BUNDLE_FILE, type NameAnswer, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import {
  type IpRange,
  type JudgedPorts,
  judgeEveryPort,
  judgePacket,
  type ListedRuleset,
  type MetRule,
  parseIpRange,
  readListedRuleset,
  renderIpRange,
} from "@terok-shield/nft-ruleset";
import { bundleDirectory } from "../bundle-directory.ts";
import { composePolicy } from "../compose-policy.ts";
import { type ContainerName, parseContainerName } from "../container-name.ts";
import type { ContainerState } from "../container-state.ts";
import { withoutExpired, withoutOtherRuns } from "../expiry.ts";
import {
  type Cause,
  explainName,
  explainService,
  findNameFault,
  hintFor,
  type NameWord,
  type Policy,
  rulePorts,
} from "../explain.ts";
import { type ExplainTarget, parseExplainTarget } from "../explain-target.ts";
import { askNames } from "../host/ask-names.ts";
import { withBundleLock } from "../host/bundle-lock.ts";
import { findContainerRun } from "../host/container-run.ts";
import { readTextFile } from "../host/files.ts";
import type { Host } from "../host/host.ts";
import { findLocalAddresses } from "../host/local-addresses.ts";
import { readResolverLog } from "../host/resolver-log.ts";
import { runNft } from "../host/running-container.ts";
import { runIdOf } from "../lease.ts";
import { ShieldError } from "../shield-error.ts";
import { readContainerState } from "./read-state.ts";
import { readResolverState } from "./resolver-state.ts";

/** One address, or a name that leads to none, and what becomes of some of its ports. */
export interface ExplainedPart extends Cause {
  readonly address?: string;
  /** Runs of ports of TCP and UDP; `icmp` stands for all protocols that have no ports. */
  readonly services: readonly {
    readonly protocol: "tcp" | "udp" | "icmp";
    readonly first: number;
    readonly last: number;
  }[];
  /** The rules that decided, in the order in which a packet meets them, as nft writes them. */
  readonly rules: readonly string[];
}

export interface ExplainedTarget {
  readonly target: string;
  readonly verdict: "passes" | "refused" | "partly" | "unknown";
  readonly parts: readonly ExplainedPart[];
  readonly hint?: ReturnType<typeof hintFor>;
}

export interface Explanation {
  readonly container: string;
  readonly targets: readonly ExplainedTarget[];
}

/**
 * What becomes of connections that a running container begins: judged by the rules and sets that its kernel lists now and
 * by what its resolver answers now. Entries and decisions only say who is behind it.
 * @throws ShieldError when the container does not run, or a target is none.
 */
export async function explain(host: Host, name: string, texts: readonly string[]): Promise<Explanation> {
  const container = parseContainerName(name);
  const targets = texts.map(parseExplainTarget);
  const first = await explainOnce(host, container, targets);
  const isAtOdds = first.targets.some(({ parts }) =>
    parts.some(({ disagreement, by }) => disagreement !== undefined || by === "unknown"),
  );
  // A command that is at work looks like a disagreement, so the next look waits for it.
  if (!isAtOdds) return first;
  return withBundleLock(bundleDirectory(host.places, container), () => explainOnce(host, container, targets));
}

async function explainOnce(
  host: Host,
  container: ContainerName,
  targets: readonly ExplainTarget[],
): Promise<Explanation> {
  const recorded = readContainerState(host, container);
  const bundle = bundleDirectory(host.places, container);
  const found = findContainerRun(bundle, container);
  if (found.kind === "stopped") {
    throw new ShieldError(
      `The container ${container} does not run, so there are no rules that anything would pass. See terok-shield preview`,
    );
  }
  if (found.kind === "foreign") return { container, targets: targets.map(explainUnprotected) };
  const { record } = found;
  const moment = host.moment();
  const told = withoutOtherRuns(recorded, runIdOf(record));
  const state = withoutExpired(recorded, moment, runIdOf(record));
  const seen = { host, bundle, record, state, told };
  const answers = await askFor(seen, targets);
  const [listing, texts, isLocal, log] = await Promise.all([
    runNft(host, record, ["-j", "list", "ruleset"]),
    runNft(host, record, ["-a", "-t", "list", "ruleset"]),
    findLocalAddresses(record),
    state.tier === "dnsmasq" ? readResolverLog(bundle) : "",
  ]);
  const led = invert(attributeAnswers(log));
  const looker: Looker = {
    ruleset: readListedRuleset(listing),
    texts: readRuleTexts(texts),
    isLocal,
    policy: { state, moment, namesOf: (address) => led.get(address) ?? [] },
  };
  return { container, targets: targets.map((target) => explainTarget(looker, target, answers)) };
}

interface Seen {
  readonly host: Host;
  readonly bundle: string;
  readonly record: RuntimeRecord;
  readonly state: ContainerState;
  readonly told: ContainerState;
}

interface Looker {
  readonly ruleset: ListedRuleset;
  readonly texts: ReadonlyMap<string, string>;
  readonly isLocal: (address: IpRange) => boolean;
  readonly policy: Policy;
}

/** `isOld`: the container asked some time ago. */
type Answers = ReadonlyMap<string, (NameAnswer & { readonly isOld?: true }) | "not asked">;

async function askFor(seen: Seen, targets: readonly ExplainTarget[]): Promise<Answers> {
  const names = [...new Set(targets.flatMap((target) => (target.kind === "name" ? [target.name] : [])))];
  if (names.length === 0) return new Map();
  return seen.state.tier === "dnsmasq" ? askResolver(seen, names) : readHosts(seen, names);
}

/**
 * A name that policy does not open is only asked for where dnsmasq is known to refuse it: an explanation must not send
 * the name out of the host. In a block the resolver has no way to ask.
 */
async function askResolver(
  { host, bundle, record, state, told }: Seen,
  names: readonly string[],
): Promise<Answers> {
  const moment = host.moment();
  const { names: open, closedInBypass } = composePolicy(state, moment);
  const isCurrent = readResolverState(bundle, told, moment) === "current";
  const isClosedInBypass = (name: string) =>
    !isNameOpen({ exact: [{ name, scope: 0 }], wildcards: [], ...closedInBypass }, name);
  const isRefused = (name: string) => isCurrent && (state.mode.kind !== "down" || isClosedInBypass(name));
  const isSafe = (name: string) => isNameOpen(open, name) || isRefused(name);
  const asked = state.mode.kind === "block" ? [] : names.filter(isSafe);
  const answers =
    asked.length === 0 ? new Map<string, NameAnswer>() : await askNames(host, record, bundle, asked);
  const log = names.length > asked.length ? attributeAnswers(readResolverLog(bundle)) : new Map();
  return new Map(
    names.map((name) => {
      const addresses = [...(log.get(name) ?? [])] as string[];
      // What the container itself looked up before says where its connections go.
      const known =
        addresses.length > 0 ? ({ kind: "addresses", addresses, isOld: true } as const) : "not asked";
      return [name, answers.get(name) ?? known];
    }),
  );
}

/** In a static tier a container knows the names of its hosts file. */
async function readHosts({ bundle, record }: Seen, names: readonly string[]): Promise<Answers> {
  const text = readTextFile(record.hostsFile ?? `${bundle}/${BUNDLE_FILE.hosts}`) ?? "";
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
  return new Map(
    names.map((name): [string, NameAnswer] => {
      const addresses = lines.filter((words) => words.indexOf(name) > 0).map(([address = ""]) => address);
      return [name, addresses.length > 0 ? { kind: "addresses", addresses } : { kind: "refused", addresses }];
    }),
  );
}

const VERDICTS = ["passes", "refused", "unknown"];

function explainTarget(looker: Looker, target: ExplainTarget, answers: Answers): ExplainedTarget {
  const parts =
    target.kind === "name"
      ? explainNamed(looker, target, answers)
      : explainAddress(looker, target, target.address);
  parts.sort((left, right) => VERDICTS.indexOf(left.verdict) - VERDICTS.indexOf(right.verdict));
  const verdicts = new Set(parts.map(({ verdict }) => verdict));
  const [verdict = "unknown"] = verdicts;
  const hint = hintFor(parts, target.text);
  return {
    target: target.text,
    verdict: verdicts.has("unknown") ? "unknown" : verdicts.size > 1 ? "partly" : verdict,
    parts,
    ...(hint === undefined ? {} : { hint }),
  };
}

function explainNamed(
  looker: Looker,
  target: ExplainTarget & { kind: "name" },
  answers: Answers,
): ExplainedPart[] {
  const answer = answers.get(target.name) ?? "not asked";
  if (answer !== "not asked" && answer.kind === "addresses") {
    const { policy } = looker;
    const namesOf = (address: string) => [target.name, ...policy.namesOf(address)];
    const name = answer.isOld === true ? {} : { name: target.name };
    const named = { ...looker, policy: { ...policy, ...name, namesOf } };
    const fault = answer.isOld === true ? undefined : findNameFault(target.name, policy);
    return [...new Set(answer.addresses)]
      .flatMap((address) => explainAddress(named, target, parseIpRange(address)))
      .map((part) => (fault === undefined ? part : { ...part, disagreement: fault }));
  }
  const kind: NameWord["kind"] = answer === "not asked" ? answer : (answer.kind as NameWord["kind"]);
  const cause = explainName({ name: target.name, kind }, looker.policy);
  return [{ ...cause, services: servicesOf(target), rules: [] }];
}

const EVERY_SERVICE = [
  { protocol: "tcp", first: 1, last: 65_535 },
  { protocol: "udp", first: 1, last: 65_535 },
  { protocol: "icmp", first: 1, last: 65_535 },
] as const;

function servicesOf({ port, protocols }: ExplainTarget): ExplainedPart["services"] {
  if (port === undefined) return EVERY_SERVICE;
  return protocols.map((protocol) => ({ protocol, first: port, last: port }));
}

function explainUnprotected(target: ExplainTarget): ExplainedTarget {
  const text =
    "allowed: it was started without the shield, so everything passes: stop it, and start it with terok-shield start";
  const part = {
    verdict: "passes",
    by: "unprotected",
    text,
    services: servicesOf(target),
    rules: [],
  } as const;
  return { target: target.text, verdict: "passes", parts: [part] };
}

function explainAddress(looker: Looker, target: ExplainTarget, address: IpRange): ExplainedPart[] {
  const { policy, texts } = looker;
  const isLocal = looker.isLocal(address);
  const parts = new Map<string, ExplainedPart>();
  for (const { protocol, first, last, judgement } of judgeTarget(looker, target, address)) {
    const service = { protocol, first, last };
    const cause = explainService(judgement, { address, protocol, port: first, isLocal }, policy);
    const key = `${cause.text} ${cause.disagreement ?? ""}`;
    const known = parts.get(key);
    parts.set(key, {
      ...(known ?? {
        address: renderIpRange(address),
        ...cause,
        rules: judgement.trail.map((rule) => textOf(rule, texts)),
      }),
      services: joined(known?.services ?? [], service),
    });
  }
  return [...parts.values()];
}

/** Runs that follow each other are one. */
function joined(
  services: ExplainedPart["services"],
  next: ExplainedPart["services"][number],
): ExplainedPart["services"] {
  const last = services.at(-1);
  return last?.protocol === next.protocol && last.last + 1 === next.first
    ? [...services.slice(0, -1), { ...last, last: next.last }]
    : [...services, next];
}

function judgeTarget(
  { ruleset, isLocal, policy }: Looker,
  target: ExplainTarget,
  address: IpRange,
): JudgedPorts[] {
  const to = { address, isLocal: isLocal(address) };
  const { port } = target;
  if (port !== undefined) {
    return target.protocols.map((protocol) => ({
      ...{ protocol, first: port, last: port },
      judgement: judgePacket(ruleset, { ...to, protocol, port }),
    }));
  }
  const cuts = rulePorts(policy.state);
  return judgeEveryPort(ruleset, to).flatMap((run) => {
    if (run.protocol === "icmp") return [run];
    const firsts = [run.first, ...cuts.filter((cut) => run.first < cut && cut <= run.last)];
    return firsts.map((first, index) => ({ ...run, first, last: (firsts[index + 1] ?? run.last + 1) - 1 }));
  });
}

function textOf({ table, chain, handle, found }: MetRule, texts: ReadonlyMap<string, string>): string {
  const text =
    handle === undefined ? "policy" : (texts.get(`${table} ${chain} ${handle}`) ?? `handle ${handle}`);
  const elements = found.map(({ set, element }) => ` (${element} in ${set})`).join("");
  return `${chain}: ${text}${elements}`;
}

/** The rules of `nft -a list ruleset` by table, chain and handle. */
function readRuleTexts(text: string): Map<string, string> {
  const texts = new Map<string, string>();
  let [table, chain] = ["", ""];
  for (const line of text.split("\n")) {
    const [, kind, name = ""] = /^\t?(table \S+|chain) (\S+) \{/.exec(line) ?? [];
    if (kind === "chain") chain = name;
    else if (kind !== undefined) table = name;
    const [, rule, handle] = /^\t\t(.*) # handle (\d+)$/.exec(line) ?? [];
    if (rule !== undefined) texts.set(`${table} ${chain} ${handle}`, rule);
  }
  return texts;
}

function invert(answers: ReadonlyMap<string, ReadonlySet<string>>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [name, addresses] of answers) {
    for (const address of addresses) names.set(address, [name, ...(names.get(address) ?? [])]);
  }
  return names;
}
