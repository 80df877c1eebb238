/**
 * Makes holes in a running shield, one at a time, and says which attack finds each: the proof that the attacks would
 * notice. Run by `pnpm attack:holes [CHAIN…]`, which takes minutes. Exit code 1 where a hole is found by none.
 */
import { readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { installShield } from "../src/lab/install-shield.ts";
import { type Kernel, openKernel } from "../tests/kernel.ts";
import type { Attack } from "./attack.ts";
import { type AttackLab, createAttackLab } from "./attack-lab.ts";

interface Rule {
  readonly chain: string;
  readonly handle: number;
  readonly text: string;
}

/** They show nothing here that others do not, and take long. */
const SLOW = [
  "connection-table.py",
  "user-namespaces.py",
  "helpers.py",
  "audit-log.py",
  "netlink.py",
  "packet-sockets.py",
];
const ALLOWED = [
  "tcp,good.test,80",
  "tcp,198.18.1.1,80",
  "udp,198.18.1.1,9000",
  "tcp,2001:2::aaaa,80",
  "udp,2001:2::aaaa,9000",
];
const COUNTERS = [
  ...["allowed", "refused_blocked", "refused_denied", "refused_private", "logged_denied"],
  ...["dns_asked", "dns_answered", "dns_missing", "dns_refused"],
];
const DENIED = [
  ["deny_v4", "198.18.1.1"],
  ["deny_v6", "2001:2::aaaa"],
] as const;

const attacks = await Promise.all(
  readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith(".attack.ts"))
    .map(async (name) => ((await import(`./${name}`)) as { attack: Attack }).attack),
);
const installed = await installShield();
const lab = await createAttackLab(installed.prefix);
let missed = 0;
try {
  for (const { prepare } of attacks) await prepare?.(lab);
  const kernel = await openKernel(lab.lab, "target");
  const before = await findRed(lab, kernel);
  if (before !== undefined) throw new Error(`Without a hole this is red already: ${before}`);
  process.stdout.write("| Chain | Rule that was taken away | Found by |\n| --- | --- | --- |\n");
  const chains = process.argv.slice(2);
  for (const wanted of await rulesOf(kernel)) {
    if (chains.length > 0 && !chains.includes(wanted.chain)) continue;
    // Handles are new after each repair.
    const rule = (await rulesOf(kernel)).find(
      ({ chain, text }) => chain === wanted.chain && text === wanted.text,
    );
    if (rule === undefined) throw new Error(`The rule is not there after a repair: ${wanted.text}`);
    await kernel.nft("delete", "rule", "inet", "terok_shield", rule.chain, "handle", String(rule.handle));
    const red = await findRed(lab, kernel);
    if (red === undefined) missed += 1;
    process.stdout.write(`| ${rule.chain} | \`${rule.text}\` | ${red ?? "**none**"} |\n`);
    await lab.target.mustShield("up", "--repair");
  }
} finally {
  await lab.destroy();
  await installed.remove();
}
process.exitCode = missed === 0 ? 0 : 1;

async function rulesOf(kernel: Kernel): Promise<Rule[]> {
  const listing = await kernel.nft("-a", "list", "table", "inet", "terok_shield");
  const rules: Rule[] = [];
  let chain = "";
  for (const line of listing.split("\n")) {
    chain = /^\tchain (\S+) /.exec(line)?.[1] ?? chain;
    const found = /^\t\t(.+) # handle (\d+)$/.exec(line);
    if (found !== null && chain !== "") rules.push({ chain, handle: Number(found[2]), text: found[1] ?? "" });
  }
  return rules;
}

/** The first check that fails, cheap ones first. */
async function findRed(attackLab: AttackLab, kernel: Kernel): Promise<string | undefined> {
  const { target } = attackLab;
  const counted = await countersOf(kernel);
  const seen = await target.client.attempt(...ALLOWED);
  if (seen.some((outcome) => outcome !== "answered"))
    return `control: ${ALLOWED[seen.findIndex((o) => o !== "answered")]}`;
  const early =
    (await findDenied(attackLab, kernel)) ??
    (await findMissingNeighbours(attackLab)) ??
    (await findCountedTwice(attackLab, kernel));
  if (early !== undefined) return early;
  for (const { program, args, shielded, armed } of attacks.filter(({ program }) => !SLOW.includes(program))) {
    for (const [place, { steps, left = [], asked = [], refusals = [] }] of Object.entries({
      shielded,
      armed,
    }).flatMap(([place, expected]) =>
      expected === undefined ? [] : [[place as "shielded" | "armed", expected] as const],
    )) {
      const course = await attackLab.attack(place, program, args);
      const what = `${program.replace(".py", "")}${place === "armed" ? " (armed)" : ""}`;
      if (course.left.length > left.length)
        return `${what}: ${course.left.find((packet) => !left.includes(packet))} got out`;
      if (!isDeepStrictEqual(course.asked, [...asked]))
        return `${what}: ${course.asked.join(" ")} was asked for`;
      if (!isDeepStrictEqual(course.steps, steps)) return `${what}: another outcome is seen`;
      const logged = refusals.length === 0 ? [] : await attackLab.refusals().catch(() => []);
      if (refusals.some((refusal) => !logged.includes(refusal))) return `${what}: the log is silent`;
    }
  }
  const now = await countersOf(kernel);
  const still = COUNTERS.find((name) => now.get(name) === counted.get(name));
  return still === undefined ? undefined : `counter ${still} stands still`;
}

/** A connection counts once, however much it carries. */
async function findCountedTwice({ target }: AttackLab, kernel: Kernel): Promise<string | undefined> {
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

/** Packets of each counter. */
async function countersOf(kernel: Kernel): Promise<Map<string, number>> {
  const { nftables } = JSON.parse(await kernel.nft("-j", "list", "counters")) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
}

/** What is denied is closed, for live connections too. Without the cli, which would mend the hole. */
async function findDenied({ target }: AttackLab, kernel: Kernel): Promise<string | undefined> {
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
async function findMissingNeighbours({ lab, target }: AttackLab): Promise<string | undefined> {
  const pid = (await lab.user.mustRun("podman", ["inspect", "--format", "{{.State.Pid}}", "target"])).trim();
  await lab.user.run("nsenter", [
    "-t",
    pid,
    "--user",
    "--net",
    "--preserve-credentials",
    "ip",
    "-6",
    "neigh",
    "flush",
    "all",
  ]);
  const [outcome] = await target.client.attempt("tcp,2001:2::aaaa,80");
  return outcome === "answered" ? undefined : "control: IPv6 from an empty neighbour cache";
}
