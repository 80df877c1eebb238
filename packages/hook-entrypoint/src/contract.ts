/**
 * What `terok-shield prepare` writes and the hook reads. The cli takes these from here,
 * so that no name or key lives twice.
 */

export { BUNDLE_FILE } from "./bundle-file.ts";
export { parseConfirmation } from "./confirmation.ts";
export { FORBIDDEN_DEVICES, findMountFault } from "./container-spec.ts";
export { type HelperKind, identifyHelper, KEEPER_NAME, TIMER_NAME } from "./identify-helper.ts";
export { findMarker, MARKER_ZONE, renderMarker } from "./marker.ts";

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
  /** Whether what the container tries is written down. */
  readonly isAudited: boolean;
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

/**
 * What the hook does to the resolver of a running container, in its network namespace, once the cli has written
 * dns-servers.active (and for a restart dnsmasq.conf): it prints a ResolverReply when dnsmasq follows that file.
 */
export type ResolverStage = "reloadResolver" | "restartResolver";

/** Starts what is missing of what writes the logs of a running container, in its network namespace. */
export const LOG_STAGE = "reviveLogs";

/** Asks the running resolver for some names and changes nothing; prints a NamesReply. Standard input is a ResolverRequest. */
export const ASK_STAGE = "askResolver";

/** What the ask stage prints, as JSON. */
export interface NamesReply {
  readonly names: Readonly<Record<string, NameAnswer>>;
}

/** What the resolver says to a name; of the answers to both families' queries, the one that says more. */
export interface NameAnswer {
  readonly kind: "addresses" | "none" | "no such name" | "refused" | "failed";
  /** Of both families. */
  readonly addresses: readonly string[];
}

/** Standard input of a ResolverStage, as JSON. */
export interface ResolverRequest {
  /** Names to ask for afterwards, so that their addresses are open at once and known. */
  readonly ask: readonly string[];
}

/** What a ResolverStage prints, as JSON. */
export interface ResolverReply {
  /** Of each name asked for; none where it has none or did not answer in time. For display: the container could forge them. */
  readonly answers: Readonly<Record<string, readonly string[]>>;
}
