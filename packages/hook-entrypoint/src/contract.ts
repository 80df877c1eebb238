/**
 * What `terok-shield prepare` writes and the hook reads. The cli takes these from here,
 * so that no name or key lives twice.
 */

export { FORBIDDEN_DEVICES, findMountFault } from "./container-spec.ts";

/** Raised whenever a hook of another version could misread a bundle; the hook refuses any other. */
export const BUNDLE_VERSION = 1;

export const ANNOTATION = {
  profiles: "terok.shield.profiles",
  name: "terok.shield.name",
  stateDirectory: "terok.shield.state_dir",
  loopbackPorts: "terok.shield.loopback_ports",
  version: "terok.shield.version",
  auditEnabled: "terok.shield.audit_enabled",
  upstreamDns: "terok.shield.upstream_dns",
  dnsTier: "terok.shield.dns_tier",
} as const;

/** Files of a container's bundle, relative to it. */
export const BUNDLE_FILE = {
  manifest: "bundle.json",
  ruleset: "ruleset.nft",
  listing: "listing.json",
  resolvConf: "resolv.conf",
  hosts: "hosts",
  dnsmasqConf: "dnsmasq.conf",
  dnsServers: "dns-servers",
  /** What dnsmasq reads: the hook's copy, for the length of its check with one name more. */
  activeDnsServers: "dns-servers.active",
  dnsmasqPid: "dnsmasq.pid",
  dnsmasqLog: "dnsmasq.log",
  ulogdConf: "ulogd.conf",
  ulogdPid: "ulogd.pid",
  packetLog: "packets.jsonl",
  ulogdLog: "ulogd.log",
  audit: "audit.jsonl",
  runtime: "runtime.json",
  /** Why the hook last refused, for the command that started the container. */
  refusal: "refusal.txt",
  /** The cli's own: what was asked for and the policy in force. */
  state: "state.json",
  hooks: "hooks",
} as const;

/**
 * The sysctl that no kernel has: a container is created with it and so cannot start, until the precreate
 * hook turns it into `RELEASED_SYSCTL`. The interface name in it is too long to ever exist.
 */
export const GATE_SYSCTL = "net.ipv4.conf.terok-shield-closed.accept_redirects";
export const RELEASED_SYSCTL = "net.ipv4.conf.all.accept_redirects";

/** Stands between the transactions of the ruleset file, on a line of its own. */
export const NEXT_TRANSACTION = "# next transaction\n";

/** What createRuntime prints, with the container's pid after it, once the shield is up; nothing else lets the start go on. */
export const HOOK_DONE = "terok-shield-up-";

/** The manifest: what the hook may rely on. `files` maps a bundle file to the SHA-256 of its content in hex. */
export interface BundleManifest {
  readonly version: number;
  readonly container: string;
  readonly dns:
    | { readonly tier: "dnsmasq"; readonly learnedSets: { readonly v4: string; readonly v6: string } }
    | {
        readonly tier: "dig" | "getent";
      };
  readonly table: { readonly family: string; readonly name: string };
  /** Absolute paths of the programs that the hook runs. */
  readonly programs: {
    readonly nft: string;
    readonly nsenter: string;
    readonly setpriv: string;
    readonly dnsmasq?: string;
    readonly ulogd?: string;
  };
  /** Directories and sockets that no mount may hand to the container. */
  readonly protectedPaths: {
    /** No mount may show these writable: whoever writes there rewrites the policy of the next start. */
    readonly unwritable: readonly string[];
    /** No mount may show these at all: sockets of services that act on the host. */
    readonly unreachable: readonly string[];
  };
  /** Mount sources that the owner insists on. */
  readonly trustedMounts: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

/** What the hook leaves in `runtime.json` for whoever enters the running container later. */
export interface RuntimeRecord {
  readonly containerId: string;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot: guards against a reused pid. */
  readonly startTime: string;
  /** Inode of the network namespace. */
  readonly networkNamespace: number;
  /** A process in the user namespace that owns the network namespace: the container's own may be another. */
  readonly ownerPid: number;
  /** Podman's hosts file of the container, where the hook added the names of a static tier. */
  readonly hostsFile?: string;
}
