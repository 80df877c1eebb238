import { renderHostsEntries } from "@terok-shield/dns-tier";
import { ANNOTATION, BUNDLE_VERSION, GATE_SYSCTL } from "@terok-shield/hook-entrypoint/contract";
import { renderIpRange } from "@terok-shield/nft-ruleset";
import type { RootlessNetwork } from "./rootless-network.ts";

export interface PodmanOptionsRequest {
  readonly container: string;
  readonly stateDirectory: string;
  readonly hooksDirectories: readonly string[];
  readonly resolvConf: string;
  readonly network: RootlessNetwork;
  readonly profiles: readonly string[];
  readonly loopbackPorts: readonly number[];
  readonly auditEnabled: boolean;
  readonly tier: string;
  readonly podmanMajor: number;
  readonly hasHostsFileOption: boolean;
  /** The names of a static tier; undefined with dnsmasq. */
  readonly hostsFile: string | undefined;
  /** What a static tier resolved; empty with dnsmasq. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

/**
 * The options that `podman run` needs so that the container starts shielded and in no other way. None holds
 * white space, so `podman run $(terok-shield prepare NAME) IMAGE` works in every shell.
 */
export function renderPodmanOptions(request: PodmanOptionsRequest): string[] {
  const annotations = {
    [ANNOTATION.profiles]: request.profiles.join(","),
    [ANNOTATION.name]: request.container,
    [ANNOTATION.stateDirectory]: request.stateDirectory,
    [ANNOTATION.loopbackPorts]: request.loopbackPorts.join(","),
    [ANNOTATION.version]: String(BUNDLE_VERSION),
    [ANNOTATION.auditEnabled]: String(request.auditEnabled),
    [ANNOTATION.upstreamDns]: request.tier === "dnsmasq" ? request.network.upstream : "",
    [ANNOTATION.dnsTier]: request.tier,
  };
  return [
    ...request.hooksDirectories.map((directory) => `--hooks-dir=${directory}`),
    `--name=${request.container}`,
    `--network=${request.network.option}`,
    `--sysctl=${GATE_SYSCTL}=0`,
    `--volume=${request.resolvConf}:/etc/resolv.conf:ro,z`,
    ...["NET_ADMIN", "NET_RAW", "SYS_ADMIN"].map((capability) => `--cap-drop=${capability}`),
    ...renderHostLoopback(request).map((entry) => `--add-host=${entry}`),
    ...renderStaticHosts(request),
    // Every key, so that an annotation of the image never stands in for one of ours.
    ...Object.entries(annotations).map(
      ([key, value]) => `--annotation=${listItem(`${key}=${value}`, request.podmanMajor)}`,
    ),
  ];
}

/**
 * The options of a container to whose owner's own arguments ours give way: podman would keep both entries of a
 * name, ours first, and refuses any with --no-hosts.
 */
export function yieldHosts(
  options: readonly string[],
  { hostNames, hasHostsFile }: { readonly hostNames: readonly string[]; readonly hasHostsFile: boolean },
): string[] {
  return options.filter((option) => {
    if (option.startsWith(HOSTS_FILE)) return hasHostsFile;
    const [, name] = /^--add-host=([^:]*):/.exec(option) ?? [];
    return name === undefined || (hasHostsFile && !hostNames.includes(name));
  });
}

/** Podman's own entry points at an address of the host's that is not its loopback. */
function renderHostLoopback({ network, loopbackPorts }: PodmanOptionsRequest): string[] {
  if (loopbackPorts.length === 0) return [];
  return network.hostLoopback.map((address) => `host.containers.internal:${renderIpRange(address)}`);
}

/** Podman 5 writes /etc/hosts again once the hooks are through, so the names that the hook added are lost. */
function renderStaticHosts({
  resolved,
  podmanMajor,
  hasHostsFileOption,
  hostsFile,
}: PodmanOptionsRequest): string[] {
  if (podmanMajor < 5 || hostsFile === undefined) return [];
  const options = [`${HOSTS_FILE}${hostsFile}`];
  // WORKAROUND(podman-rewrites-hosts): goes when podman before 5.3 is no longer supported.
  return hasHostsFileOption ? options : namesOneByOne(options, resolved);
}

const HOSTS_FILE = "--hosts-file=";

/** The same options for what passes no hosts file on: the names are those of now, at every start. */
export function namesOneByOne(
  options: readonly string[],
  resolved: ReadonlyMap<string, readonly string[]>,
): string[] {
  const names = renderHostsEntries(resolved).map((entry) => `--add-host=${entry}`);
  return options.flatMap((option) => (option.startsWith(HOSTS_FILE) ? names : [option]));
}

/**
 * WORKAROUND(podman-annotation-comma): podman before 5.0 splits annotations at commas, as one line of CSV.
 * Goes when podman 4 is no longer supported.
 */
function listItem(text: string, podmanMajor: number): string {
  return podmanMajor < 5 && text.includes(",") ? `"${text}"` : text;
}
