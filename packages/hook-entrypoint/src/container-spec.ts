import type { BundleManifest } from "./contract.ts";

/** The parts of a runtime's config.json that decide whether a shield can hold (OCI runtime specification). */
export interface ContainerSpec {
  readonly root?: { readonly path?: string };
  readonly process?: { readonly capabilities?: Readonly<Record<string, readonly string[] | undefined>> };
  readonly mounts?: readonly SpecMount[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: {
    readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
    readonly devices?: readonly { readonly path: string }[];
    readonly readonlyPaths?: readonly string[];
  };
}

export interface SpecMount {
  readonly destination: string;
  readonly source?: string;
  readonly type?: string;
  readonly options?: readonly string[];
}

/** Enough to change the rules (NET_ADMIN), to forge packets and marks (NET_RAW), or to enter namespaces (SYS_ADMIN). */
const FORBIDDEN_CAPABILITIES = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"];
/** Devices that carry packets past the container's network namespace. */
const FORBIDDEN_DEVICES = [
  "/dev/net",
  "/dev/vhost-net",
  "/dev/vhost-vsock",
  "/dev/vsock",
  "/dev/mem",
  "/dev/kmem",
];
/** Namespaces that must be the container's own, with no path to join. */
const OWN_NAMESPACES = ["mount", "pid"];

export interface SpecCheck {
  readonly manifest: BundleManifest;
  readonly resolvConf: string;
  /** Resolves symbolic links; undefined when the path does not exist. */
  readonly realPath: (path: string) => string | undefined;
  readonly isSocket: (path: string) => boolean;
}

/** Every reason why a container made from `spec` could not be held by its shield, in sentences. */
export function findSpecFaults(spec: ContainerSpec, check: SpecCheck): string[] {
  return [
    ...capabilityFaults(spec),
    ...namespaceFaults(spec),
    ...deviceFaults(spec),
    ...mountFaults(spec, check),
    ...resolvConfFaults(spec, check.resolvConf),
    ...(spec.linux?.readonlyPaths?.includes("/proc/sys") ? [] : ["the container may write to /proc/sys"]),
  ];
}

function capabilityFaults({ process, annotations }: ContainerSpec): string[] {
  if (annotations?.["io.podman.annotations.privileged"] === "TRUE") return ["the container is privileged"];
  if (process?.capabilities === undefined) return ["the container's capabilities are not limited"];
  const held = new Set(Object.values(process.capabilities).flatMap((set) => set ?? []));
  return FORBIDDEN_CAPABILITIES.filter((capability) => held.has(capability)).map(
    (capability) => `the container holds ${capability}, with which it could undo its shield`,
  );
}

function namespaceFaults({ linux }: ContainerSpec): string[] {
  const namespaces = linux?.namespaces ?? [];
  const find = (type: string) => namespaces.find((namespace) => namespace.type === type);
  const shared = OWN_NAMESPACES.filter((type) => find(type) === undefined || find(type)?.path !== undefined);
  const network = find("network");
  return [
    ...shared.map((type) => `the container shares a ${type} namespace`),
    ...(find("user")?.path === undefined ? [] : ["the container joins a user namespace of others"]),
    ...(network === undefined ? ["the container is in the host's network namespace"] : []),
    ...(network?.path?.startsWith("/proc/") ? ["the container joins the network namespace of another"] : []),
  ];
}

function deviceFaults({ linux }: ContainerSpec): string[] {
  return (linux?.devices ?? [])
    .filter(({ path }) => FORBIDDEN_DEVICES.some((device) => contains(device, path)))
    .map(({ path }) => `the device ${JSON.stringify(path)} carries packets past the shield`);
}

function mountFaults({ root, mounts = [] }: ContainerSpec, check: SpecCheck): string[] {
  const binds = mounts
    .filter((mount) => isBind(mount) && !isReadOnlySysfs(mount))
    .map((mount) => ({ source: mount.source ?? "", writable: isWritable(mount) }));
  return [...binds, { source: root?.path ?? "/", writable: true }].flatMap(({ source, writable }) => {
    const real = check.realPath(source);
    if (real === undefined) return [`the mount source ${JSON.stringify(source)} does not exist`];
    if (check.manifest.trustedMounts.includes(real)) return [];
    const reason = findMountFault({ source: real, writable }, check.manifest.protectedPaths, check.isSocket);
    return reason === undefined ? [] : [`the mount of ${JSON.stringify(source)} ${reason}`];
  });
}

/**
 * Why a bind mount would hand over the host or the shield; undefined when it does not.
 * @param mount a source without symbolic links
 */
export function findMountFault(
  { source, writable }: { readonly source: string; readonly writable: boolean },
  { unwritable, unreachable }: BundleManifest["protectedPaths"],
  isSocket: (path: string) => boolean,
): string | undefined {
  if (contains("/proc", source) || contains("/sys", source)) return "hands over the host's kernel interfaces";
  const device = FORBIDDEN_DEVICES.find((path) => contains(path, source) || contains(source, path));
  if (device !== undefined) return `hands over ${device}, which carries packets past the shield`;
  const socket = unreachable.find((path) => contains(source, path) || contains(path, source));
  if (socket !== undefined) return `hands over ${socket}, and with it the host`;
  if (isSocket(source)) return "hands over a socket of the host, and with it whatever its service can reach";
  const state = unwritable.find((path) => contains(source, path));
  if (writable && state !== undefined)
    return `lets the container write to ${state}, and so to its own shield`;
  return undefined;
}

function resolvConfFaults({ mounts = [] }: ContainerSpec, resolvConf: string): string[] {
  const last = mounts.filter((mount) => mount.destination === "/etc/resolv.conf").at(-1);
  if (last?.source === resolvConf && !isWritable(last)) return [];
  return ["/etc/resolv.conf is not the shield's; drop the option that changes it"];
}

function isBind({ type, options = [] }: SpecMount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

/** With --userns=keep-id the container cannot mount sysfs itself, so podman binds the host's, read-only. */
function isReadOnlySysfs(mount: SpecMount): boolean {
  return mount.destination === "/sys" && mount.source === "/sys" && !isWritable(mount);
}

function isWritable({ options = [] }: SpecMount): boolean {
  return !options.includes("ro");
}

/** True when `inner` is `outer` or lies below it. */
function contains(outer: string, inner: string): boolean {
  return inner === outer || outer === "/" || inner.startsWith(`${outer}/`);
}
