import { type ChildProcess, execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ANNOTATION } from "../src/contract.ts";
import { BUNDLE, CONTAINER_ID, type StandInSpec, standInSpec } from "../src/stand-in-spec.ts";
import { enterNetwork, type Outcome, writeBundle } from "./hook-lab.ts";

/** Of a bundle of a static tier. */
export const RULESET = `create table inet terok_shield
table inet terok_shield {
  chain output { type filter hook output priority 0; policy drop; }
}
`;
export const LISTING = [
  '{"chain":{"family":"inet","hook":"output","name":"output","policy":"drop","prio":0,"table":"terok_shield","type":"filter"}}',
  '{"table":{"family":"inet","name":"terok_shield"}}',
];
/** Longer than any program may take that the hook waits for. */
const HANGS_AFTER_MILLISECONDS = 15_000;

/** A container whose namespaces exist, with a bundle of a static tier, below `parent`, where the hook is installed. */
export interface PreparedStart {
  readonly directory: string;
  readonly ociState: Readonly<Record<string, unknown>>;
  /** Writes the bundle and podman's files as they were, after whatever was done to them. */
  prepare(): void;
  /** Fires the hook, in the network namespace of the container; a status of null says that it did not end. */
  fire(input: string | Buffer): Outcome;
  /** The names of the tables in the container's network namespace, which is empty when this is asked for the next time. */
  takeTables(): string;
}

export function prepareStart(
  { parent, hook }: { readonly parent: string; readonly hook: string },
  host: ChildProcess,
  container: ChildProcess,
): PreparedStart {
  const directory = join(parent, "containers", "web");
  const userdata = join(parent, CONTAINER_ID, "userdata");
  const inContainer = (...command: string[]) => {
    const [file = "", ...args] = [...enterNetwork(container), ...command];
    return execFileSync(file, args, { encoding: "utf8" });
  };
  return {
    directory,
    ociState: {
      ociVersion: "1.0",
      id: CONTAINER_ID,
      pid: container.pid,
      bundle: userdata,
      status: "created",
      annotations: {
        [ANNOTATION.stateDirectory]: directory,
        [ANNOTATION.version]: "1",
        [ANNOTATION.name]: "web",
        [ANNOTATION.auditEnabled]: "true",
      },
    },
    prepare: () => {
      for (const each of [directory, userdata, join(parent, "root")]) {
        mkdirSync(each, { recursive: true, mode: 0o700 });
      }
      writeFileSync(join(userdata, "hosts"), "127.0.0.1 localhost\n");
      writeFileSync(join(userdata, "config.json"), JSON.stringify(specOf({ parent, directory, userdata })));
      writeBundle(directory, staticFiles({}));
    },
    fire: (input) => {
      const command = ["sh", "-c", '"$@"; exit $?', "sh", ...enterNetwork(container)];
      const [file = "", ...args] = [...enterNetwork(host), ...command, process.execPath, hook];
      const { status, stdout, stderr } = spawnSync(file, [...args, "createRuntime", directory], {
        cwd: join(parent, "alone"),
        input,
        encoding: "utf8",
        timeout: HANGS_AFTER_MILLISECONDS,
        killSignal: "SIGKILL",
      });
      return { status, stdout, stderr };
    },
    takeTables: () => {
      const tables = inContainer("nft", "list", "tables");
      inContainer("nft", "flush", "ruleset");
      return tables;
    },
  };
}

/** The files of such a bundle, but for its manifest. */
export function staticFiles({
  ruleset = RULESET,
  listing = JSON.stringify(LISTING),
}): Record<string, string> {
  return {
    "ruleset.nft": ruleset,
    "listing.json": listing,
    "resolv.conf": "nameserver 127.0.0.1\n",
    "state.json": '{"revision":3}\n',
    hosts: "198.18.0.10 good.test\n",
  };
}

/** Podman's specification with the paths of the lab. */
export function specOf({
  parent,
  directory,
  userdata,
}: Readonly<Record<"parent" | "directory" | "userdata", string>>): StandInSpec {
  const spec = standInSpec();
  spec.root.path = join(parent, "root");
  spec.linux.namespaces = spec.linux.namespaces.map(({ type }) => ({ type }));
  spec.mounts = spec.mounts.flatMap((entry) => {
    if (entry.type !== "bind") return [entry];
    if (entry.destination === "/etc/hosts") return [{ ...entry, source: join(userdata, "hosts") }];
    return entry.source.startsWith(BUNDLE) ? [{ ...entry, source: join(directory, "resolv.conf") }] : [];
  });
  return spec;
}
