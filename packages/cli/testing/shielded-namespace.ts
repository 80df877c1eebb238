import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NEXT_TRANSACTION, type RuntimeRecord } from "@terok-shield/hook-entrypoint/contract";
import { expect, onTestFinished } from "vitest";
import { applyToResolver } from "../src/commands/apply-to-resolver.ts";
import { prepare } from "../src/commands/prepare.ts";
import { readContainerState } from "../src/commands/read-state.ts";
import { parseContainerName } from "../src/container-name.ts";
import { withBundleLock } from "../src/host/bundle-lock.ts";
import { type HelperProcess, listHelperProcesses, sendSignal } from "../src/host/helper-processes.ts";
import type { Host } from "../src/host/host.ts";
import { endTimer } from "../src/host/lease-timer.ts";
import { readMoment } from "../src/host/moment.ts";
import { reviveLogs } from "../src/host/packet-reader.ts";
import { type Command, runCommand } from "../src/host/run-command.ts";
import { runNft } from "../src/host/running-container.ts";
import { writeFiles } from "./temporary-directory.ts";
import { FULL_MACHINE, makeTestHost } from "./test-host.ts";

const HOOK = new URL("../../hook-entrypoint/dist/terok-shield-hook.cjs", import.meta.url);
/** Where slirp4netns' resolver would be. */
const UPSTREAM = "10.0.2.3";

/** Names of the upstream resolver. Everything else does not exist. */
const ZONE = {
  "good.test": "198.18.0.10",
  "other.test": "198.18.0.12",
  "one.shared.test": "198.18.0.30",
  "two.shared.test": "198.18.0.30",
  "wild.test": "198.18.0.20",
};

/** What a running container is to its shield: a process in a network namespace, with the rules and the resolver of its bundle. */
export interface ShieldedNamespace {
  readonly host: Host;
  readonly bundle: string;
  readonly record: RuntimeRecord;
  /** What was run since the start, one word each: `kernel` for a transaction, else the resolver's stage or the program. */
  readonly effects: string[];
  /** Called before each of them; throws to make it fail. */
  onEffect: (effect: string) => void;
  /** Called before the kernel's rules are listed. */
  onLook: () => Promise<void> | void;
  nft(...args: string[]): Promise<string>;
  load(transaction: string): Promise<void>;
  /** Asks the container's resolver; gives "REFUSED" and the like, or the addresses. */
  lookUp(name: string): Promise<string>;
  /** The elements that a set lists, as nft writes them. */
  elements(set: string): Promise<string[]>;
  /** The kinds of helpers that run for the bundle. */
  helpers(): string[];
  /** The container ends, and with it its helpers, as the poststop hook sees to. */
  stop(): void;
}

/** The process of a helper that runs. */
export function findHelper(
  { bundle }: Pick<ShieldedNamespace, "bundle">,
  kind: HelperProcess["kind"],
): number {
  const found = listHelperProcesses().find((helper) => helper.bundle === bundle && helper.kind === kind);
  if (found === undefined) throw new Error(`no ${kind} runs`);
  return found.pid;
}

/**
 * Prepares the container `web` and starts what a container is to its shield, without podman.
 * @param profile lines of its allowlist
 */
export async function startShieldedNamespace(
  profile: readonly string[],
  { config = "dns: {tier: dnsmasq}" } = {},
): Promise<ShieldedNamespace> {
  if (!existsSync(HOOK)) throw new Error("the hook is missing. Run npm run build first");
  const { ulogd: _, ...programs } = { ...FULL_MACHINE.programs, node: process.execPath };
  const base = makeTestHost({
    files: {
      "profiles/mine.txt": profile.map((line) => `${line}\n`).join(""),
      "config.yml": `network: slirp4netns\n${config}\n`,
    },
    facts: { ...FULL_MACHINE, programs },
  });
  const effects: string[] = [];
  const shielded: Pick<ShieldedNamespace, "onEffect" | "onLook"> = { onEffect: () => {}, onLook: () => {} };
  const host: Host = {
    ...base,
    places: { ...base.places, hookEntrypoint: fileURLToPath(HOOK) },
    now: () => new Date(),
    moment: readMoment,
    runCommand: async (command) => {
      const effect = nameEffect(command);
      if (effect === "look") {
        await shielded.onLook();
      } else {
        effects.push(effect);
        shielded.onEffect(effect);
      }
      return runCommand(command);
    },
  };
  await prepare(host, { container: "web", profiles: ["mine"] });
  const bundle = `${host.places.state}/containers/web`;
  const holder = await holdNamespace();
  const record = recordOf(holder);
  writeFiles(bundle, { "runtime.json": JSON.stringify(record) });
  const load = async (transaction: string) => {
    await runNft(host, record, ["-f", "-"], transaction);
  };
  for (const part of readFileSync(`${bundle}/ruleset.nft`, "utf8").split(NEXT_TRANSACTION)) await load(part);
  const container = parseContainerName("web");
  const state = readContainerState(host, container);
  await withBundleLock(bundle, (lock) =>
    applyToResolver({ host, bundle, record, lock }, { state, moment: host.moment(), restart: true, ask: [] }),
  );
  await reviveLogs(host, record, bundle);
  const endHelpers = () => {
    endTimer(bundle);
    for (const helper of listHelperProcesses())
      if (helper.bundle === bundle) sendSignal(helper.pid, "SIGKILL");
  };
  onTestFinished(endHelpers);
  effects.length = 0;
  return Object.assign(shielded, {
    host,
    bundle,
    record,
    effects,
    load,
    nft: (...args: string[]) => runNft(host, record, args),
    lookUp: (name: string) => lookUp(record, name),
    helpers: () => {
      const own = listHelperProcesses().filter((helper) => helper.bundle === bundle);
      // The keeper's shell forks for a moment now and then.
      return [...new Set(own.map(({ kind }) => kind))].sort();
    },
    elements: async (set: string) =>
      listElements(await runNft(host, record, ["-j", "list", "set", "inet", "terok_shield", set])),
    stop: () => {
      holder.kill("SIGKILL");
      endHelpers();
    },
  });
}

function nameEffect({ args, stdin }: Command): string {
  const program = args[args.indexOf("--") + 1] ?? "";
  if (args.some((arg) => arg.endsWith("/nft"))) return stdin === undefined ? "look" : "kernel";
  return args.at(-2) ?? program;
}

/** nft's JSON as text: an address, a block, or what stands before its time. */
function listElements(json: string): string[] {
  const { nftables } = JSON.parse(json) as { nftables: { set?: { elem?: unknown[] } }[] };
  return nftables.flatMap(({ set }) => set?.elem ?? []).map(renderElement);
}

function renderElement(element: unknown): string {
  if (typeof element === "string") return element;
  const { prefix, elem } = element as { prefix?: { addr: string; len: number }; elem?: { val: unknown } };
  return prefix === undefined ? renderElement(elem?.val) : `${prefix.addr}/${prefix.len}`;
}

/** Only root may map more users than itself. */
export const canHoldNamespaces = process.getuid?.() === 0;

/** A process in a user and a network namespace of its own: the upstream resolver of what is to be shielded. */
async function holdNamespace(): Promise<ChildProcess> {
  const zone = Object.entries(ZONE).map(([name, address]) => `--host-record=${name},${address}`);
  const options = [
    "--conf-file=/dev/null",
    "--pid-file=",
    "--user=root",
    "--group=root",
    "--no-resolv",
    "--no-hosts",
  ];
  const script = [
    "echo made",
    "read _",
    "ip link set lo up",
    `ip address add ${UPSTREAM}/32 dev lo`,
    'exec dnsmasq --keep-in-foreground "$@"',
  ].join("\n");
  const holder = spawn(
    "unshare",
    [
      ...["--user", "--net", "sh", "-ec", script, "sh"],
      ...options,
      ...["--bind-interfaces", `--listen-address=${UPSTREAM}`, ...zone],
    ],
    { stdio: ["pipe", "pipe", "ignore"] },
  );
  onTestFinished(() => void holder.kill("SIGKILL"));
  const isOver = once(holder, "exit").then(() => {
    throw new Error("the namespace could not be made");
  });
  isOver.catch(() => {});
  await Promise.race([once(holder.stdout, "data"), isOver]);
  // As podman maps its own: dnsmasq has to be able to set its groups.
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${holder.pid}/${map}`, "0 0 65536");
  holder.stdin.write("\n");
  const isListening = () => readFileSync(`/proc/${holder.pid}/net/udp`, "utf8").includes(":0035 ");
  await Promise.race([expect.poll(isListening, { timeout: 5_000, interval: 5 }).toBe(true), isOver]);
  return holder;
}

function recordOf({ pid = 0 }: ChildProcess): RuntimeRecord {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return {
    containerId: "5fd1b8",
    pid,
    startTime: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "",
    networkNamespace: statSync(`/proc/${pid}/ns/net`).ino,
    ownerPid: pid,
  };
}

async function lookUp({ pid }: RuntimeRecord, name: string): Promise<string> {
  const { stdout } = await runCommand({
    program: "nsenter",
    file: "/usr/bin/nsenter",
    args: [
      ...[`--user=/proc/${pid}/ns/user`, `--net=/proc/${pid}/ns/net`, "--preserve-credentials", "--"],
      ...["dig", "+tries=1", "+time=2", "@127.0.0.1", name, "A"],
    ],
  });
  const addresses = [...stdout.matchAll(/^\S+\s+\d+\s+IN\s+A\s+(\S+)$/gm)].map(([, address]) => address);
  return addresses.length > 0 ? addresses.join(" ") : (/status: (\w+)/.exec(stdout)?.[1] ?? "no answer");
}
