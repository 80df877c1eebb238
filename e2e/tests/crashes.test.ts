import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type FaultInjector,
  type FaultKind,
  type FaultPoint,
  faultsAt,
  prepareFaults,
} from "../src/lab/fault-points.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { installedShield } from "./installed-shield.ts";
import { openKernel } from "./kernel.ts";
import { all, startShielded } from "./shielded-container.ts";

const PROFILE = "good.test\n198.18.1.1\n";

/** Decided, and acknowledged, before anything is killed. */
const ALLOWED = ["198.18.2.2", "2001:2:0:2::2", "kept.test"];
const DENIED = ["198.18.9.9", "2001:2:0:9::9", "10.77.0.7", "denied.test"];

const OPEN = ["tcp,198.18.1.1,80", "tcp,198.18.2.2,80", "tcp,2001:2:0:2::2,80"];
const CLOSED = ["tcp,198.18.9.9,80", "tcp,2001:2:0:9::9,80", "tcp,10.77.0.7,80"];
const UNLISTED = ["tcp,198.18.66.66,80", "tcp,2001:2::6666,80"];

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "kept.test": ["198.18.0.2", "2001:2:0:2::"],
  "denied.test": ["198.18.0.9", "2001:2:0:9::"],
  "plain.test": ["198.18.20.2", "2001:2:0:20::2"],
  "ports.test": ["198.18.20.3", "2001:2:0:20::3"],
};

const PLAIN = ["198.18.20.1", "plain.test"];
const PLAIN_PROBES = ["tcp,198.18.20.1,80", "tcp,plain.test,80"];
const PORTS = ["198.18.20.1:80", "ports.test:80"];
const PORTS_PROBES = ["tcp,198.18.20.1,80", "tcp,ports.test,80"];
/** The other ports of what is allowed with a port. */
const OTHER_PORTS = ["tcp,198.18.20.1,443", "tcp,198.18.20.3,443", "tcp,2001:2:0:20::3,443"];

/** What state.json holds of interest here. */
interface State {
  readonly revision: number;
  readonly decisions: readonly { readonly verdict: "allow" | "deny"; readonly entry: string }[];
  readonly mode: { readonly kind: string };
}

const isAllowed = ({ decisions }: State) =>
  decisions.some(({ verdict, entry }) => verdict === "allow" && entry.startsWith("198.18.20.1"));
const isDown = ({ mode }: State) => mode.kind === "down";

function stage(file: string): string[] {
  return ["open", "chmod", "writeFile", "sync"].map((verb) => `${verb} ${file}.new`);
}

/** Everything is on disk under other names before the first file gets its own. */
function write(...files: readonly string[]): string[] {
  return [...files.flatMap(stage), ...files.map((file) => `rename ${file}.new`)];
}

const LOCK = "flock --exclusive --conflict-exit-code=75 --nonblock 3";
const LIST = "nft -j list ruleset";
const LOAD = "nft -f -";
const LOAD_AND_LIST = `sh -c "$0" -f - && exec "$0" -j list ruleset nft`;
const BUNDLE = ["state.json", "ruleset.nft", "listing.json", "bundle.json"];
const BUNDLE_WITH_NAMES = ["state.json", "ruleset.nft", "listing.json", "dns-servers", "bundle.json"];
const BUNDLE_WITH_SCOPES = BUNDLE_WITH_NAMES.toSpliced(3, 0, "dnsmasq.conf");
const CONFIRM = ["rm", "open", "writeFile", "rename"].map((act) => `hook: ${act} dns-servers.confirmed.new`);
const RELOAD = [
  ...["node terok-shield-hook.cjs reloadResolver BUNDLE", "hook: SIGHUP"],
  ...[...CONFIRM, "hook: standard output"],
];
const END_RESOLVER = "hook: SIGTERM";
const RESTART = [
  ...["node terok-shield-hook.cjs restartResolver BUNDLE", "hook: dnsmasq --test --conf-file=dnsmasq.conf"],
  ...[END_RESOLVER, "hook: rm dns-servers.confirmed", "hook: rm dnsmasq.pid"],
  "hook: setpriv --bounding-set=-all,+net_admin,+net_bind_service,+setuid,+setgid,+setpcap --inh-caps=-all dnsmasq --conf-file=dnsmasq.conf",
  ...[...CONFIRM, "hook: standard output"],
];

interface Command {
  readonly verb: string;
  readonly options: readonly string[];
  /** Whether the probes are open when it begins, and what takes them there. */
  readonly begins: "open" | "refused";
  readonly undo: readonly [string, ...string[]];
  /** What it does to the world, in order. */
  readonly points: readonly string[];
}

interface Campaign {
  readonly container: string;
  readonly probes: readonly string[];
  /** Whether the probes are open by a state. */
  readonly isOpen: (state: State) => boolean;
  /** Refused all the time, besides CLOSED. */
  readonly closed?: readonly string[];
  readonly commands: readonly Command[];
}

const CAMPAIGNS: readonly Campaign[] = [
  {
    container: "names",
    ...{ probes: PLAIN_PROBES, isOpen: isAllowed, closed: UNLISTED },
    commands: [
      {
        ...{ verb: "allow", options: PLAIN, begins: "refused", undo: ["deny", ...PLAIN] },
        points: [
          ...[LOCK, ...write(...BUNDLE_WITH_NAMES), "sync BUNDLE"],
          ...[LOAD_AND_LIST, ...write("dns-servers.active"), ...RELOAD],
          ...["appendFile audit.jsonl", "appendFile audit.jsonl", "standard output"],
        ],
      },
      {
        ...{ verb: "deny", options: PLAIN, begins: "open", undo: ["allow", ...PLAIN] },
        points: [
          ...[LOCK, ...write(...BUNDLE_WITH_NAMES), "sync BUNDLE"],
          ...[...write("dns-servers.active"), ...RELOAD, LIST, LOAD, LOAD_AND_LIST, LIST],
          ...["appendFile audit.jsonl", "appendFile audit.jsonl", "standard output"],
        ],
      },
    ],
  },
  {
    container: "ports",
    ...{ probes: PORTS_PROBES, isOpen: isAllowed, closed: [...UNLISTED, ...OTHER_PORTS] },
    commands: [
      {
        ...{ verb: "allow", options: PORTS, begins: "refused", undo: ["deny", ...PORTS] },
        points: [
          ...[LOCK, ...write(...BUNDLE_WITH_SCOPES), "sync BUNDLE"],
          ...[LOAD_AND_LIST, ...write("dns-servers.active"), ...RESTART],
          ...["appendFile audit.jsonl", "appendFile audit.jsonl", "standard output"],
        ],
      },
      {
        ...{ verb: "deny", options: PORTS, begins: "open", undo: ["allow", ...PORTS] },
        points: [
          ...[LOCK, ...write(...BUNDLE_WITH_SCOPES), "sync BUNDLE"],
          ...["SIGKILL", LIST, LOAD_AND_LIST, ...write("dns-servers.active")],
          ...[...RESTART.filter((point) => point !== END_RESOLVER), LIST],
          ...["appendFile audit.jsonl", "appendFile audit.jsonl", "standard output"],
        ],
      },
    ],
  },
  {
    container: "modes",
    ...{ probes: UNLISTED, isOpen: isDown },
    commands: [
      {
        ...{ verb: "down", options: ["--for", "1h"], begins: "refused", undo: ["up"] },
        points: [
          ...[LOCK, ...write(...BUNDLE), "sync BUNDLE"],
          'sh -c sleep "$2" && exec "$3" "$4" --state-dir "$5" expire "$6" terok-shield-timer BUNDLE 3600 node terok-shield.cjs shield BUNDLE',
          ...[LIST, LOAD_AND_LIST, ...write("dns-servers.active"), ...RELOAD],
          ...["appendFile audit.jsonl", "standard output"],
        ],
      },
      {
        ...{ verb: "up", options: [], begins: "open", undo: ["down", "--for", "1h"] },
        points: [
          ...[LOCK, ...write(...BUNDLE), "sync BUNDLE", "SIGTERM"],
          ...[...write("dns-servers.active"), ...RELOAD, LIST, LOAD_AND_LIST, LIST],
          ...["appendFile audit.jsonl", "standard output"],
        ],
      },
    ],
  },
  {
    container: "repair",
    ...{ probes: UNLISTED, isOpen: isDown },
    commands: [
      {
        ...{ verb: "up", options: ["--repair"], begins: "refused", undo: ["up"] },
        points: [
          ...[LOCK, ...write(...BUNDLE), "sync BUNDLE"],
          ...[LIST, LOAD_AND_LIST, ...RESTART, LIST],
          ...["appendFile audit.jsonl", "standard output"],
        ],
      },
    ],
  },
];

const REFUSED = new Set(["EHOSTUNREACH", "ECONNREFUSED", "ECONNRESET"]);

/** What comes after a command that was killed, in turn: each repairs, whatever else it does. */
const NEXT = [
  ["allow", "198.18.2.2"],
  ["up", "--repair"],
] as const;

describe("a command that is killed at any point opens nothing and loses nothing, and the next one repairs", () => {
  let lab: Lab;
  let faults: FaultInjector;
  beforeAll(async () => {
    lab = await createLab({ shieldPrefix: installedShield() });
    for (const [name, addresses] of Object.entries(NAMES)) await lab.internet.setName(name, { addresses });
    faults = await prepareFaults(lab);
  });
  afterAll(() => lab?.destroy());

  test.concurrent.for(CAMPAIGNS)("$container", { timeout: 1_500_000 }, async (campaign) => {
    const { container, commands } = campaign;
    const web = await startShielded(lab, container, PROFILE);
    await web.mustShield("allow", ...ALLOWED);
    await web.mustShield("deny", ...DENIED);
    const kernel = await openKernel(lab, container);
    const bundle = lab.path(`${lab.user.home}/.local/state/terok/shield/containers/${container}`);
    const readStateText = () => readFile(`${bundle}/state.json`, "utf8");
    const readState = async (): Promise<State> => JSON.parse(await readStateText());
    const closed = [...CLOSED, ...(campaign.closed ?? [])];

    const faultsOf = new Map<Command, Fault[]>();
    for (const command of commands) faultsOf.set(command, await findFaults(command));
    // How often everything may have been loaded anew.
    let loads = 0;
    const watch = await web.client.loop([...OPEN, ...closed], 0.1);
    for (const command of commands) await killBeforeAnythingHappens(command);
    for (const [index, [command, fault]] of inTurns(faultsOf).entries()) {
      await killAndRepair(command, fault, NEXT[index % 2 === 0 ? 0 : 1]);
    }
    const seen = await watch.stop();
    const outcomes = (target: string) => Object.keys(seen[target] ?? {});
    for (const target of OPEN) {
      const { answered = 0, ...refused } = seen[target] ?? {};
      expect([target, answered]).not.toEqual([target, 0]);
      // Where everything is loaded anew, the kernel's new sets are there an instant later than its new rules.
      const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
      expect({ target, refused, isBounded: refusals <= loads }).toMatchObject({ target, isBounded: true });
      expect([target, Object.keys(refused).filter((outcome) => !REFUSED.has(outcome))]).toEqual([target, []]);
    }
    for (const target of closed) expect(outcomes(target)).not.toContain("answered");

    /** Runs it once to its end, and finds what it does. */
    async function findFaults(command: Command): Promise<Fault[]> {
      // What comes only once in the life of a container is done by then.
      for (let round = 0; round < 2; round++) {
        await web.mustShield(command.verb, ...command.options);
        await begin(command);
      }
      const { exitCode, reached } = await faults.run([command.verb, container, ...command.options]);
      expect(exitCode).toBe(0);
      expect(inOrder(reached.map((point) => describePoint(point, container)))).toEqual(
        inOrder(command.points),
      );
      return reached.flatMap(faultsOfPoint);
    }

    async function begin({ begins, undo: [verb, ...options] }: Command): Promise<void> {
      const isOpen = campaign.isOpen(await readState());
      if (isOpen !== (begins === "open")) await web.mustShield(verb, ...options);
    }

    async function kill({ verb, options }: Command, fault: Fault): Promise<string> {
      const { how, point } = fault;
      const at = `${verb}, ${how} ${point.label} (${point.program}, ${point.occurrence})`;
      const killed = await faults.run([verb, container, ...options], fault);
      expect({ at, fault: killed.fault }).toEqual({ at, fault: { ...point, how } });
      await expectNothingOpened(at);
      return at;
    }

    /** Until the first file gets its name, nothing is different but for files that the next command removes. */
    async function killBeforeAnythingHappens(command: Command): Promise<void> {
      await begin(command);
      const before = await readStateText();
      const revision = await kernel.revision();
      for (const fault of (faultsOf.get(command) ?? []).filter(isEarly)) {
        const at = await kill(command, fault);
        expect({ at, state: await readStateText(), revision: await kernel.revision() }).toEqual({
          ...{ at, state: before, revision },
        });
      }
      expect(await leftOver()).not.toEqual([]);
      await expectWhole(`${command.verb}, early`);
      await web.mustShield("allow", "198.18.2.2");
      expect(await leftOver()).toEqual([]);
    }

    async function killAndRepair(
      command: Command,
      fault: Fault,
      [verb, ...options]: readonly [string, ...string[]],
    ): Promise<void> {
      await begin(command);
      loads += 2;
      const at = await kill(command, fault);
      const { exitCode, stdout } = await web.shield("status", "--json");
      const { status } = JSON.parse(stdout) as { status: { kind: string; reason?: string } };
      if (exitCode === 3) {
        expect({ at, status }).toEqual({ at, status: { kind: "error", reason: expect.stringMatching(/./) } });
      } else {
        expect({ at, exitCode, kind: status.kind }).toEqual({
          ...{ at, exitCode: 0, kind: (await readState()).mode.kind },
        });
        await expectAsRecorded(at);
      }

      const repaired = `${at}, then ${verb}`;
      const next = await web.shield(verb, ...options);
      expect({ repaired, ...next }).toMatchObject({ repaired, exitCode: 0 });
      if (verb === "up") await expectWhole(repaired);
      else await expectAsRecorded(repaired);
      expect({ repaired, left: await leftOver() }).toEqual({ repaired, left: [] });
      await expectNothingOpened(repaired);
    }

    async function leftOver(): Promise<string[]> {
      return (await readdir(bundle)).filter((file) => file.endsWith(".new"));
    }

    async function expectNothingOpened(at: string): Promise<void> {
      const reach = await web.see(...OPEN, ...closed);
      expect({ at, ...reach, "denied.test": await web.client.resolve("denied.test") }).toEqual({
        ...{ at, ...all(OPEN, "open"), ...all(closed, "refused"), "denied.test": [] },
      });
    }

    async function expectWhole(at: string): Promise<void> {
      expect({ at, ...(await web.status()) }).toMatchObject({ at, kind: (await readState()).mode.kind });
      await expectAsRecorded(at);
    }

    /** The kernel is at the policy on disk, and dnsmasq too. */
    async function expectAsRecorded(at: string): Promise<void> {
      const state = await readState();
      const decided = new Set(state.decisions.map(({ verdict, entry }) => `${verdict} ${entry}`));
      const kept = [...ALLOWED.map((entry) => `allow ${entry}`), ...DENIED.map((entry) => `deny ${entry}`)];
      expect({ at, lost: kept.filter((decision) => !decided.has(decision)) }).toEqual({ at, lost: [] });
      expect({ at, revision: await kernel.revision() }).toEqual({ at, revision: state.revision });
      const names = ["tcp,good.test,80", "tcp,kept.test,80"];
      const reach = await web.see(...campaign.probes, ...names);
      const open = [...(campaign.isOpen(state) ? campaign.probes : []), ...names];
      expect({ at, open: Object.keys(reach).filter((target) => reach[target] === "open") }).toEqual({
        at,
        open,
      });
    }
  });

  test("nothing that was denied was ever reached or asked for", async () => {
    const reached = new Set((await lab.internet.arrivals()).map(({ address }) => address));
    expect(reached).toContain("198.18.1.1");
    expect(DENIED.filter((address) => reached.has(address))).toEqual([]);
    const asked = (await lab.internet.dnsQueries()).map(({ name }) => name);
    expect(asked).toContain("kept.test");
    expect(asked).not.toContain("denied.test");
  });
});

interface Fault {
  readonly point: FaultPoint;
  readonly how: FaultKind;
}

function faultsOfPoint(point: FaultPoint): Fault[] {
  // What only lists has no effect that anything could come after.
  const hows = faultsAt(point).filter(
    (how) => point.label !== LIST || !["alone", "child-last"].includes(how),
  );
  return hows.map((how) => ({ point, how }));
}

/** While the new files of the bundle are only being prepared. */
function isEarly({ point: { label } }: Fault): boolean {
  return label === LOCK || EARLY.has(label);
}

/** Files are prepared side by side. */
function inOrder(labels: readonly string[]): string[] {
  return [
    ...labels.filter((label) => EARLY.has(label)).sort(),
    ...labels.filter((label) => !EARLY.has(label)),
  ];
}

const EARLY = new Set(BUNDLE_WITH_SCOPES.flatMap(stage));

/** One after the other: where one command ends, the next begins. */
function inTurns(faults: ReadonlyMap<Command, readonly Fault[]>): [Command, Fault][] {
  const late = [...faults].map(([command, list]) => ({
    command,
    list: list.filter((fault) => !isEarly(fault)),
  }));
  const longest = Math.max(...late.map(({ list }) => list.length));
  return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
    late.flatMap(({ command, list }): [Command, Fault][] => {
      const fault = list[index];
      return fault === undefined ? [] : [[command, fault]];
    }),
  );
}

/** With the bundle's directory by that name. */
function describePoint({ program, label }: FaultPoint, container: string): string {
  const words = label.split(" ").map((word) => (word === container ? "BUNDLE" : word));
  const text = words.join(" ").replace(/--conf-file=\S*\//, "--conf-file=");
  return program === "hook" ? `hook: ${text}` : text;
}
