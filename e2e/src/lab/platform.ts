import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

/**
 * What every lab of a run is made of. The environment chooses: E2E_TREE is the root directory of another
 * distribution (make-tree.sh), E2E_NETWORK "slirp4netns" or "pasta", E2E_RUNTIME "crun" or "runc". Without them it is
 * this machine, and what its podman takes by itself.
 */
interface Platform {
  readonly tree: string | undefined;
  readonly runtime: string | undefined;
  readonly podmanMajor: number;
  readonly network: RootlessNetwork;
}

/** What a rootless network shows inside a container. */
interface RootlessNetwork {
  readonly kind: "slirp4netns" | "pasta";
  /** Of `podman run`, for containers without a shield. */
  readonly option: string;
  /** The same, and the host's loopback answers at `host`. */
  readonly optionWithHost: string;
  readonly host: string;
  /** Where it takes questions to the host's resolvers. */
  readonly resolver: string;
  /** Where it does so on hosts whose resolver has an IPv6 address; the lab's is not of those. */
  readonly otherResolvers: readonly string[];
  readonly device: string;
  readonly broadcast: string;
}

const NETWORKS: Readonly<Record<RootlessNetwork["kind"], RootlessNetwork>> = {
  slirp4netns: {
    kind: "slirp4netns",
    option: "--network=slirp4netns:enable_ipv6=true",
    optionWithHost: "--network=slirp4netns:enable_ipv6=true,allow_host_loopback=true",
    host: "10.0.2.2",
    resolver: "10.0.2.3",
    otherResolvers: ["fd00::3"],
    device: "tap0",
    broadcast: "10.0.2.255",
  },
  pasta: {
    kind: "pasta",
    option: "--network=pasta",
    optionWithHost: "--network=pasta:--map-host-loopback,169.254.1.2",
    host: "169.254.1.2",
    resolver: "169.254.1.1",
    otherResolvers: [],
    // As on the lab's host, whose addresses a container has, too.
    device: "internet0",
    broadcast: "172.31.255.3",
  },
};

/** Podman reads its own command line in /proc. */
const ENTER_TREE = 'mount --rbind /proc "$1/proc" && exec chroot "$@"';

export const PLATFORM: Platform = readPlatform(process.env);

function readPlatform({ E2E_TREE: tree, E2E_NETWORK, E2E_RUNTIME: runtime }: NodeJS.ProcessEnv): Platform {
  const podmanMajor = Number(/\d+/.exec(versionIn(tree, "podman"))?.[0]);
  if (Number.isNaN(podmanMajor)) throw new Error("podman does not say its version.");
  const kind = E2E_NETWORK ?? preferredNetwork(podmanMajor);
  if (kind !== "slirp4netns" && kind !== "pasta") {
    throw new Error(`E2E_NETWORK: ${JSON.stringify(kind)} is neither slirp4netns nor pasta.`);
  }
  return { tree, runtime, podmanMajor, network: NETWORKS[kind] };
}

/** What podman, and so the shield, takes when nobody says. */
function preferredNetwork(podmanMajor: number): RootlessNetwork["kind"] {
  return podmanMajor >= 5 ? "pasta" : "slirp4netns";
}

/** The shield's config.yml: with the network of the run, where it has to be told. */
export function shieldConfig(text = ""): string {
  const { network, podmanMajor } = PLATFORM;
  return network.kind === preferredNetwork(podmanMajor) ? text : `${text}network: ${network.kind}\n`;
}

/** What a program of the lab's machines says of its version; nothing when there is none. */
export function versionOf(program: string): string {
  return versionIn(PLATFORM.tree, program);
}

function versionIn(tree: string | undefined, program: string): string {
  const command =
    tree === undefined
      ? [program, "--version"]
      : ["unshare", "--mount", "sh", "-c", ENTER_TREE, "sh", tree, program, "--version"];
  const [file = "", ...args] = command;
  return spawnSync(file, args, { encoding: "utf8" }).stdout ?? "";
}

/** Whether the lab's machines have a file. */
export function platformHas(file: string): boolean {
  return existsSync(path.join(PLATFORM.tree ?? "/", file));
}
