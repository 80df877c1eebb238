import { refuse, showText } from "./podman-arguments-error.ts";
import { type FlagUse, splitList } from "./podman-arguments-scan.ts";

/** Throws when the flag would open the shield, or take the container where the shield does not reach. */
export function judgeFlag(use: FlagUse): void {
  const reason = JUDGES[use.name]?.(use.value);
  if (reason !== undefined) refuse(use.typed, reason);
}

/** Says why a value is refused; undefined when it passes. */
type Judge = (value: string) => string | undefined;

const NETWORK = "Drop it: terok-shield sets the network itself.";
const ADDRESS = `would choose an address of the container. ${NETWORK}`;
const UNDER_NETWORK = `would change the network under the shield. ${NETWORK}`;
const NAMES = "Drop it: terok-shield sets the name servers itself.";
const POD =
  "would put the container into the network of a pod. Drop it: a shield is for one container, whose network others join with podman run --network=container:NAME.";
const DESCRIPTORS =
  "would hand over an open file of the host, perhaps a connection past the shield. Drop it.";
const ELSEWHERE = "would put the container where terok-shield does not find it again. Drop it.";
const RUNTIME =
  "would start the container by a program that need not run the shield's hooks. Drop it: the shield is for podman's own runtime.";

const JUDGES: Readonly<Partial<Record<string, Judge>>> = {
  network: always(`would take the container out of its shield. ${NETWORK}`),
  "network-alias": always(`names the container on a network that it does not join. ${NETWORK}`),
  ip: always(ADDRESS),
  ip6: always(ADDRESS),
  "mac-address": always(ADDRESS),
  "network-backend": always(UNDER_NETWORK),
  "network-cmd-path": always(UNDER_NETWORK),
  "network-config-dir": always(UNDER_NETWORK),
  dns: always(`would lead the container's names past the shield. ${NAMES}`),
  "dns-option": always(`would change how the container asks for names. ${NAMES}`),
  "dns-search": always(`would have the container ask for names that nobody allowed. ${NAMES}`),
  pod: always(POD),
  "pod-id-file": always(POD),
  name: always("would give the container another name than its shield has. Write the name before the --."),
  privileged: whenOn(
    "would give the container every capability and the host's devices. Drop it, and add the one capability that is needed with --cap-add.",
  ),
  "publish-all": whenOn(
    "would open whatever ports the image names. Write -p for each port that is to be reached.",
  ),
  help: whenOn("asks podman for help and starts nothing. Run podman run --help."),
  "hooks-dir": always("could take the place of the shield's hooks. Drop it: terok-shield sets the hooks."),
  runtime: always(RUNTIME),
  "runtime-flag": always(RUNTIME),
  conmon: always(RUNTIME),
  "cdi-spec-dir": always(
    "could bring mounts and hooks that nobody has judged. Install the description in /etc/cdi.",
  ),
  "default-mounts-file": always("would mount whatever a file names. Write each mount with -v."),
  "preserve-fd": always(DESCRIPTORS),
  "preserve-fds": unless(/^0$/, DESCRIPTORS),
  root: always(ELSEWHERE),
  runroot: always(ELSEWHERE),
  tmpdir: always(ELSEWHERE),
  namespace: always(ELSEWHERE),
  "storage-driver": always(ELSEWHERE),
  imagestore: always(ELSEWHERE),
  volumepath: always(ELSEWHERE),
  "transient-store": whenOn(ELSEWHERE),
  "cap-add": judgeCapabilities,
  annotation: judgeAnnotations,
  sysctl: judgeSysctls,
  "security-opt": judgeSecurityOption,
  "seccomp-policy": unless(
    /^(?:default)?$/,
    "would let the image choose its system call filter. Drop it, or give a filter of yours with --security-opt seccomp=FILE.",
  ),
  userns: unless(
    /^(?:private|nomap|(?:auto|keep-id)(?::.*)?)?$/,
    "would share a user namespace, and with it the right to change the shield. Drop it, or write --userns=keep-id, auto or nomap.",
  ),
  pid: unless(
    /^(?:private)?$/,
    "would let the container see processes outside, and enter their networks. Drop it: a shielded container has its own PID namespace.",
  ),
  ipc: unless(
    /^(?:private|none|shareable)?$/,
    "would share memory with processes that can reach the network for the container. Drop it, or write --ipc=private.",
  ),
};

/** The first three change rules, forge packets and enter namespaces; the rest run code in the kernel, below any rule. */
const FORBIDDEN_CAPABILITIES = ["NET_ADMIN", "NET_RAW", "SYS_ADMIN", "BPF", "SYS_MODULE", "ALL"];

function judgeCapabilities(value: string): string | undefined {
  const names = splitList(value).map((name) => name.toUpperCase().replace(/^CAP_/, ""));
  const name = FORBIDDEN_CAPABILITIES.find((forbidden) => names.includes(forbidden));
  if (name === undefined) return undefined;
  if (name === "ALL") {
    return "would give the container NET_ADMIN, and with it the rules of its shield. Add the capabilities one by one.";
  }
  return `would give the container ${name}, with which it could undo its shield. Drop it: a shielded container runs without.`;
}

/** What these families say, podman, the runtime and the shield's hooks believe. */
const RESERVED_ANNOTATIONS =
  /^(?:terok\.shield|io\.podman|run\.oci|org\.criu|io\.kubernetes\.cri-o|krun)(?:[./]|$)/i;

function judgeAnnotations(value: string): string | undefined {
  const keys = splitList(value).map((part) => part.split("=")[0]?.trim() ?? "");
  const key = keys.find((candidate) => RESERVED_ANNOTATIONS.test(candidate));
  if (key === undefined) return undefined;
  return `would set ${showText(key)}, which podman, its runtime or the shield goes by. Choose another key.`;
}

/** Limits and memory, which are no part of how packets find their way. */
const HARMLESS_SYSCTLS = [
  /^(?:kernel|fs)\.[\w.]+$/,
  /^net\.(?:core|unix)\.\w+$/,
  /^net\.ipv4\.(?!tcp_fwmark)(?:tcp|udp|icmp|igmp)_\w+$/,
  /^net\.ipv4\.(?:ip_local_port_range|ip_local_reserved_ports|ip_unprivileged_port_start|ip_default_ttl|ping_group_range)$/,
  /^net\.ipv6\.(?:bindv6only|conf\.[\w-]+\.disable_ipv6)$/,
];

function judgeSysctls(value: string): string | undefined {
  const keys = splitList(value)
    .filter((part) => part.includes("="))
    // The runtime makes a path of the key: a double dot is a double slash.
    .map((part) => (part.split("=")[0] ?? "").trim().replace(/[./]+/g, "."));
  const key = keys.find((candidate) => !HARMLESS_SYSCTLS.some((harmless) => harmless.test(candidate)));
  if (key === undefined) return undefined;
  return `would set ${showText(key)}, which may change how packets go past the shield. Drop it.`;
}

function judgeSecurityOption(value: string): string | undefined {
  const [, key = "", setting = ""] = /^([^=:]*)[=:]?(.*)$/s.exec(value) ?? [];
  switch (key) {
    case "seccomp":
      return setting === "unconfined"
        ? "would take away the system call filter on which the shield relies. Give a profile that allows what is needed: seccomp=FILE."
        : undefined;
    case "apparmor":
    case "label":
    case "mask":
    case "no-new-privileges":
      return undefined;
    case "unmask":
    case "systempaths":
    case "proc-opts":
      return "would open kernel settings of the network in /proc to the container. Drop it.";
    default:
      return "is not known as a security option, and might open the shield. Check the spelling.";
  }
}

function always(reason: string): Judge {
  return () => reason;
}

function whenOn(reason: string): Judge {
  return (value) => (value === "true" ? reason : undefined);
}

function unless(passing: RegExp, reason: string): Judge {
  return (value) => (passing.test(value) ? undefined : reason);
}
