import { fileURLToPath } from "node:url";
import type { Host } from "../src/host/host.ts";
import type { HostFacts } from "../src/host/host-facts.ts";
import type { Places } from "../src/host/places.ts";
import { type ScriptedCommand, scriptRunner } from "./scripted-runner.ts";
import { makeTemporaryDirectory, writeFiles } from "./temporary-directory.ts";

const PROGRAMS = {
  podman: "/usr/bin/podman",
  nft: "/usr/sbin/nft",
  nsenter: "/usr/bin/nsenter",
  setpriv: "/usr/bin/setpriv",
  sed: "/usr/bin/sed",
  node: "/usr/bin/node",
};

/** A machine with podman 4.3 and nothing that the shield can do without. */
export const BARE_MACHINE: HostFacts = {
  podmanMajor: 4,
  hasHostsFileOption: false,
  otherHooksDirectories: async () => [],
  programs: {
    ...PROGRAMS,
    dig: "/usr/bin/dig",
    getent: "/usr/bin/getent",
    slirp4netns: "/usr/bin/slirp4netns",
  },
};

/** A machine with all that the shield can use. */
export const FULL_MACHINE: HostFacts = {
  podmanMajor: 5,
  hasHostsFileOption: true,
  otherHooksDirectories: async () => ["/usr/share/containers/oci/hooks.d"],
  programs: {
    ...BARE_MACHINE.programs,
    dnsmasq: {
      path: "/usr/sbin/dnsmasq",
      facts: { version: [2, 90], options: new Set(["nftset", "conntrack"]) },
    },
    ulogd: { path: "/usr/sbin/ulogd", plugins: "/usr/lib/x86_64-linux-gnu/ulogd" },
    pasta: "/usr/bin/pasta",
  },
};

export interface TestHost {
  /** By path below the configuration directory: `config.yml`, `profiles/mine.txt`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly facts?: HostFacts;
  readonly script?: readonly ScriptedCommand[];
  readonly now?: () => Date;
}

/** A host with directories of its own and the bundled profiles; it runs the commands of the script and no others. */
export function makeTestHost({
  files = {},
  facts = FULL_MACHINE,
  script = [],
  now = () => new Date("2026-12-01T10:15:00.000Z"),
}: TestHost = {}): Host {
  const places = makeTestPlaces();
  writeFiles(places.config, files);
  const moment = () => ({ date: now(), bootId: "boot-1", monotonicSeconds: 1000 });
  return { places, runCommand: scriptRunner(script), now, moment, facts: async () => facts };
}

export function makeTestPlaces(): Places {
  const directory = makeTemporaryDirectory();
  return {
    state: `${directory}/state`,
    config: `${directory}/config`,
    bundledProfiles: fileURLToPath(new URL("../../../profiles", import.meta.url)),
    hookEntrypoint: `${directory}/program/terok-shield-hook.cjs`,
    program: `${directory}/program/terok-shield.cjs`,
  };
}
