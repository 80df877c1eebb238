import { join, resolve } from "node:path";
import type { BundleManifest } from "./contract.ts";
import type { MountPoint } from "./mount-points.ts";
import type { ContainerSpec, SpecMount } from "./parse-container-spec.ts";

/** Enough to change the rules (NET_ADMIN), to forge packets and marks (NET_RAW), or to enter namespaces (SYS_ADMIN). */
const FORBIDDEN_CAPABILITIES = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"];
/** Devices that carry packets past the container's network namespace, or reach into the kernel that filters them. */
export const FORBIDDEN_DEVICES = [
  "/dev/net",
  "/dev/vhost-net",
  "/dev/vhost-vsock",
  "/dev/vsock",
  "/dev/mem",
  "/dev/kmem",
];
/** Of the host's, wherever they are mounted. */
const KERNEL_FILE_SYSTEMS = ["proc", "sysfs"];
const KERNEL_FAULT = "hands over the host's kernel interfaces";
/** Namespaces that must be the container's own, with no path to join. */
const OWN_NAMESPACES = ["mount", "pid"];

export interface SpecCheck {
  readonly manifest: BundleManifest;
  readonly containerId: string;
  readonly resolvConf: string;
  /** What is mounted where on the host, in the order of /proc/self/mountinfo. */
  readonly hostMounts: readonly MountPoint[];
  /** Resolves symbolic links; undefined when the path does not exist. */
  readonly realPath: (path: string) => string | undefined;
  readonly isSocket: (path: string) => boolean;
}

/** Every reason why a container made from `spec` could not be held by its shield, in sentences. */
export function findSpecFaults(spec: ContainerSpec, check: SpecCheck): string[] {
  return [
    ...capabilityFaults(spec),
    ...namespaceFaults(spec, check),
    ...deviceFaults(spec),
    ...mountFaults(spec, check),
    ...resolvConfFaults(spec, check.resolvConf),
    ...(spec.linux?.readonlyPaths?.includes("/proc/sys") ? [] : ["the container may write to /proc/sys"]),
  ];
}

function capabilityFaults({ process, annotations }: ContainerSpec): string[] {
  if ((annotations?.["io.podman.annotations.privileged"] ?? "FALSE") !== "FALSE")
    return ["the container is privileged"];
  if (process?.capabilities === undefined) return ["the container's capabilities are not limited"];
  const held = new Set(Object.values(process.capabilities).flat());
  return [
    ...FORBIDDEN_CAPABILITIES.filter((capability) => held.has(capability)).map(
      (capability) => `the container holds ${capability}, with which it could undo its shield`,
    ),
    // Runtimes also take small letters and numbers.
    ...[...held]
      .filter((capability) => !/^CAP_[A-Z_]+$/.test(capability))
      .map((capability) => `${JSON.stringify(capability)} is not the name of a capability`),
  ];
}

function namespaceFaults({ linux }: ContainerSpec, { realPath }: SpecCheck): string[] {
  const namespaces = linux?.namespaces ?? [];
  const find = (type: string) => namespaces.find((namespace) => namespace.type === type);
  const types = namespaces.map(({ type }) => type);
  const repeated = types.filter((type, index) => types.indexOf(type) !== index);
  const shared = OWN_NAMESPACES.filter((type) => find(type) === undefined || find(type)?.path !== undefined);
  const network = find("network");
  // The namespaces of a process have no real path.
  const networkPath = network?.path === undefined ? "/" : realPath(network.path);
  return [
    ...repeated.map((type) => `the container names two ${type} namespaces`),
    ...shared.map((type) => `the container shares a ${type} namespace`),
    ...(find("user")?.path === undefined ? [] : ["the container joins a user namespace of others"]),
    ...(network === undefined ? ["the container is in the host's network namespace"] : []),
    ...(networkPath === undefined || contains("/proc", networkPath)
      ? ["the container joins the network namespace of another"]
      : []),
  ];
}

function deviceFaults({ linux }: ContainerSpec): string[] {
  return (linux?.devices ?? [])
    .filter(({ path }) => FORBIDDEN_DEVICES.some((device) => contains(device, path)))
    .map(({ path }) => `the device ${JSON.stringify(path)} carries packets past the shield`);
}

/** Mounts are judged by where they are in their file system. */
interface MountCheck extends SpecCheck {
  readonly locate: (path: string) => Location;
}

function mountFaults({ root, mounts = [] }: ContainerSpec, specCheck: SpecCheck): string[] {
  const check = { ...specCheck, locate: locateOnce(specCheck.hostMounts) };
  const rootTree = { source: root?.path ?? "/", writable: true, recursive: false };
  const trees = mounts.filter((mount) => !isReadOnlySysfs(mount)).flatMap(findShownTrees);
  return [...trees, rootTree].flatMap((tree) => {
    const source = tree.source.startsWith("/") ? check.realPath(tree.source) : undefined;
    if (source === undefined) return [`the mount source ${JSON.stringify(tree.source)} does not exist`];
    if (check.manifest.trustedMounts.includes(source)) return [];
    const layer = tree === rootTree ? findLayer(source, check) : undefined;
    const isOwn = layer !== undefined || isPodmansOwn(source, check.containerId);
    const fault =
      findTreeFault({ source: layer ?? source, writable: tree.writable, isOwn }, check) ??
      (tree.recursive ? findFaultBelow(source, check) : undefined);
    return fault === undefined ? [] : [`the mount of ${JSON.stringify(tree.source)} ${fault}`];
  });
}

/** A tree of the host's files that a mount shows to the container. */
interface ShownTree {
  readonly source: string;
  readonly writable: boolean;
  /** Shows the file systems that are mounted below it, too, and these as writable as they are on the host. */
  readonly recursive: boolean;
}

function findShownTrees(mount: SpecMount): ShownTree[] {
  const { source = "", type, options = [] } = mount;
  if (isBind(mount)) {
    const recursive = options.includes("rbind") && !options.includes("rro");
    return [{ source, writable: isWritable(mount), recursive }];
  }
  return type === "overlay" ? options.flatMap(parseOverlayOption) : [];
}

/** An overlay shows the directories that its options name, with colons in them escaped. */
function parseOverlayOption(option: string): ShownTree[] {
  const [, key, value = ""] = /^(lowerdir|upperdir)=(.*)$/s.exec(option) ?? [];
  if (key === undefined) return [];
  return value.split(/(?<!\\):/).map((path) => ({
    source: path.replace(/\\(.)/gs, "$1"),
    writable: key === "upperdir",
    recursive: false,
  }));
}

/** What podman keeps for this container below its own storage. The id is random, so nobody can ask for it beforehand. */
function isPodmansOwn(source: string, containerId: string): boolean {
  return source.includes(`/${containerId}/`) || /\/volumes\/[^/]+\/_data(\/|$)/.test(source);
}

/**
 * The place in podman's storage of a container's root. With a user namespace, podman 5 mounts the root where that
 * may reach it, and names only this other place.
 */
function findLayer(root: string, { hostMounts, locate }: MountCheck): string | undefined {
  const shown = locate(root);
  const isSame = (path: string) => {
    const { device, path: inside } = locate(path);
    return device === shown.device && inside === shown.path;
  };
  const elsewhere = hostMounts
    .filter((mount) => contains(mount.root, shown.path))
    .map((mount) => join(mount.path, shown.path.slice(mount.root.length)));
  return [root, ...elsewhere].find((path) => /\/[0-9a-f]{64}(\/merged)?$/.test(path) && isSame(path));
}

/** `ro` does not reach the file systems that are mounted below a recursive bind. */
function findFaultBelow(source: string, check: MountCheck): string | undefined {
  for (const { path, writable } of check.hostMounts) {
    if (path === source || !contains(source, path)) continue;
    const fault = findTreeFault(
      { source: path, writable, isOwn: isPodmansOwn(path, check.containerId) },
      check,
    );
    if (fault !== undefined)
      return `${fault}, by way of ${JSON.stringify(path)} below it, which only a mount with bind-nonrecursive leaves out`;
  }
  return undefined;
}

interface JudgedTree {
  /** Without symbolic links. */
  readonly source: string;
  readonly writable: boolean;
  /** Podman's own for this container, and so no fault for lying where podman keeps its things. */
  readonly isOwn: boolean;
}

function findTreeFault(tree: JudgedTree, { manifest, locate, isSocket }: MountCheck): string | undefined {
  if (KERNEL_FILE_SYSTEMS.includes(locate(tree.source).type)) return KERNEL_FAULT;
  return judgeMount(tree, manifest.protectedPaths, isSocket, (path) => isTouched(path, tree, locate));
}

/** A volume may be a bind mount in disguise, so paths are also compared by where they are in their file system. */
function isTouched(path: string, { source, isOwn }: JudgedTree, locate: MountCheck["locate"]): boolean {
  if (contains(source, path)) return true;
  const [shown, other] = [locate(source), locate(path)];
  const isSameDevice = shown.device === other.device;
  if (contains(path, source)) {
    const isWhereItSeems = shown.path === join(other.path, source.slice(path.length));
    if (!isOwn || isWhereItSeems) return !isOwn;
  }
  return isSameDevice && overlap(shown.path, other.path);
}

interface Location {
  readonly device: string;
  /** Inside the file system. */
  readonly path: string;
  readonly type: string;
}

/** The same paths are compared with each mount, and a host may have many mounts. */
function locateOnce(hostMounts: readonly MountPoint[]): MountCheck["locate"] {
  const known = new Map<string, Location>();
  return (path) => {
    const location = known.get(path) ?? locate(path, hostMounts);
    known.set(path, location);
    return location;
  };
}

function locate(path: string, hostMounts: readonly MountPoint[]): Location {
  const depths = hostMounts.map((mount) => (contains(mount.path, path) ? mount.path.length : 0));
  const mount = hostMounts[depths.lastIndexOf(Math.max(...depths))];
  if (mount === undefined) return { device: "", path, type: "" };
  return { device: mount.device, path: join(mount.root, path.slice(mount.path.length)), type: mount.type };
}

/**
 * Why a bind mount would hand over the host or the shield; undefined when it does not.
 * @param mount a source without symbolic links
 */
export function findMountFault(
  mount: { readonly source: string; readonly writable: boolean },
  protectedPaths: BundleManifest["protectedPaths"],
  isSocket: (path: string) => boolean,
): string | undefined {
  return judgeMount(mount, protectedPaths, isSocket, (path) => overlap(path, mount.source));
}

function judgeMount(
  { source, writable }: { readonly source: string; readonly writable: boolean },
  { unwritable, unreachable }: BundleManifest["protectedPaths"],
  isSocket: (path: string) => boolean,
  touches: (path: string) => boolean,
): string | undefined {
  if (contains("/proc", source) || contains("/sys", source)) return KERNEL_FAULT;
  const device = FORBIDDEN_DEVICES.find(touches);
  if (device !== undefined) return `hands over ${device}, which carries packets past the shield`;
  const socket = unreachable.find(touches);
  if (socket !== undefined) return `hands over ${socket}, and with it the host`;
  if (isSocket(source)) return "hands over a socket of the host, and with it whatever its service can reach";
  const state = writable ? unwritable.find(touches) : undefined;
  if (state !== undefined) return `lets the container write to ${state}, and so to its own shield`;
  return undefined;
}

function resolvConfFaults({ mounts = [] }: ContainerSpec, resolvConf: string): string[] {
  const last = mounts
    .filter(({ destination }) => contains(resolve("/", destination), "/etc/resolv.conf"))
    .at(-1);
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

/** Of `ro` and `rw`, the last counts. */
function isWritable({ options = [] }: SpecMount): boolean {
  return (options.filter((option) => ["ro", "rro", "rw"].includes(option)).at(-1) ?? "rw") === "rw";
}

function overlap(first: string, second: string): boolean {
  return contains(first, second) || contains(second, first);
}

/** True when `inner` is `outer` or lies below it. */
function contains(outer: string, inner: string): boolean {
  return inner === outer || outer === "/" || inner.startsWith(`${outer}/`);
}
