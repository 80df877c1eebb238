import { PLATFORM } from "../src/lab/platform.ts";
import type { StartAttempt } from "./start-attempt.ts";

/** A check of the hook, and how it is switched off: in a copy of the source, never in the product. */
export interface HookCheck {
  readonly check: string;
  /** In packages/hook-entrypoint/src. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly text: string;
  readonly instead: string;
  /** A container that this check alone keeps from starting. */
  readonly attempt: StartAttempt;
  /** Why it does not start without this check either. */
  readonly backedBy?: string;
}

const OTHER_NETWORK = /^--(network|sysctl)=/;

export const HOOK_CHECKS: readonly HookCheck[] = [
  ...["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"].map((capability) => ({
    check: `${capability} is forbidden`,
    file: "container-spec.ts",
    text: `"${capability}"`,
    instead: `"CAP_NONE"`,
    attempt: {
      what: `is given ${capability}`,
      options: [`--cap-add=${capability.slice(4)}`],
      without: /^--cap-drop/,
    },
  })),
  {
    check: "it is not privileged",
    file: "container-spec.ts",
    text: `(annotations?.["io.podman.annotations.privileged"] ?? "FALSE") !== "FALSE"`,
    instead: "false",
    attempt: {
      what: "says that it is privileged",
      spec: `spec["annotations"]["io.podman.annotations.privileged"] = "TRUE"`,
    },
  },
  {
    check: "its capabilities are limited",
    file: "container-spec.ts",
    text: `return ["the container's capabilities are not limited"];`,
    instead: "return [];",
    attempt: { what: "has no list of capabilities", spec: `del spec["process"]["capabilities"]` },
  },
  {
    check: "capabilities are written as the specification says",
    file: "container-spec.ts",
    text: `!/^CAP_[A-Z_]+$/.test(capability)`,
    instead: "false",
    attempt: {
      what: "has a capability in small letters",
      spec: `spec["process"]["capabilities"]["bounding"].append("cap_net_admin")`,
    },
  },
  {
    check: "no namespace is named twice",
    file: "container-spec.ts",
    text: `types.indexOf(type) !== index`,
    instead: "false",
    attempt: {
      what: "names two networks",
      spec: `spec["linux"]["namespaces"].append({"type": "network", "path": "/proc/1/ns/net"})`,
    },
  },
  {
    check: "its processes are its own",
    file: "container-spec.ts",
    text: `["mount", "pid"]`,
    instead: `["mount"]`,
    attempt: { what: "sees the host's processes", spec: removeNamespace("pid") },
  },
  {
    check: "its mounts are its own",
    file: "container-spec.ts",
    text: `["mount", "pid"]`,
    instead: `["pid"]`,
    attempt: { what: "has the host's mounts", spec: removeNamespace("mount") },
  },
  {
    check: "it joins no user namespace",
    file: "container-spec.ts",
    text: `find("user")?.path === undefined`,
    instead: "true",
    attempt: {
      what: "joins another's user namespace",
      spec: `spec["linux"]["namespaces"].append({"type": "user", "path": "/proc/1/ns/user"})`,
    },
  },
  {
    check: "it has a network of its own",
    file: "container-spec.ts",
    text: `network === undefined ? ["the container is in the host's network namespace"]`,
    instead: `network === undefined ? []`,
    attempt: { what: "names no network", spec: removeNamespace("network") },
  },
  {
    check: "it joins no network that is not there",
    file: "container-spec.ts",
    text: "networkPath === undefined ||",
    instead: "networkPath !== undefined &&",
    attempt: { what: "joins a network that is not there", spec: setNetwork(`"/nowhere"`) },
  },
  {
    check: "it joins no process's network",
    file: "container-spec.ts",
    text: `contains("/proc", networkPath)`,
    instead: "false",
    attempt: { what: "joins a process's network", spec: setNetwork(`"/proc/self/status"`) },
  },
  ...["net", "vhost-net", "vhost-vsock", "vsock", "mem", "kmem"].map((device) => ({
    check: `/dev/${device} is forbidden`,
    file: "container-spec.ts",
    text: `"/dev/${device}"`,
    instead: `"/dev/none"`,
    attempt: {
      what: `is given /dev/${device}`,
      spec: `spec["linux"].setdefault("devices", []).append({"path": "/dev/${device}"})`,
    },
  })),
  {
    check: "no device is handed over",
    file: "container-spec.ts",
    text: "...deviceFaults(spec),",
    instead: "",
    attempt: {
      what: "is given a device below /dev/net",
      spec: `spec["linux"].setdefault("devices", []).append({"path": "/dev/net/tun"})`,
    },
  },
  {
    check: "no device is mounted",
    file: "container-spec.ts",
    text: "if (device !== undefined) return",
    instead: "if (false) return",
    attempt: { what: "is given /dev/net/tun", options: ["--device=/dev/net/tun"] },
  },
  {
    check: "what is mounted is there",
    file: "container-spec.ts",
    text: "if (source === undefined) return [`the mount source",
    instead: "if (source === undefined) return []; if (false) return [`the mount source",
    attempt: {
      what: "mounts what is not there",
      spec: `spec["mounts"].append({"destination": "/x", "type": "bind", "source": "/nowhere"})`,
    },
  },
  {
    check: "what is mounted below a mount is judged, too",
    file: "container-spec.ts",
    text: "tree.recursive ?",
    instead: "false ?",
    attempt: {
      what: "mounts a directory below which the shield's state is mounted",
      options: ["--volume=/tmp/tree:/work:ro"],
    },
  },
  {
    check: "layers of an overlay are judged, too",
    file: "container-spec.ts",
    text: `type === "overlay" ?`,
    instead: "false ?",
    attempt: {
      what: "mounts its home as a layer",
      spec: `spec["mounts"].append({"destination": "/x", "type": "overlay", "source": "overlay", "options": ["upperdir=HOME"]})`,
    },
  },
  {
    check: "no kernel file system is mounted, wherever it is",
    file: "container-spec.ts",
    text: "if (KERNEL_FILE_SYSTEMS.includes(locate(tree.source).type)) return KERNEL_FAULT;",
    instead: "",
    attempt: { what: "mounts the host's /proc by another path", options: ["--volume=/tmp/kernel:/work:ro"] },
  },
  {
    check: "nothing below /proc and /sys is mounted",
    file: "container-spec.ts",
    text: `if (contains("/proc", source) || contains("/sys", source)) return KERNEL_FAULT;`,
    instead: "",
    attempt: { what: "mounts the host's control groups", options: ["--volume=/sys/fs/cgroup:/work:ro"] },
  },
  {
    check: "no place of the host's services is mounted",
    file: "container-spec.ts",
    text: "if (socket !== undefined) return",
    instead: "if (false) return",
    attempt: { what: "mounts the session's sockets", options: ["--volume=RUNTIME:/work:ro"] },
  },
  {
    check: "no socket is mounted",
    file: "container-spec.ts",
    text: "if (isSocket(source)) return",
    instead: "if (false) return",
    attempt: { what: "mounts a socket", options: ["--volume=HOME/agent.sock:/agent.sock"] },
  },
  {
    check: "nothing of the shield's is mounted writable",
    file: "container-spec.ts",
    text: "writable ? unwritable.find(touches) : undefined;",
    instead: "undefined;",
    attempt: { what: "mounts its home", options: ["--volume=HOME:/work"] },
  },
  {
    check: "symbolic links are followed",
    file: "container-spec.ts",
    text: `tree.source.startsWith("/") ? check.realPath(tree.source) : undefined;`,
    instead: "tree.source;",
    attempt: { what: "mounts a link to its home", spec: addMount("HOME/innocent") },
  },
  {
    check: "a mount is known under another path, too",
    file: "container-spec.ts",
    text: "return isSameDevice && overlap(shown.path, other.path);",
    instead: "return false;",
    attempt: {
      what: "mounts the shield's state by another path",
      options: ["--volume=/tmp/tree/below:/work"],
    },
  },
  {
    check: "resolv.conf is the shield's",
    file: "container-spec.ts",
    text: "...resolvConfFaults(spec, check.resolvConf),",
    instead: "",
    attempt: {
      what: "has a resolv.conf of its own",
      options: ["--volume=HOME/resolv.conf:/etc/resolv.conf"],
      without: /resolv\.conf/,
    },
  },
  {
    check: "resolv.conf is read-only",
    file: "container-spec.ts",
    text: "last?.source === resolvConf && !isWritable(last)",
    instead: "last?.source === resolvConf",
    attempt: {
      what: "may write to its resolv.conf",
      spec: `[mount] = [mount for mount in spec["mounts"] if mount["destination"] == "/etc/resolv.conf"]; mount["options"].append("rw")`,
    },
    backedBy: "it lies in the shield's state, of which nothing is mounted writable",
  },
  {
    check: "/proc/sys is read-only",
    file: "container-spec.ts",
    text: `spec.linux?.readonlyPaths?.includes("/proc/sys")`,
    instead: "true",
    attempt: { what: "may write to /proc/sys", options: ["--security-opt=unmask=ALL"] },
  },
  {
    check: "one fault is enough",
    file: "create-runtime.ts",
    text: "if (faults.length > 0) throw",
    instead: "if (faults.length > 99) throw",
    attempt: { what: "is given NET_ADMIN", options: ["--cap-add=NET_ADMIN"], without: /^--cap-drop/ },
  },
  {
    check: "the specification is of the types that it should be",
    file: "parse-container-spec.ts",
    text: `checkSpec(spec, "");`,
    instead: "",
    attempt: { what: "has an annotation that is a number", spec: `spec["annotations"]["x"] = 5` },
  },
  {
    check: "the annotation names this bundle",
    file: "create-runtime.ts",
    text: "if (annotations[ANNOTATION.stateDirectory] !== directory) {",
    instead: "if (false) {",
    attempt: {
      what: "names another bundle",
      state: `state["annotations"]["terok.shield.state_dir"] = "/nowhere"`,
    },
  },
  {
    check: "the annotation is of this version",
    file: "create-runtime.ts",
    text: "if (annotations[ANNOTATION.version] !== String(BUNDLE_VERSION)) {",
    instead: "if (false) {",
    attempt: {
      what: "was made by another version",
      state: `state["annotations"]["terok.shield.version"] = "2"`,
    },
  },
  {
    check: "the annotation names this container",
    file: "create-runtime.ts",
    text: "annotations[ANNOTATION.name] !== manifest.container || basename(directory) !== manifest.container",
    instead: "false",
    attempt: { what: "is of another name", state: `state["annotations"]["terok.shield.name"] = "other"` },
  },
  {
    check: "resolv.conf is what prepare wrote",
    file: "create-runtime.ts",
    text: `bundle.read("resolvConf");`,
    instead: "",
    attempt: { what: "has a resolv.conf that was changed", damage: "echo >> $B/resolv.conf" },
  },
  {
    check: "the state is what the bundle was made from",
    file: "create-runtime.ts",
    text: `bundle.read("state");`,
    instead: "",
    attempt: { what: "has a newer state", damage: "echo >> $B/state.json" },
    backedBy: "the resolver's start reads it in the same way",
  },
  {
    check: "nobody else is in its network",
    file: "create-runtime.ts",
    text: "if (foreign !== undefined) {",
    instead: "if (false) {",
    attempt: {
      what: "shares another container's network",
      options: ["--network=container:other", "--no-hosts"],
      without: OTHER_NETWORK,
      spec: `${removeNamespace("network")}; spec["linux"]["namespaces"].append({"type": "network"})`,
    },
  },
  {
    check: "the network of who starts it is seen",
    file: "create-runtime.ts",
    text: "if (starter === undefined) {",
    instead: "if (false) {",
    attempt: {
      what: "is started by one whose network is not seen",
      tool: { name: "nsenter", script: `exec unshare --pid --fork --kill-child REAL "$@"` },
    },
    backedBy: "who does not see that process does not see the resolver that it starts either",
  },
  {
    check: "it is not in the network of who starts it",
    file: "create-runtime.ts",
    text: "if (starter === networkInode(pid)) {",
    instead: "if (false) {",
    attempt: {
      what: "is in the host's network, and says it is not",
      options: ["--network=host", "--no-hosts"],
      without: OTHER_NETWORK,
      spec: `spec["linux"]["namespaces"].append({"type": "network"})`,
    },
    backedBy: "podman's user namespace may not enter the host's network, let alone change its rules",
  },
  {
    check: "no container runs with the bundle",
    file: "create-runtime.ts",
    text: "record !== undefined && record.containerId !== id && isRunning(record)",
    instead: "false",
    attempt: {
      what: "uses the bundle of one that runs",
      options: ["--name=second"],
      without: /^--name=/,
      rival: true,
    },
  },
  {
    check: "the kernel lists what was loaded",
    file: "create-runtime.ts",
    text: "const fault = await findListingFault(bundle);",
    instead: "const fault = undefined as string | undefined;",
    attempt: {
      what: "gets one rule more",
      tool: {
        name: "nft",
        script: `REAL "$@" || exit; REAL insert rule inet terok_shield output accept 2> /dev/null; exit 0`,
      },
    },
  },
  {
    check: "the policy did not change meanwhile",
    file: "create-runtime.ts",
    text: "if (bundle.isReplaced()) throw",
    instead: "if (false) throw",
    attempt: {
      what: "gets another policy while it starts",
      tool: { name: "nft", script: `echo >> BUNDLE/bundle.json; exec REAL "$@"` },
    },
  },
  {
    check: "files are what prepare wrote",
    file: "bundle.ts",
    text: "if (manifest.files[name] !== digest(content)) throw",
    instead: "if (false) throw",
    attempt: {
      what: "has one more name than it should",
      damage: "echo 'server=/evil.test/10.0.2.3' >> $B/dns-servers",
    },
  },
  {
    check: "the bundle is no symbolic link",
    file: "bundle.ts",
    text: "if (real !== directory) {",
    instead: "if (false) {",
    attempt: {
      what: "has a bundle behind a symbolic link",
      damage: `P=$(dirname $B) && mv $P $P.moved && ln -s $P.moved $P`,
      repair: `P=$(dirname $B) && rm $P && mv $P.moved $P`,
    },
  },
  {
    check: "files are files",
    file: "bundle.ts",
    text: "if (!stat.isFile()) throw",
    instead: "if (false) throw",
    attempt: {
      what: "has rules behind a symbolic link",
      damage:
        "mv $B/ruleset.nft $B/rules && ln -s rules $B/ruleset.nft && chown -h --reference=$B/rules $B/ruleset.nft",
    },
    backedBy: "a link counts as writable by others, which is checked next",
  },
  {
    check: "files are the owner's",
    file: "bundle.ts",
    text: "if (stat.uid !== process.getuid?.()) throw",
    instead: "if (false) throw",
    attempt: {
      what: "has another user's rules",
      damage: "chown 0 $B/ruleset.nft && chmod 644 $B/ruleset.nft",
    },
  },
  {
    check: "files are written by the owner alone",
    file: "bundle.ts",
    text: "if ((stat.mode & 0o022) !== 0) throw",
    instead: "if (false) throw",
    attempt: { what: "has rules that others may write", damage: "chmod g+w $B/ruleset.nft" },
  },
  {
    check: "the bundle is the owner's alone",
    file: "bundle.ts",
    text: "if ((stat.mode & 0o077) !== 0)",
    instead: "if (false)",
    attempt: { what: "has a bundle that others may read", damage: "chmod 755 $B" },
  },
  {
    check: "the manifest is what prepare wrote",
    file: "bundle.ts",
    text: "text === undefined || sealed.digest !== digest(Buffer.from(text))",
    instead: "text === undefined",
    attempt: {
      what: "has a manifest that was changed",
      damage: `sed -i 's/"trustedMounts":\\[\\]/"trustedMounts":["\\/tmp"]/' $B/bundle.json`,
    },
  },
  {
    check: "the bundle is of this version",
    file: "bundle.ts",
    text: "if (manifest?.version !== BUNDLE_VERSION) {",
    instead: "if (false) {",
    attempt: { what: "has a bundle of another version", damage: reseal(`manifest["version"] = 2`) },
  },
  {
    check: "the resolver's answers open their addresses",
    file: "create-runtime.ts",
    text: "takeProbesOut(bundle);",
    instead: "Promise.resolve();",
    attempt: {
      what: "gets a resolver that fills no sets",
      tool: { name: "dnsmasq", script: withConfiguration("/^nftset=/d") },
    },
  },
  {
    check: "the resolver follows its names",
    file: "resolver.ts",
    text: "await awaitMarker(marker);",
    instead: "",
    attempt: {
      what: "gets a resolver that keeps to other names",
      tool: { name: "dnsmasq", script: withConfiguration(`s#^servers-file=#&/tmp/frozen; &#; s#; .*##`) },
    },
  },
  {
    check: "the resolver refuses what no policy names",
    file: "resolver.ts",
    text: "({ responseCode }) => responseCode === REFUSED",
    instead: "() => true",
    attempt: {
      what: "gets a resolver that forwards every name",
      tool: { name: "dnsmasq", script: withConfiguration(`$aserver=${PLATFORM.network.resolver}`) },
    },
  },
  {
    check: "a program that fails is noticed",
    file: "run-program.ts",
    text: "if (status !== 0) {",
    instead: "if (false) {",
    attempt: { what: "gets an nft that fails", tool: { name: "nft", script: "exit 1" } },
    backedBy: "what it should have done is looked at afterwards",
  },
  {
    check: "nobody without a shield joins its network",
    file: "refuse-joiner.ts",
    text: "throw new ShieldRefusal(reason);",
    instead: "",
    attempt: { what: "without a shield joins the network of a shielded one, after `setup`", joins: true },
  },
  {
    check: "the state is not too long",
    file: "oci-state.ts",
    text: "if (text.length > MAX_STATE_LENGTH) throw",
    instead: "if (false) throw",
    attempt: { what: "has an endless state", padding: 1024 * 1024 },
  },
  {
    check: "the container's id is one",
    file: "oci-state.ts",
    text: `typeof id !== "string" || !CONTAINER_ID.test(id)`,
    instead: "false",
    attempt: { what: "has an id that is a path", state: `state["id"] = "../.."` },
    backedBy: "podman's own mounts are known by the container's id",
  },
  {
    check: "the container's directory is a path",
    file: "oci-state.ts",
    text: `typeof bundle !== "string" || !bundle.startsWith("/") || bundle.includes("\\0")`,
    instead: "false",
    attempt: { what: "has a directory that is no path", state: `state["bundle"] = "here"` },
    backedBy: "its config.json is not found there",
  },
  {
    check: "the process is a number",
    file: "oci-state.ts",
    text: "pid !== undefined && (!Number.isSafeInteger(pid) || (pid as number) < 0)",
    instead: "false",
    attempt: { what: "has a process that is text", state: `state["pid"] = str(state["pid"])` },
    backedBy: "the container's own process is then a stranger's in its network",
  },
  {
    check: "annotations are text",
    file: "oci-state.ts",
    text: "if (!isStringRecord(annotations))",
    instead: "if (false)",
    attempt: { what: "has annotations that are none", state: `state["annotations"]["x"] = 5` },
  },
];

/** A check of what podman does before the hook, and after it. */
export interface GateCheck {
  readonly check: string;
  readonly attempt: StartAttempt;
  /** How it is switched off in the files that podman reads. */
  readonly hole: Partial<StartAttempt>;
}

export const GATE_CHECKS: readonly GateCheck[] = [
  {
    check: "it is created with a sysctl that no kernel has",
    attempt: { what: "is started without hooks", without: /^--hooks-dir=/ },
    hole: { without: /^--(hooks-dir|sysctl)=/ },
  },
  {
    check: "that sysctl goes only where the shield's hook is in the specification",
    attempt: {
      what: "has no createRuntime hook",
      damage: "rm $B/hooks/terok-shield-createRuntime.json",
    },
    hole: { edit: editHooks(`re.sub('"/..createRuntime.*/s/', '"s/', text)`) },
  },
  {
    check: "the start goes on only when the hook said that it is done",
    attempt: { what: "gets an nsenter that does nothing", tool: { name: "nsenter", script: "exit 0" } },
    hole: { edit: editHooks(`re.sub(r'; \\\\*\\[ x\\\\*\\$said.*?\\]', '; true', text)`) },
  },
];

/** The refusals that are not switched off by themselves, each with a part of its text. */
export const OTHER_REFUSALS: readonly {
  readonly file: string;
  readonly says: string;
  readonly because: string;
}[] = [
  {
    file: "ask-resolver.ts",
    says: "dnsmasq does not answer as it should",
    because: "switched off where it is asked for: the resolver refuses what no policy names",
  },
  {
    file: "ask-resolver.ts",
    says: "dnsmasq did not take over its names",
    because: "switched off where it is asked for: the resolver follows its names",
  },
  {
    file: "bundle.ts",
    says: "is not an absolute path",
    because: "a relative path is never its own real path, which is looked at next",
  },
  { file: "bundle.ts", says: "does not exist", because: "there is nothing to read" },
  { file: "bundle.ts", says: "is no directory", because: "there is nothing below it to read" },
  { file: "bundle.ts", says: "is missing", because: "there is nothing to read" },
  {
    file: "canonical-listing.ts",
    says: "nft did not list the rules as JSON",
    because: "what is no listing is not the listing that prepare wrote down",
  },
  {
    file: "create-runtime.ts",
    says: "the OCI state names no process",
    because: "all that follows is about it",
  },
  { file: "create-runtime.ts", says: "cannot be read", because: "there is nothing to judge" },
  {
    file: "create-runtime.ts",
    says: "the hook is not in the container's network namespace",
    because: "main.ts goes on only where it is",
  },
  {
    file: "create-runtime.ts",
    says: "has no network namespace to look at",
    because: "a process that is gone runs nothing",
  },
  {
    file: "create-runtime.ts",
    says: "/etc/hosts is not podman's",
    because: "it brings names to the container, and holds nothing back",
  },
  { file: "main.ts", says: "is not a stage", because: "such a call does nothing" },
  { file: "main.ts", says: "no state directory was given", because: "such a call does nothing" },
  { file: "main.ts", says: "the OCI state names no process", because: "there is no network to enter" },
  {
    file: "main.ts",
    says: "the hook did not run in the container's network namespace",
    because: "the shell that starts the hook compares the same word",
  },
  { file: "oci-state.ts", says: "is missing", because: "there is nothing to read" },
  { file: "oci-state.ts", says: "is not JSON", because: "there is nothing to read" },
  { file: "oci-state.ts", says: "is not a JSON object", because: "there is nothing to read" },
  {
    file: "parse-container-spec.ts",
    says: "the container's config.json is malformed",
    because: "switched off as one: the specification is of the types that it should be",
  },
  ...[
    "has no resolver",
    "names no list of names",
    "was not started with the present",
    "dnsmasq is not running",
  ].map((says) => ({
    file: "resolver.ts",
    says,
    because: "guards changes of a container that runs: see resolver.kernel.test.ts",
  })),
  { file: "resolver.ts", says: "the bundle names no dnsmasq", because: "there is nothing to start" },
  { file: "resolver.ts", says: "holds no marker", because: "the hook wrote that file itself" },
  { file: "resolver.ts", says: "names no revision", because: "the file is sealed" },
  {
    file: "write-own-file.ts",
    says: "cannot be written",
    because: "puts an error into words that ends the hook by itself",
  },
  { file: "run-program.ts", says: "could not be run", because: "as one that fails" },
  ...["no container runs with", "this is not the network namespace"].map((says) => ({
    file: "runtime-record.ts",
    says,
    because: "guards changes of a container that runs: see resolver.kernel.test.ts",
  })),
];

function removeNamespace(type: string): string {
  return `spec["linux"]["namespaces"] = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != "${type}"]`;
}

function setNetwork(path: string): string {
  return `${removeNamespace("network")}; spec["linux"]["namespaces"].append({"type": "network", "path": ${path}})`;
}

function addMount(source: string): string {
  return `spec["mounts"].append({"destination": "/x", "type": "bind", "source": "${source}", "options": ["bind"]})`;
}

/** A manifest that says something else and is sealed all the same. */
function reseal(edit: string): string {
  const program = [
    "import hashlib, json, sys",
    "path = sys.argv[1] + '/bundle.json'",
    "manifest = json.load(open(path))['manifest']",
    edit,
    "text = json.dumps(manifest, separators=(',', ':'), ensure_ascii=False)",
    "digest = hashlib.sha256(text.encode()).hexdigest()",
    "open(path, 'w').write(json.dumps({'manifest': manifest, 'digest': digest}, separators=(',', ':'), ensure_ascii=False))",
  ];
  return `python3 - $B << "END"\n${program.join("\n")}\nEND`;
}

/** Python for `text`, the content of each file of the hooks directory. */
function editHooks(expression: string): string {
  const program = [
    "import glob, re, sys",
    `for path in glob.glob(sys.argv[1] + "/hooks/terok-shield-*.json"):`,
    "    text = open(path).read()",
    `    open(path, "w").write(${expression})`,
  ];
  return `python3 - $B << "END"\n${program.join("\n")}\nEND`;
}

/** dnsmasq with another configuration than the hook checked before and checks after. */
function withConfiguration(edit: string): string {
  return `cp BUNDLE/dns-servers.active /tmp/frozen; cp BUNDLE/dnsmasq.conf /tmp/kept; sed -i '${edit}' BUNDLE/dnsmasq.conf
REAL "$@"; code=$?; cat /tmp/kept > BUNDLE/dnsmasq.conf; exit $code`;
}
