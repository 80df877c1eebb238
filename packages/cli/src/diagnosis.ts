import { chooseTier, type DnsmasqFacts } from "@terok-shield/dns-tier";

/** Whose packages mend what is missing. */
export type Distribution = "debian" | "fedora" | "other";

type ProgramName =
  | "podman"
  | "crun"
  | "runc"
  | "newuidmap"
  | "nft"
  | "nsenter"
  | "setpriv"
  | "flock"
  | "sed"
  | "dnsmasq"
  | "ulogd"
  | "dig"
  | "getent"
  | "slirp4netns"
  | "pasta";

export interface FoundProgram {
  readonly path: string;
  /** As the program tells it; undefined when it does not. */
  readonly version?: string;
}

export interface InstalledHooks {
  readonly scope: "user" | "system";
  readonly directory: string;
  /** A program that the hooks name and that is not there. */
  readonly missing?: string;
  /** `setup` would write something else now. */
  readonly isStale: boolean;
  /** The file that keeps podman from reading the hooks; undefined when podman reads them. */
  readonly unreadBy?: string;
}

/** What `doctor` found on a machine. */
export interface MachineFacts {
  readonly distribution: Distribution;
  readonly isRoot: boolean;
  readonly userName: string;
  readonly node: FoundProgram & { readonly version: string };
  readonly programs: Readonly<Partial<Record<ProgramName, FoundProgram>>>;
  readonly podman:
    | { readonly kind: "absent" }
    | { readonly kind: "broken"; readonly reason: string }
    | { readonly kind: "works"; readonly runtime?: FoundProgram; readonly cgroupVersion?: string };
  /** How many user and group ids of others a container may use. */
  readonly subordinateIds: { readonly users: number; readonly groups: number };
  readonly kernel:
    | { readonly kind: "passed" }
    | { readonly kind: "failed" | "unknown"; readonly reason: string };
  readonly tun: "usable" | "forbidden" | "missing";
  readonly dnsmasq?: DnsmasqFacts | undefined;
  /** Why dnsmasq cannot read a file of a bundle. */
  readonly dnsmasqFault?: string;
  readonly confinement: "apparmor" | "selinux" | "none";
  readonly ulogdPlugins?: string | undefined;
  readonly stateDirectory: string;
  readonly stateDirectoryFault?: string;
  readonly hooks: readonly InstalledHooks[];
  /** Whether the user's services live without a login; undefined where systemd does not say. */
  readonly isLingering?: boolean | undefined;
  /** Containers whose bundles another version prepared. */
  readonly outdated: readonly string[];
  /** What `prune` would remove; undefined when podman could not be asked. */
  readonly leftOver?: { readonly containers: readonly string[]; readonly helpers: number } | undefined;
}

export interface Check {
  readonly name: string;
  /** `error`: no shielded container can start, or what was set up does not work. `warning`: something is lost. */
  readonly verdict: "ok" | "warning" | "error";
  readonly found: string;
  /** What its absence costs. */
  readonly cost?: string;
  /** The one line that mends it. */
  readonly mend?: string;
}

const OLDEST_NODE = 20;
const OLDEST_PODMAN = [4, 3] as const;
const NEEDED_IDS = 65_536;

/** Judges a machine: every prerequisite, in the order in which a start needs them. */
export function diagnose(facts: MachineFacts): Check[] {
  return [
    checkNode(facts),
    checkUser(facts),
    checkPodman(facts),
    checkRuntime(facts),
    checkControlGroups(facts),
    checkSubordinateIds(facts),
    checkProgram(facts, "nft", { packages: ["nftables", "nftables"] }),
    checkKernel(facts),
    ...(["nsenter", "setpriv", "flock"] as const).map((name) =>
      checkProgram(facts, name, { packages: ["util-linux", "util-linux"] }),
    ),
    checkProgram(facts, "sed", { packages: ["sed", "sed"] }),
    checkNetwork(facts),
    checkTun(facts),
    checkResolver(facts),
    ...checkConfinement(facts),
    checkPacketReader(facts),
    checkStateDirectory(facts),
    ...checkHooks(facts),
    ...checkLingering(facts),
    ...checkOutdated(facts),
    checkLeftOver(facts),
  ].filter((check) => check !== undefined);
}

function ok(name: string, found: string): Check {
  return { name, verdict: "ok", found };
}

function checkNode({ node }: MachineFacts): Check {
  const found = describe(node);
  if (Number(/^v?(\d+)/.exec(node.version)?.[1]) >= OLDEST_NODE) return ok("node", found);
  return {
    name: "node",
    verdict: "error",
    found,
    cost: `terok-shield and its hook are written for Node ${OLDEST_NODE} and later`,
    mend: "install a newer Node and run terok-shield setup again: https://nodejs.org",
  };
}

function checkUser({ isRoot }: MachineFacts): Check | undefined {
  if (!isRoot) return undefined;
  return {
    name: "user",
    verdict: "warning",
    found: "root",
    cost: "the shield is made for rootless Podman, and this report is about root's",
    mend: "run terok-shield doctor as the user who runs the containers",
  };
}

function checkPodman(facts: MachineFacts): Check {
  const { podman, programs } = facts;
  const name = "podman";
  const cost = "no container can run";
  if (podman.kind === "absent" || programs.podman === undefined) {
    return missing(facts, name, { cost, packages: ["podman", "podman"] });
  }
  const found = describe(programs.podman);
  if (podman.kind === "broken") {
    return { name, verdict: "error", found: `${found}: ${podman.reason}`, cost, mend: "podman info" };
  }
  if (isAtLeast(programs.podman.version, OLDEST_PODMAN)) return ok(name, found);
  return {
    name,
    verdict: "warning",
    found,
    cost: `older than ${OLDEST_PODMAN.join(".")}, with which the shield was tested`,
    mend: install(facts, ["podman", "podman"]),
  };
}

function checkRuntime(facts: MachineFacts): Check {
  const { podman, programs } = facts;
  const name = "runtime";
  const runtime = (podman.kind === "works" ? podman.runtime : undefined) ?? programs.crun ?? programs.runc;
  if (runtime === undefined) {
    return { ...missing(facts, name, { cost: "no container can run", packages: ["crun", "crun"] }) };
  }
  if (/\/(crun|runc)$/.test(runtime.path)) return ok(name, describe(runtime));
  return {
    name,
    verdict: "warning",
    found: describe(runtime),
    cost: "the shield was tested with crun and runc alone",
    mend: "podman --runtime=crun",
  };
}

function checkControlGroups({ podman }: MachineFacts): Check | undefined {
  if (podman.kind !== "works" || podman.cgroupVersion === undefined) return undefined;
  const found = `cgroup ${podman.cgroupVersion}`;
  if (podman.cgroupVersion === "v2") return ok("cgroups", found);
  return {
    name: "cgroups",
    verdict: "warning",
    found,
    cost: "crun refuses a hierarchy that is partly v1, and podman 5 knows v2 alone",
    mend: "boot with systemd.unified_cgroup_hierarchy=1",
  };
}

function checkSubordinateIds(facts: MachineFacts): Check {
  const { subordinateIds, isRoot, programs, userName } = facts;
  const name = "ids";
  const found = `${subordinateIds.users} user ids, ${subordinateIds.groups} group ids`;
  const cost = "images with files of other users than root cannot be unpacked, and --userns does not work";
  if (isRoot) return ok(name, "all");
  if (Math.min(subordinateIds.users, subordinateIds.groups) < NEEDED_IDS) {
    const range = "100000-165535";
    const mend = `sudo usermod --add-subuids ${range} --add-subgids ${range} ${userName} && podman system migrate`;
    return { name, verdict: "error", found, cost, mend };
  }
  if (programs.newuidmap !== undefined) return ok(name, found);
  return missing(facts, "newuidmap", { cost, packages: ["uidmap", "shadow-utils"] });
}

function checkKernel({ kernel, programs }: MachineFacts): Check | undefined {
  const name = "kernel";
  if (programs.nft === undefined) return undefined;
  if (kernel.kind === "passed") return ok(name, "takes the shield's rules and lists them as they are");
  if (kernel.kind === "unknown") {
    return {
      name,
      verdict: "warning",
      found: `not tried: ${kernel.reason}`,
      cost: "whether the shield's rules can be loaded is not known",
      mend: "mend what stands above and run terok-shield doctor again",
    };
  }
  return {
    name,
    verdict: "error",
    found: kernel.reason,
    cost: "the shield's rules cannot be loaded, so no shielded container starts",
    mend: "sudo modprobe -a nf_tables nft_ct nft_log nft_limit nft_reject_inet nfnetlink_log",
  };
}

/** As `prepare` chooses. */
function checkNetwork(facts: MachineFacts): Check {
  const { programs } = facts;
  const name = "network";
  const usable = isAtLeast(programs.podman?.version, [5, 0])
    ? (["pasta", "slirp4netns"] as const)
    : (["slirp4netns"] as const);
  const program = usable.find((candidate) => programs[candidate] !== undefined);
  if (program !== undefined) return ok(name, `${program} ${describe(programs[program])}`);
  const packages =
    usable[0] === "pasta" ? (["passt", "passt"] as const) : (["slirp4netns", "slirp4netns"] as const);
  return missing(facts, name, {
    found: `no ${usable.join(" and no ")}`,
    cost: "a container has no network, and the shield no place to stand in",
    packages,
  });
}

function checkTun({ tun }: MachineFacts): Check {
  const name = "tun";
  if (tun === "usable") return ok(name, "/dev/net/tun");
  return {
    name,
    verdict: "error",
    found: tun === "missing" ? "there is no /dev/net/tun" : "/dev/net/tun may not be used",
    cost: "slirp4netns and pasta cannot give a container a network",
    mend: tun === "missing" ? "sudo modprobe tun" : "sudo chmod 666 /dev/net/tun",
  };
}

function checkResolver(facts: MachineFacts): Check {
  const { programs, dnsmasq } = facts;
  const name = "dnsmasq";
  const available = {
    ...(dnsmasq === undefined ? {} : { dnsmasq }),
    dig: programs.dig !== undefined,
    getent: programs.getent !== undefined,
  };
  const found = programs.dnsmasq === undefined ? "not installed" : describe(programs.dnsmasq);
  const mend = install(facts, ["dnsmasq-base", "dnsmasq"]);
  if (!available.dig && !available.getent && chooseTier({ ...available, getent: true }).tier !== "dnsmasq") {
    return { name, verdict: "error", found, cost: "no name resolves: dig and getent are missing, too", mend };
  }
  const { tier, reason } = chooseTier(available);
  if (tier === "dnsmasq") return ok(name, found);
  return {
    name,
    verdict: "warning",
    found: programs.dnsmasq === undefined ? found : (reason ?? found).replace(/^dnsmasq |\.$/g, ""),
    cost: "names are resolved once before the start: they follow no change, and wildcards are refused",
    mend,
  };
}

/** A dnsmasq that may not read its bundle stops every start of the dnsmasq tier. */
function checkConfinement({ dnsmasqFault, confinement, stateDirectory }: MachineFacts): Check[] {
  if (dnsmasqFault === undefined) return [];
  const profile = "usr.sbin.dnsmasq";
  const mends = {
    apparmor: `echo 'owner ${stateDirectory}/** rw,' | sudo tee -a /etc/apparmor.d/local/${profile} && sudo apparmor_parser -r /etc/apparmor.d/${profile}`,
    selinux:
      "sudo ausearch -m avc -c dnsmasq | audit2allow -M terok-shield && sudo semodule -i terok-shield.pp",
    none: "set dns: {tier: dig} in config.yml until dnsmasq works",
  };
  return [
    {
      name: "confinement",
      verdict: "error",
      found: `dnsmasq cannot read its bundle: ${dnsmasqFault}`,
      cost: "no container that is to use dnsmasq starts",
      mend: mends[confinement],
    },
  ];
}

function checkPacketReader(facts: MachineFacts): Check {
  const { programs, ulogdPlugins } = facts;
  const name = "ulogd";
  const cost = "refused packets are counted but not listed";
  const packages = ["ulogd2 ulogd2-json", "ulogd"] as const;
  if (programs.ulogd === undefined)
    return { ...missing(facts, name, { cost, packages }), verdict: "warning" };
  const found = describe(programs.ulogd);
  if (ulogdPlugins !== undefined) return ok(name, `${found}, JSON plugin in ${ulogdPlugins}`);
  return {
    name,
    verdict: "warning",
    found: `${found}, without its JSON plugin`,
    cost,
    mend: install(facts, ["ulogd2-json", "ulogd"]),
  };
}

function checkStateDirectory({ stateDirectory, stateDirectoryFault }: MachineFacts): Check {
  const name = "state";
  if (stateDirectoryFault === undefined) return ok(name, stateDirectory);
  return {
    name,
    verdict: "error",
    found: stateDirectoryFault,
    cost: "no container can be prepared",
    mend: "terok-shield --state-dir DIRECTORY, or $TEROK_SHIELD_STATE_DIR",
  };
}

function checkHooks({ hooks }: MachineFacts): Check[] {
  if (hooks.length === 0) {
    return [
      {
        name: "hooks",
        verdict: "warning",
        found: "not set up",
        cost: "podman start, a restart policy and a reboot leave shielded containers down",
        mend: "terok-shield setup",
      },
    ];
  }
  return hooks.map(checkInstalledHooks);
}

function checkInstalledHooks(hooks: InstalledHooks): Check {
  const { scope, directory, missing: program, isStale, unreadBy } = hooks;
  const name = "hooks";
  const mend = scope === "user" ? "terok-shield setup" : "sudo terok-shield setup --system";
  const cost = "podman start, a restart policy and a reboot leave shielded containers down";
  if (program !== undefined) {
    return { name, verdict: "error", found: `those of --${scope} run ${program}, which is gone`, cost, mend };
  }
  if (unreadBy !== undefined) {
    return {
      name,
      verdict: "error",
      found: `podman does not read those of --${scope}: ${unreadBy} has the last word on hooks_dir`,
      cost,
      mend: `add ${JSON.stringify(directory)} to hooks_dir in ${unreadBy}`,
    };
  }
  if (!isStale) return ok(name, `set up with --${scope}`);
  return {
    name,
    verdict: "warning",
    found: `those of --${scope} are not what this version would install on this machine`,
    cost: "podman start may refuse shielded containers, or leave out hooks of others",
    mend,
  };
}

function checkLingering({ hooks, isLingering, userName }: MachineFacts): Check[] {
  if (hooks.length === 0 || isLingering !== false) return [];
  return [
    {
      name: "reboot",
      verdict: "warning",
      found: `${userName} has no services without a login`,
      cost: "containers end with the last login and come up with the next, not with the machine",
      mend: "loginctl enable-linger && systemctl --user enable podman-restart.service",
    },
  ];
}

function checkOutdated({ outdated }: MachineFacts): Check[] {
  return outdated.map((container) => ({
    name: "bundle",
    verdict: "warning",
    found: `another version prepared ${container}`,
    cost: "the hook refuses it",
    mend: `terok-shield start ${container}`,
  }));
}

function checkLeftOver({ leftOver }: MachineFacts): Check | undefined {
  const name = "left-over";
  if (leftOver === undefined) return undefined;
  const { containers, helpers } = leftOver;
  if (containers.length === 0 && helpers === 0) return ok(name, "nothing");
  return {
    name,
    verdict: "warning",
    found: [
      ...(containers.length === 0 ? [] : [`bundles without a container: ${containers.join(" ")}`]),
      ...(helpers === 0 ? [] : [`processes without a container: ${helpers}`]),
    ].join("; "),
    cost: "memory and disk space",
    mend: "terok-shield prune",
  };
}

/** Debian's package and Fedora's. */
type Packages = readonly [string, string];

function checkProgram(facts: MachineFacts, name: ProgramName, { packages }: { packages: Packages }): Check {
  const program = facts.programs[name];
  if (program !== undefined) return ok(name, describe(program));
  return missing(facts, name, { cost: "no shielded container can start", packages });
}

function missing(
  facts: MachineFacts,
  name: string,
  { found = "not installed", cost, packages }: { found?: string; cost: string; packages: Packages },
): Check {
  return { name, verdict: "error", found, cost, mend: install(facts, packages) };
}

function install({ distribution }: MachineFacts, [debian, fedora]: Packages): string {
  if (distribution === "debian") return `sudo apt-get install ${debian}`;
  if (distribution === "fedora") return `sudo dnf install ${fedora}`;
  return `install ${debian} (so Debian calls it)`;
}

function describe({ path, version }: FoundProgram = { path: "" }): string {
  return version === undefined ? path : `${version}, ${path}`;
}

/** False when the version is not known. */
function isAtLeast(version: string | undefined, [major, minor]: readonly [number, number]): boolean {
  const [, actualMajor, actualMinor] = (/^(\d+)\.(\d+)/.exec(version ?? "") ?? []).map(Number);
  if (actualMajor === undefined || actualMinor === undefined) return false;
  return actualMajor > major || (actualMajor === major && actualMinor >= minor);
}
