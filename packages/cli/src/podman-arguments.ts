import { PodmanArgumentError, refuse } from "./podman-arguments-error.ts";
import { type MountSource, parseMounts, parseRootDirectory } from "./podman-arguments-mounts.ts";
import { addPublished, type PublishedPort } from "./podman-arguments-ports.ts";
import { judgeFlag } from "./podman-arguments-refusals.ts";
import { scanPodmanFlags, splitList } from "./podman-arguments-scan.ts";

export { PodmanArgumentError } from "./podman-arguments-error.ts";

/** What the arguments of `podman run` ask for, as far as the shield must know. */
export interface PodmanRunArguments {
  /** Ports of the container, ranges written out. */
  readonly published: readonly PublishedPort[];
  /** Paths of the host as typed, relative ones included; named volumes are none. */
  readonly mountSources: readonly MountSource[];
  readonly detached: boolean;
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly removes: boolean;
  readonly restartPolicy?: string;
  /** Names that the owner puts into the container's hosts file himself. */
  readonly hostNames: readonly string[];
  /** Podman writes a hosts file for the container. */
  readonly hasHostsFile: boolean;
  /** It begins with a file of the owner's. */
  readonly hasOwnHostsFile: boolean;
  readonly image: string;
}

/**
 * Reads what stands after `--` in `terok-shield run NAME -- [podman run flags] IMAGE [command…]`.
 * @throws PodmanArgumentError when a flag would open the shield, is not known, or no image follows.
 */
export function parsePodmanRunArguments(args: readonly string[]): PodmanRunArguments {
  const impossible = args.find((arg) => arg.includes("\0"));
  if (impossible !== undefined)
    refuse([impossible], "holds a NUL character, which no argument can. Remove it.");
  const { rest, flags, ...found } = readFlags(args);
  const [image = ""] = rest;
  if (image === "") {
    throw new PodmanArgumentError(
      "No image is given. Write it after podman's flags: terok-shield run NAME -- [flags] IMAGE [command].",
    );
  }
  const isOn = (name: string) => flags.get(name) === "true";
  const restartPolicy = flags.get("restart");
  return {
    ...found,
    mountSources: [...found.mountSources, ...(isOn("rootfs") ? [parseRootDirectory(image)] : [])],
    detached: isOn("detach"),
    interactive: isOn("interactive"),
    tty: isOn("tty"),
    removes: isOn("rm") || isOn("rmi"),
    ...(restartPolicy === undefined || restartPolicy === "" ? {} : { restartPolicy }),
    hasHostsFile: !isOn("no-hosts"),
    hasOwnHostsFile: flags.has("hosts-file"),
    image,
  };
}

interface FoundFlags {
  readonly published: readonly PublishedPort[];
  readonly mountSources: readonly MountSource[];
  readonly hostNames: readonly string[];
  /** The last value of each flag, which is the one that counts. */
  readonly flags: ReadonlyMap<string, string>;
  readonly rest: readonly string[];
}

function readFlags(args: readonly string[]): FoundFlags {
  const flags = new Map<string, string>();
  const mountSources: MountSource[] = [];
  const hostNames: string[] = [];
  let published: PublishedPort[] = [];
  const rest = scanPodmanFlags(args, (use) => {
    if (use.value.includes("\0"))
      refuse(use.typed, "holds a NUL character, which no argument can. Remove it.");
    judgeFlag(use);
    flags.set(use.name, use.value);
    mountSources.push(...parseMounts(use));
    if (use.name === "publish") published = addPublished(published, use);
    if (use.name === "add-host") hostNames.push(...parseHostNames(use.value));
  });
  return { published, mountSources, hostNames, flags, rest };
}

/** NAME[;NAME…]:ADDRESS; podman before 5.0 splits at commas, too. */
function parseHostNames(value: string): string[] {
  return splitList(value).flatMap((entry) => entry.split(":")[0]?.split(";") ?? []);
}
