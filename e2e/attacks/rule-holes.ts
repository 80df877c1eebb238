import { isDeepStrictEqual } from "node:util";
import { type Kernel, openKernel } from "../tests/kernel.ts";
import type { Attack } from "./attack.ts";
import type { AttackLab } from "./attack-lab.ts";
import type { Hole } from "./holes.ts";

/** They show nothing here that others do not, and take long. */
const SLOW = [
  "connection-table.py",
  "dns-flood.py",
  "dns-forgery.py",
  "odd-sockets.py",
  "user-namespaces.py",
];
const ALLOWED = [
  "tcp,good.test,80",
  "tcp,198.18.1.1,80",
  "udp,198.18.1.1,9000",
  "tcp,2001:2::aaaa,80",
  "udp,2001:2::aaaa,9000",
  "tcp,six.wild.test,80",
];
const COUNTERS = [
  ...["allowed", "refused_blocked", "refused_denied", "refused_private"],
  ...["logged_allowed", "logged_blocked", "logged_denied", "logged_private"],
];
/** What the deny sets hold for the length of one check. */
const DENIED = [
  ["deny_v4", "198.18.1.1"],
  ["deny_v6", "2001:2::aaaa"],
] as const;

/** Rules that are missed by nobody here, each by a part of its text, and why. */
const NOT_MISSED: readonly { readonly chain: string; readonly rule: string; readonly because: string }[] = [];

/** Takes away one rule of the running shield after the other. */
export async function* makeRuleHoles(attackLab: AttackLab, attacks: readonly Attack[]): AsyncGenerator<Hole> {
  for (const { prepare } of attacks) await prepare?.(attackLab);
  await attackLab.lab.internet.setName("six.wild.test", { addresses: ["2001:2::21"] });
  const kernel = await openKernel(attackLab.lab, "target");
  const check = { attackLab, kernel, attacks: attacks.filter(({ program }) => !SLOW.includes(program)) };
  const before = await findRed(check);
  if (before !== undefined) throw new Error(`Without a hole this is red already: ${before}`);
  for (const { chain, text } of await rulesOf(kernel)) {
    // Handles are new after each repair.
    const rule = (await rulesOf(kernel)).find((now) => now.chain === chain && now.text === text);
    if (rule === undefined) throw new Error(`The rule is not there after a repair: ${text}`);
    await kernel.nft("delete", "rule", "inet", "terok_shield", chain, "handle", String(rule.handle));
    const foundBy = await findRed(check);
    const { because } = NOT_MISSED.find((known) => known.chain === chain && text.includes(known.rule)) ?? {};
    yield { what: `${chain}: \`${text}\``, foundBy, because };
    await attackLab.target.mustShield("up", "--repair");
  }
}

interface Rule {
  readonly chain: string;
  readonly handle: number;
  readonly text: string;
}

async function rulesOf(kernel: Kernel): Promise<Rule[]> {
  const listing = await kernel.nft("-a", "-s", "list", "table", "inet", "terok_shield");
  const rules: Rule[] = [];
  let chain = "";
  for (const line of listing.split("\n")) {
    chain = /^\tchain (\S+) /.exec(line)?.[1] ?? chain;
    const found = /^\t\t(.+) # handle (\d+)$/.exec(line);
    if (found !== null && chain !== "") rules.push({ chain, handle: Number(found[2]), text: found[1] ?? "" });
  }
  return rules;
}

interface Check {
  readonly attackLab: AttackLab;
  readonly kernel: Kernel;
  readonly attacks: readonly Attack[];
}

/** The first check that fails, cheap ones first. */
async function findRed(check: Check): Promise<string | undefined> {
  const counted = await countersOf(check.kernel);
  return (
    (await findClosed(check)) ??
    (await findDenied(check)) ??
    (await findMissingNeighbours(check)) ??
    (await findCountedTwice(check)) ??
    (await findStill(check, counted)) ??
    (await findSucceeding(check)) ??
    (await findDrowned(check))
  );
}

async function findClosed({ attackLab: { target } }: Check): Promise<string | undefined> {
  const outcomes = await target.client.attempt(...ALLOWED);
  const closed = outcomes.findIndex((outcome) => outcome !== "answered");
  return closed < 0 ? undefined : `control: ${ALLOWED[closed]} gives ${outcomes[closed]}`;
}

/** What is denied is closed, for live connections too. Without the cli, which would mend the hole. */
async function findDenied({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  for (const [set, address] of DENIED) {
    const flow = await target.client.open("echo", `tcp,${address},9000`);
    const element = ["element", "inet", "terok_shield", set, `{ ${address} }`];
    await kernel.nft("add", ...element);
    try {
      const { reason } = await flow.ended(3000).catch(() => ({ reason: "nothing" }));
      if (reason !== "ECONNRESET") return `deny: a live connection to ${address} ends by ${reason}`;
      const [outcome = ""] = await target.client.attempt(`tcp,${address},80`);
      if (outcome === "answered" || outcome === "silence") return `deny: ${address} gives ${outcome}`;
    } finally {
      await flow.close();
      await kernel.nft("delete", ...element);
    }
  }
  return undefined;
}

/** Without neighbours in the cache, IPv6 has to find them again. */
async function findMissingNeighbours({ attackLab: { lab, target } }: Check): Promise<string | undefined> {
  const pid = (await lab.user.mustRun("podman", ["inspect", "--format", "{{.State.Pid}}", "target"])).trim();
  const enter = ["-t", pid, "--user", "--net", "--preserve-credentials"];
  await lab.user.run("nsenter", [...enter, "ip", "-6", "neigh", "flush", "all"]);
  const [outcome] = await target.client.attempt("tcp,2001:2::aaaa,80");
  return outcome === "answered" ? undefined : "control: IPv6 from an empty neighbour cache";
}

/** A connection counts once, however much it carries. */
async function findCountedTwice({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  for (const flowTo of ["tcp,198.18.1.1,9000", "tcp,good.test,9000"]) {
    const counted = (await countersOf(kernel)).get("allowed") ?? 0;
    const flow = await target.client.open("echo", flowTo);
    await flow.goesOn();
    await flow.close();
    const more = ((await countersOf(kernel)).get("allowed") ?? 0) - counted;
    if (more !== 1) return `control: a connection to ${flowTo} counts as ${more > 1 ? "many" : "none"}`;
  }
  return undefined;
}

async function findSucceeding({ attackLab, attacks }: Check): Promise<string | undefined> {
  const began = new Date().toISOString();
  for (const place of ["shielded", "armed"] as const) {
    const specified = attacks.flatMap((attack) => {
      const expected = attack[place];
      return expected === undefined ? [] : [{ ...attack, expected }];
    });
    const course = await attackLab.attackAll(place, specified);
    const suffix = place === "armed" ? ", armed" : "";
    for (const { program, expected } of specified) {
      const name = program.replace(".py", "");
      for (const [step, outcome] of Object.entries(expected.steps)) {
        const seen = course.steps[`${program}: ${step}`];
        if (seen !== outcome) return `\`${name}\`${suffix}: ${step} gives ${seen}`;
      }
    }
    for (const kind of ["left", "asked"] as const) {
      const usual = new Set(specified.flatMap(({ expected }) => expected[kind] ?? []));
      const more = course[kind].find((one) => !usual.has(one));
      if (more !== undefined) return `the tap${suffix}: ${more} got out`;
    }
  }
  const refusals = attacks.flatMap(({ shielded, armed }) => [
    ...(shielded.refusals ?? []),
    ...(armed?.refusals ?? []),
  ]);
  const told = await attackLab.refusals(began).catch((): string[] => []);
  const untold = refusals.find((refusal) => !told.includes(refusal));
  return untold === undefined ? undefined : `the log: nothing of ${untold}`;
}

/** What was let through and what was refused is counted, and a sample of it told to the log. */
async function findStill(
  { attackLab: { target }, kernel }: Check,
  counted: ReadonlyMap<string, number>,
): Promise<string | undefined> {
  await target.client.attempt("tcp,198.18.66.66,80", "tcp,10.77.0.7,80");
  const now = await countersOf(kernel);
  const still = COUNTERS.find((name) => now.get(name) === counted.get(name));
  return still === undefined ? undefined : `the counter ${still} stands still`;
}

async function findDrowned({ attackLab, kernel }: Check): Promise<string | undefined> {
  const counted = (await countersOf(kernel)).get("refused_queries");
  const { steps } = await attackLab.attack("shielded", "dns-flood.py");
  const { attack } = (await import("./dns-flood.attack.ts")) as { attack: Attack };
  if (!isDeepStrictEqual(steps, attack.shielded.steps)) {
    const [step] =
      Object.entries(attack.shielded.steps).find(([name, outcome]) => steps[name] !== outcome) ?? [];
    return `\`dns-flood\`: ${step} gives ${step === undefined ? "nothing" : steps[step]}`;
  }
  const isCounted = (await countersOf(kernel)).get("refused_queries") !== counted;
  return isCounted ? undefined : "the counter refused_queries stands still";
}

/** Packets of each counter. */
async function countersOf(kernel: Kernel): Promise<Map<string, number>> {
  const { nftables } = JSON.parse(await kernel.nft("-j", "list", "counters")) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
}
