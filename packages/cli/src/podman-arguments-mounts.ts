import { FORBIDDEN_DEVICES } from "@terok-shield/hook-entrypoint/contract";
import { refuse } from "./podman-arguments-error.ts";
import { type FlagUse, splitList } from "./podman-arguments-scan.ts";

/** A path of the host, as typed, that the container is given. */
export interface MountSource {
  readonly source: string;
  readonly destination: string;
  readonly writable: boolean;
}

const RESOLV_CONF = "/etc/resolv.conf";
const MOUNT_TYPES = ["artifact", "bind", "devpts", "glob", "image", "ramfs", "tmpfs", "volume"];

/** The paths of the host that a flag hands over; none when it is no flag that mounts. */
export function parseMounts(use: FlagUse): MountSource[] {
  switch (use.name) {
    case "volume":
      return parseVolume(use);
    case "mount":
      return parseMount(use);
    case "tmpfs":
      return parseTmpfs(use);
    case "device":
      return parseDevice(use);
    case "secret":
      return parseSecret(use);
    case "init-path":
      return parseInitPath(use);
    default:
      return [];
  }
}

/** Reads the root directory that stands in the image's place after --rootfs. */
export function parseRootDirectory(text: string): MountSource {
  const [, source = "", options = ""] = /^(.*?)((?::(?:O|idmap(?:=[^:]*)?))*)$/s.exec(text) ?? [];
  return { source, destination: "/", writable: !options.split(":").includes("O") };
}

function parseVolume({ value, typed }: FlagUse): MountSource[] {
  const parts = value.split(":");
  if (parts.length > 3) {
    return refuse(typed, "has too many colons. Write -v SOURCE:DESTINATION[:OPTIONS].");
  }
  const [source, destination] = parts.length === 1 ? ["", value] : [parts[0] ?? "", parts[1] ?? ""];
  const options = parts[2]?.split(",") ?? [];
  const writable = !options.includes("ro") && !options.includes("O");
  return checkMounts(typed, destination, [
    // Anything else names a volume. Podman takes no ~, but a reader of it should.
    ...(/^[/.~]/.test(source) ? [{ source, destination, writable }] : []),
    ...listOverlayLayers(options).map((layer) => ({ source: layer, destination, writable: true })),
  ]);
}

/** With `O`, what the container writes goes to a directory of the host that the options may name. */
function listOverlayLayers(options: readonly string[]): string[] {
  return options.flatMap((option) => /^(?:upperdir|workdir)=(.*)$/s.exec(option)?.[1] ?? []);
}

function parseMount({ value, typed }: FlagUse): MountSource[] {
  const options = splitCsv(value).map((token) => {
    const [, key = "", text] = /^([^=]*)(?:=(.*))?$/s.exec(token) ?? [];
    return { key, text };
  });
  const find = (...keys: string[]) => options.findLast(({ key }) => keys.includes(key))?.text;
  if (options.some(({ key }) => key === "volume-opt")) {
    return refuse(
      typed,
      "could hide a directory of the host behind a volume. Mount the directory by its path.",
    );
  }
  const type = find("type") ?? "volume";
  if (!MOUNT_TYPES.includes(type)) {
    return refuse(
      typed,
      `is of a type that terok-shield cannot judge. Write one of ${MOUNT_TYPES.join(", ")}.`,
    );
  }
  const given = find("destination", "dest", "dst", "target");
  const source = find("source", "src") ?? given ?? "";
  if (type === "bind") {
    const destination = given ?? source;
    return checkMounts(typed, destination, [{ source, destination, writable: !isReadOnly(options) }]);
  }
  if (type === "glob") {
    const directory = /^[^*?[\\]*\//.exec(source)?.[0] ?? ".";
    const destination = given ?? directory;
    return checkMounts(typed, destination, [
      { source: directory, destination, writable: !isReadOnly(options) },
    ]);
  }
  return checkMounts(typed, given ?? "", []);
}

function isReadOnly(
  options: readonly { readonly key: string; readonly text: string | undefined }[],
): boolean {
  return options.some(({ key, text = "true" }) => {
    const state = text.toLowerCase();
    return key === "rw" ? state === "false" : (key === "ro" || key === "readonly") && state === "true";
  });
}

/** The fields of the first record, as Go's encoding/csv reads it. */
function splitCsv(text: string): string[] {
  const fields = text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g);
  return [...fields].map(([, quoted, bare = ""]) => quoted?.replaceAll('""', '"') ?? bare);
}

function parseTmpfs({ value, typed }: FlagUse): MountSource[] {
  return splitList(value).flatMap((part) => checkMounts(typed, part.split(":")[0] ?? "", []));
}

function parseDevice({ value, typed }: FlagUse): MountSource[] {
  return splitList(value).flatMap((device) => {
    if (isCdiName(device)) return [];
    const [source = "", ...rest] = device.split(":");
    if (!source.startsWith("/")) {
      return refuse(typed, "names a device by a relative path. Write its absolute path.");
    }
    const destination = rest.find((part) => part.startsWith("/")) ?? source;
    const access = rest.find((part) => !part.startsWith("/")) ?? "rwm";
    // Rootless podman binds the device file, so it is a mount like any other.
    return checkMounts(typed, destination, [{ source, destination, writable: access.includes("w") }]);
  });
}

/** A name of the Container Device Interface, such as nvidia.com/gpu=all; the system's files say what it means. */
function isCdiName(text: string): boolean {
  return /^[a-z](?:[\w.-]*[a-z\d])?\/[a-z](?:[\w-]*[a-z\d])?=[a-z\d](?:[\w.:-]*[a-z\d])?$/i.test(text);
}

function parseSecret({ value, typed }: FlagUse): MountSource[] {
  const options = value.split(",");
  const target = options.find((option) => option.startsWith("target="))?.slice("target=".length) ?? "";
  if (target === "" || options.includes("type=env")) return [];
  return checkMounts(typed, target.startsWith("/") ? target : `/run/secrets/${target}`, []);
}

function parseInitPath({ value }: FlagUse): MountSource[] {
  return value === "" ? [] : [{ source: value, destination: "/run/podman-init", writable: false }];
}

function checkMounts(typed: readonly string[], destination: string, mounts: MountSource[]): MountSource[] {
  if (destination === "") return refuse(typed, "names no place in the container. Write its destination.");
  const target = cleanPath(destination);
  if (contains(target, RESOLV_CONF) || contains(RESOLV_CONF, target)) {
    return refuse(
      typed,
      `would cover ${RESOLV_CONF}, by which the container asks the shield for names. Choose another destination.`,
    );
  }
  const device = mounts.map(({ source }) => findForbiddenDevice(source)).find(Boolean);
  if (device !== undefined) {
    return refuse(
      typed,
      `would hand over ${device}, a way past the shield. Drop it: the shield cannot hold it.`,
    );
  }
  return mounts;
}

/** By its name alone: links and relative paths are for whoever can resolve them. */
function findForbiddenDevice(source: string): string | undefined {
  const path = cleanPath(source);
  if (!source.startsWith("/")) return undefined;
  return path === "/dev" ? path : FORBIDDEN_DEVICES.find((device) => contains(device, path));
}

/** True when `inner` is `outer` or lies below it. */
function contains(outer: string, inner: string): boolean {
  return inner === outer || outer === "/" || inner.startsWith(`${outer}/`);
}

/** An absolute path without empty, `.` and `..` segments; what is relative counts from the root. */
function cleanPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}
