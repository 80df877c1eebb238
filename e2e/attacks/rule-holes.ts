import { type Kernel, openKernel } from "../tests/kernel.ts";
import type { Attack } from "./attack.ts";
import type { AttackLab } from "./attack-lab.ts";
import { type Decided, decide } from "./decision-holes.ts";
import { type Check, countersOf, findBorrowed, findMiscounted } from "./hole-check.ts";
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
  "tcp,198.18.1.2,80",
  "tcp,2001:2::bbbb,80",
  "tcp,v4only.test,80",
  "tcp,v6only.test,80",
];
const COUNTERS = [
  ...["allowed", "refused_blocked", "refused_denied", "refused_private"],
  ...["logged_allowed", "logged_blocked", "logged_denied", "logged_private"],
  ...["dns_asked", "dns_answered", "dns_missing", "dns_refused"],
];
/** What the deny sets hold for the length of one check. */
const DENIED = [
  ["deny_v4", "198.18.1.1"],
  ["deny_v6", "2001:2::aaaa"],
] as const;

/** A server on the internet that answers one datagram with many. */
const TALKER = `
import socket, threading, time
def talk(family, address):
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.setsockopt(0 if family == socket.AF_INET else 41, 15 if family == socket.AF_INET else 78, 1)
    server.bind((address, 9100))
    while True:
        _, sender = server.recvfrom(64)
        for _ in range(200):
            server.sendto(b"x", sender)
            time.sleep(0.02)
for family, address in ((socket.AF_INET, "198.18.1.1"), (socket.AF_INET6, "2001:2::aaaa")):
    threading.Thread(target=talk, args=(family, address)).start()
print("ready", flush=True)
`;

/** Rules that are missed by nobody here, each by a part of its text, and why. */
const NOT_MISSED: readonly { readonly chain: string; readonly rule: string; readonly because: string }[] = [
  {
    chain: "output",
    rule: "ct direction reply ct state established,related ct mark 0x7e530003 accept",
    because:
      "is for who comes in over the wire by a published port, as with pasta; slirp4netns brings them by loopback",
  },
  {
    chain: "input",
    rule: "tcp dport 8080 ct state new",
    because:
      "is for who comes in over the wire by a published port, as with pasta; slirp4netns brings them by loopback",
  },
  {
    chain: "output",
    rule: 'oifname "lo" tcp sport 8080 goto refuse_blocked',
    because: "closes the way back from a published port, and the way there is closed, too",
  },
];

/** Takes away one rule of the running shield after the other. */
export async function* makeRuleHoles(attackLab: AttackLab, attacks: readonly Attack[]): AsyncGenerator<Hole> {
  for (const { prepare } of attacks) await prepare?.(attackLab);
  const { internet, root } = attackLab.lab;
  await internet.setName("six.wild.test", { addresses: ["2001:2::21"] });
  const talker = await root.spawn("nsenter", ["--net=/run/lab/internet", "python3", "-c", TALKER]);
  await talker.waitForOutput("ready");
  const kernel = await openKernel(attackLab.lab, "target");
  const check = { attackLab, kernel, attacks: attacks.filter(({ program }) => !SLOW.includes(program)) };
  const seen = new Set<string>();
  let decided: Decided | undefined;
  for (const { mode, isDecided = false, skipped, find: findIn } of PHASES) {
    if (isDecided) decided ??= await decide(attackLab);
    const find = (given: Check) => findIn(given, decided);
    const enterMode = async () => {
      const [verb, ...words] = mode;
      await attackLab.target.mustShield("up", "--repair");
      if (verb === undefined) return;
      await attackLab.target.client.attempt(...LEARNED.map(([name]) => `tcp,${name},80`));
      await decided?.learn();
      await attackLab.target.mustShield(verb, ...words);
    };
    await enterMode();
    const before = await find(check);
    if (before !== undefined) throw new Error(`Without a hole this is red already: ${before}`);
    for (const { chain, text } of await rulesOf(kernel)) {
      const what = `${chain}: \`${text}\``;
      if (skipped?.test(what) === true || seen.has(what)) continue;
      seen.add(what);
      // Handles are new after each repair.
      const rule = (await rulesOf(kernel)).find((now) => now.chain === chain && now.text === text);
      if (rule === undefined) throw new Error(`The rule is not there after a repair: ${text}`);
      await kernel.nft("delete", "rule", "inet", "terok_shield", chain, "handle", String(rule.handle));
      const foundBy = await find(check);
      const { because } =
        NOT_MISSED.find((known) => known.chain === chain && text.includes(known.rule)) ?? {};
      const where = [
        ...(isDecided ? ["with decisions"] : []),
        ...(mode.length > 0 ? [`in ${mode.join(" ")}`] : []),
      ];
      yield { what: [what, ...where].join(", "), foundBy, because };
      await enterMode();
    }
  }
}

/** Names that are asked for before bypass, and their addresses. */
const LEARNED = [
  ["good.test", "198.18.0.10"],
  ["six.wild.test", "2001:2::21"],
  ["v4only.test", "198.18.0.13"],
  ["v6only.test", "2001:2::14"],
] as const;
/** What their answers could say, too. */
const PRIVATE = [
  ["kept_v4", "10.77.0.7"],
  ["kept_v6", "fd77::7"],
] as const;

/** Nothing leads there but bypass. */
const NO_WAY = /^admit_bypass:/;
/** Whoever would be asked is not there yet. */
const GRANTED = /dport (?:7000|8080) /;

/** Rules that are the same in a later phase are taken away in the first alone. */
const PHASES: readonly {
  readonly mode: readonly string[];
  readonly isDecided?: boolean;
  readonly skipped?: RegExp;
  find(check: Check, decided: Decided | undefined): Promise<string | undefined>;
}[] = [
  { mode: [], skipped: new RegExp(`${NO_WAY.source}|${GRANTED.source}`), find: findRed },
  { mode: ["down"], skipped: GRANTED, find: (check) => findRedInBypass(check, "EHOSTUNREACH") },
  { mode: ["down", "--all"], skipped: GRANTED, find: (check) => findRedInBypass(check, "answered") },
  {
    mode: [],
    isDecided: true,
    skipped: NO_WAY,
    find: async (check, decided) => (await findClosed(check)) ?? (await decided?.findInForce(check)),
  },
  ...([["EHOSTUNREACH"], ["answered", "--all"]] as const).map(([privateOutcome, ...all]) => ({
    mode: ["down", ...all, "--for", "1h"],
    isDecided: true,
    find: async (check: Check, decided: Decided | undefined) =>
      (await findRedInBypass(check, privateOutcome)) ?? (await decided?.findInBypass(check)),
  })),
  { mode: ["block"], isDecided: true, find: async (check, decided) => decided?.findInBlock(check) },
];

interface Rule {
  readonly chain: string;
  readonly handle: number;
  readonly text: string;
}

/** Marks carry how often the names were forgotten. */
const GENERATION = /(0x7e5[12])[0-9a-f]{4}/g;

async function rulesOf(kernel: Kernel): Promise<Rule[]> {
  const listing = await kernel.nft("-a", "-s", "list", "table", "inet", "terok_shield");
  const rules: Rule[] = [];
  let chain = "";
  for (const line of listing.split("\n")) {
    chain = /^\tchain (\S+) /.exec(line)?.[1] ?? chain;
    const found = /^\t\t(.+) # handle (\d+)$/.exec(line);
    if (found === null || chain === "") continue;
    rules.push({ chain, handle: Number(found[2]), text: (found[1] ?? "").replaceAll(GENERATION, "$1…") });
  }
  return rules;
}

/** The first check that fails, cheap ones first. */
async function findRed(check: Check): Promise<string | undefined> {
  const counted = await countersOf(check.kernel);
  return (
    (await findClosed(check)) ??
    (await findDenied(check)) ??
    (await findForgotten(check)) ??
    (await findReserved(check)) ??
    (await findMissingNeighbours(check)) ??
    (await findCountedTwice(check)) ??
    (await findStill(check, counted)) ??
    (await findSucceeding(check)) ??
    (await findTalking(check)) ??
    (await findBorrowed(check, "six.wild.test", ["2001:2::21", "7778"])) ??
    (await findDrowned(check))
  );
}

/** In bypass everything is open but what is denied, and private networks as it was said. */
async function findRedInBypass(check: Check, privateOutcome: string): Promise<string | undefined> {
  const { client } = check.attackLab.target;
  const opened = ["tcp,evil.test,80", "tcp,198.18.66.66,80", "udp,198.18.66.66,9000", "tcp,2001:2::6666,80"];
  const outcomes = await client.attempt(...opened, "tcp,10.77.0.7,80", "tcp,fd77::7,80");
  const expected = [
    ...opened.map(() => "answered"),
    privateOutcome,
    privateOutcome === "answered" ? "answered" : "ECONNREFUSED",
  ];
  const other = outcomes.findIndex((outcome, index) => outcome !== expected[index]);
  if (other >= 0)
    return `bypass: ${[...opened, "tcp,10.77.0.7,80", "tcp,fd77::7,80"][other]} gives ${outcomes[other]}`;
  const bypassed = await findMiscounted(check, "tcp,198.18.66.66,80", ["bypassed", "logged_bypass"]);
  if (bypassed !== undefined) return `bypass: ${bypassed}`;
  for (const [, address] of LEARNED) {
    const wrong = await findMiscounted(check, `tcp,${address},80`, ["allowed"]);
    if (wrong !== undefined) return `bypass: ${wrong}`;
  }
  for (const [set, address] of privateOutcome === "answered" ? PRIVATE : []) {
    const element = ["element", "inet", "terok_shield", set, `{ ${address} }`];
    await check.kernel.nft("add", ...element);
    const wrong = await findMiscounted(check, `tcp,${address},80`, ["bypassed"]);
    await check.kernel.nft("delete", ...element);
    if (wrong !== undefined) return `bypass: ${wrong}`;
  }
  return (await findClosed(check)) ?? (await findDenied(check));
}

async function findClosed({ attackLab: { target } }: Check): Promise<string | undefined> {
  const outcomes = await target.client.attempt(...ALLOWED);
  const closed = outcomes.findIndex((outcome) => outcome !== "answered");
  return closed < 0 ? undefined : `control: ${ALLOWED[closed]} gives ${outcomes[closed]}`;
}

/** What is denied is closed, for live connections too. Without the cli, which would mend the hole. */
async function findDenied({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  for (const [set, address] of DENIED) {
    // It only listens.
    const flow = await target.client.open("stream", `tcp,${address},80`);
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

async function findCountedTwice(check: Check): Promise<string | undefined> {
  for (const flowTo of ["tcp,198.18.1.1,80", "tcp,good.test,80"]) {
    const wrong = await findMiscounted(check, flowTo, ["allowed", "logged_allowed"]);
    if (wrong !== undefined) return `control: ${wrong}`;
  }
  return undefined;
}

/** A connection to an address that DNS opened goes on after the address is forgotten. */
async function findForgotten({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  const flow = await target.client.open("idle", "tcp,good.test,9000");
  try {
    await kernel.nft("flush", "set", "inet", "terok_shield", "dns_v4");
    const outcome = await flow.say();
    return outcome === "answered" ? undefined : `control: a silent connection to good.test gives ${outcome}`;
  } finally {
    await flow.close();
  }
}

/** An entry for private networks does not open podman's own, and an answer of DNS opens none. */
async function findReserved({ attackLab: { target }, kernel }: Check): Promise<string | undefined> {
  for (const [set, range, targetInIt] of [
    ["allow_v4", "10.0.0.0/8", "udp,10.0.2.2,9000"],
    ["allow_v6", "fd00::/16", "udp,fd00::2,9000"],
    ["dns_v4", "10.77.0.7", "udp,10.77.0.7,9000"],
    ["dns_v6", "fd77::7", "udp,fd77::7,9000"],
  ] as const) {
    const element = ["element", "inet", "terok_shield", set, `{ ${range} }`];
    await kernel.nft("add", ...element);
    const [outcome] = await target.client.attempt(targetInIt);
    await kernel.nft("delete", ...element);
    if (outcome !== "EPERM") return `${range} in ${set} opens ${targetInIt}: ${outcome}`;
  }
  return undefined;
}

async function findSucceeding({ attackLab, attacks }: Check): Promise<string | undefined> {
  const began = new Date().toISOString();
  for (const place of ["shielded", "armed"] as const) {
    const specified = attacks.flatMap((attack) => {
      const expected = attack[place];
      return expected === undefined ? [] : [{ ...attack, expected, steps: expected.steps }];
    });
    const course = await attackLab.attackAll(place, specified);
    const suffix = place === "armed" ? ", armed" : "";
    for (const { program, steps } of specified) {
      const name = program.replace(".py", "");
      for (const [step, outcome] of Object.entries(steps)) {
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
  if (untold !== undefined) return `the log: nothing of ${untold}`;
  // What the kernel reports of multicast groups by itself.
  const invented = told.find((refusal) => refusal.includes("ff02::16"));
  return invented === undefined ? undefined : `the log: ${invented}, which nobody sent`;
}

/** What was let through and what was refused is counted, and a sample of it told to the log. */
async function findStill(
  { attackLab: { target }, kernel }: Check,
  counted: ReadonlyMap<string, number>,
): Promise<string | undefined> {
  await target.client.attempt("tcp,198.18.66.66,80", "tcp,10.77.0.7,80");
  for (const name of ["good.test", "nowhere.wild.test", "evil.test"]) await target.client.resolve(name);
  const now = await countersOf(kernel);
  const still = COUNTERS.find((name) => now.get(name) === counted.get(name));
  return still === undefined ? undefined : `the counter ${still} stands still`;
}

/** A denied server that goes on talking is not heard. */
async function findTalking({ attackLab, kernel }: Check): Promise<string | undefined> {
  for (const [set, address] of DENIED) {
    const element = ["element", "inet", "terok_shield", set, `{ ${address} }`];
    const { steps } = await attackLab.attack("shielded", "talker.py", [address], async () => {
      await kernel.nft("add", ...element);
    });
    await kernel.nft("delete", ...element);
    if (steps["at first"] !== "heard") return `control: the talker at ${address} gives ${steps["at first"]}`;
    if (steps.afterwards !== "silence") return `deny: ${address} is still heard over UDP`;
  }
  return undefined;
}

async function findDrowned({ attackLab, kernel }: Check): Promise<string | undefined> {
  const { attack } = (await import("./dns-flood.attack.ts")) as { attack: Attack };
  for (const only of ["queries", "connections"]) {
    const counted = (await countersOf(kernel)).get("refused_queries");
    const { steps } = await attackLab.attack("shielded", "dns-flood.py", [only]);
    for (const [step, outcome] of Object.entries(steps)) {
      if (outcome !== attack.shielded.steps[step]) return `\`dns-flood\`: ${step} gives ${outcome}`;
    }
    const now = (await countersOf(kernel)).get("refused_queries");
    if (now === counted) return `the counter refused_queries stands still in a flood of ${only}`;
  }
  return undefined;
}
