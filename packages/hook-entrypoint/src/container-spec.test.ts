import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findMountFault, findSpecFaults, type SpecCheck } from "./container-spec.ts";
import type { BundleManifest } from "./contract.ts";
import type { MountPoint } from "./mount-points.ts";
import { parseContainerSpec } from "./parse-container-spec.ts";
import { ShieldRefusal } from "./shield-refusal.ts";
import { BUNDLE, CONTAINER_ID, mount, type StandInSpec, standInSpec } from "./stand-in-spec.ts";

const HOME = "/home/me";
const SHIELD = `${HOME}/.local/state/terok/shield`;
const PODMAN = `${HOME}/.local/share/containers`;
const OTHER_ID = "0".repeat(64);

const protectedPaths: BundleManifest["protectedPaths"] = {
  unwritable: [
    SHIELD,
    `${HOME}/.config/terok/shield`,
    `${HOME}/.config/containers`,
    PODMAN,
    `${HOME}/.config/systemd`,
    "/run/user/1000/containers",
    "/usr/bin",
  ],
  unreachable: ["/run/user/1000/podman", "/run/user/1000/bus", "/run/docker.sock", "/run/dbus"],
};

const links: Record<string, string> = {
  "/home/me/link-to-home": HOME,
  "/home/me/link-to-source": "/home/me/source",
  "/var/run/docker.sock": "/run/docker.sock",
  "/proc/self/root/home/me": HOME,
  "/home/me/link-to-namespace": "/proc/4711/ns/net",
};

const hostMounts: readonly MountPoint[] = [
  mounted("/", "254:1"),
  mounted("/proc", "0:22", { type: "proc" }),
  mounted("/sys", "0:23", { type: "sysfs" }),
  mounted("/dev", "0:5", { type: "devtmpfs" }),
  mounted("/run", "0:24", { type: "tmpfs" }),
  mounted("/run/user/1000", "0:40", { type: "tmpfs" }),
  mounted("/home/me", "254:2", { root: "/@home/me", type: "btrfs" }),
  mounted("/srv/read-only", "254:3", { writable: false }),
  mounted("/srv/system", "254:4"),
  mounted("/srv/system/proc", "0:22", { type: "proc" }),
  mounted(`${HOME}/work/disk`, "254:5"),
];

const host: SpecCheck = {
  manifest: manifest([]),
  containerId: CONTAINER_ID,
  resolvConf: `${BUNDLE}/resolv.conf`,
  hostMounts,
  realPath: (path) => {
    const real = links[path] ?? path;
    return /^\/proc\/\d+\/ns\/|missing/.test(real) ? undefined : real;
  },
  isSocket: (path) => path.endsWith(".sock"),
};

type Change = (spec: StandInSpec) => void;

const faults = (change: Change, check: Partial<SpecCheck> = {}): string[] => {
  const spec = standInSpec();
  change(spec);
  return findSpecFaults(parseContainerSpec(JSON.stringify(spec)), { ...host, ...check });
};

test("podman's own specification has no fault", () => {
  expect(faults(() => {})).toEqual([]);
});

test("an empty specification has every fault of what is missing", () => {
  expect(findSpecFaults({}, host)).toEqual([
    "the container's capabilities are not limited",
    "the container shares a mount namespace",
    "the container shares a pid namespace",
    "the container is in the host's network namespace",
    'the mount of "/" hands over /dev/net, which carries packets past the shield',
    "/etc/resolv.conf is not the shield's; drop the option that changes it",
    "the container may write to /proc/sys",
  ]);
});

describe("capabilities", () => {
  const sets = ["bounding", "effective", "inheritable", "permitted", "ambient"];
  const holding = (set: string, capability: string): Change => {
    return ({ process }) => {
      process.capabilities = { ...process.capabilities, [set]: ["CAP_CHOWN", capability] };
    };
  };

  test.each(
    ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"].flatMap((capability) =>
      sets.map((set) => ({ capability, set })),
    ),
  )("$capability is refused in the $set set", ({ capability, set }) => {
    expect(faults(holding(set, capability))).toEqual([
      `the container holds ${capability}, with which it could undo its shield`,
    ]);
  });

  test.each(["cap_net_admin", "12", "NET_ADMIN", "CAP_NET_ADMIN ", "ALL", ""])(
    "%j is no name",
    (capability) => {
      expect(faults(holding("ambient", capability))).toEqual([
        `${JSON.stringify(capability)} is not the name of a capability`,
      ]);
    },
  );

  test("unlimited ones are refused", () => {
    const change: Change = (spec) => {
      spec.process.capabilities = undefined;
    };
    expect(faults(change)).toEqual(["the container's capabilities are not limited"]);
  });

  test("none at all are not", () => {
    const change: Change = (spec) => {
      spec.process.capabilities = {};
    };
    expect(faults(change)).toEqual([]);
  });

  test.each(["TRUE", "true", "yes", ""])("a container marked as privileged with %j is refused", (value) => {
    const change: Change = ({ annotations }) => {
      annotations["io.podman.annotations.privileged"] = value;
    };
    expect(faults(change)).toEqual(["the container is privileged"]);
  });
});

describe("namespaces", () => {
  const without =
    (type: string): Change =>
    ({ linux }) => {
      linux.namespaces = linux.namespaces.filter((namespace) => namespace.type !== type);
    };
  const joining =
    (type: string, path: string): Change =>
    (spec) => {
      without(type)(spec);
      spec.linux.namespaces.push({ type, path });
    };
  const adding =
    (type: string): Change =>
    ({ linux }) => {
      linux.namespaces.push({ type });
    };
  const FOREIGN = "the container joins the network namespace of another";

  test.each<[string, Change, string[]]>([
    ["no network namespace", without("network"), ["the container is in the host's network namespace"]],
    ["a process's network namespace", joining("network", "/proc/4711/ns/net"), [FOREIGN]],
    ["a thread's network namespace", joining("network", "/proc/self/task/7/ns/net"), [FOREIGN]],
    ["a link to a network namespace", joining("network", "/home/me/link-to-namespace"), [FOREIGN]],
    ["a missing network namespace", joining("network", "/run/user/1000/netns/missing"), [FOREIGN]],
    ["a second network namespace", adding("network"), ["the container names two network namespaces"]],
    ["no pid namespace", without("pid"), ["the container shares a pid namespace"]],
    ["another's pid namespace", joining("pid", "/proc/1/ns/pid"), ["the container shares a pid namespace"]],
    ["no mount namespace", without("mount"), ["the container shares a mount namespace"]],
    ["another's mount namespace", joining("mount", "/x"), ["the container shares a mount namespace"]],
    [
      "another's user namespace",
      joining("user", "/proc/1/ns/user"),
      ["the container joins a user namespace of others"],
    ],
    ["a user namespace of its own", adding("user"), []],
    [
      "a network namespace that the runtime makes",
      (spec) => {
        without("network")(spec);
        adding("network")(spec);
      },
      [],
    ],
    [
      "the host's ipc, uts and cgroup namespaces",
      (spec) => ["ipc", "uts", "cgroup"].forEach((type) => void without(type)(spec)),
      [],
    ],
  ])("%s", (_, change, expected) => {
    expect(faults(change)).toEqual(expected);
  });
});

describe("devices", () => {
  test.each([
    "/dev/net/tun",
    "/dev/net",
    "/dev/vhost-net",
    "/dev/vhost-vsock",
    "/dev/vsock",
    "/dev/mem",
    "/dev/kmem",
  ])("%s is refused", (path) => {
    const change: Change = ({ linux }) => linux.devices.push({ path, type: "c", major: 10, minor: 200 });
    expect(faults(change)).toEqual([`the device "${path}" carries packets past the shield`]);
  });

  test.each(["/dev/fuse", "/dev/kvm", "/dev/network", "/dev/dri/card0"])("%s is not", (path) => {
    const change: Change = ({ linux }) => linux.devices.push({ path, type: "c", major: 10, minor: 229 });
    expect(faults(change)).toEqual([]);
  });
});

const KERNEL = "hands over the host's kernel interfaces";
const NET = "hands over /dev/net, which carries packets past the shield";
const SOCKET = "hands over a socket of the host, and with it whatever its service can reach";
const handsOver = (path: string) => `hands over ${path}, and with it the host`;
const writes = (path: string) => `lets the container write to ${path}, and so to its own shield`;

describe("a mount of the host", () => {
  test.each<{ source: string; rw?: string; ro?: string }>([
    {
      source: "/run/user/1000/podman",
      rw: handsOver("/run/user/1000/podman"),
      ro: handsOver("/run/user/1000/podman"),
    },
    {
      source: "/run/user/1000/podman/podman.sock",
      rw: handsOver("/run/user/1000/podman"),
      ro: handsOver("/run/user/1000/podman"),
    },
    {
      source: "/run/user/1000",
      rw: handsOver("/run/user/1000/podman"),
      ro: handsOver("/run/user/1000/podman"),
    },
    {
      source: "/run/user/1000/bus",
      rw: handsOver("/run/user/1000/bus"),
      ro: handsOver("/run/user/1000/bus"),
    },
    { source: "/var/run/docker.sock", rw: handsOver("/run/docker.sock"), ro: handsOver("/run/docker.sock") },
    { source: "/run/dbus/system_bus_socket", rw: handsOver("/run/dbus"), ro: handsOver("/run/dbus") },
    { source: "/home/me/agent.sock", rw: SOCKET, ro: SOCKET },
    { source: "/run", rw: handsOver("/run/user/1000/podman"), ro: handsOver("/run/user/1000/podman") },
    { source: "/", rw: NET, ro: NET },
    { source: "/dev", rw: NET, ro: NET },
    { source: "/dev/net", rw: NET, ro: NET },
    { source: "/dev/net/tun", rw: NET, ro: NET },
    { source: "/proc", rw: KERNEL, ro: KERNEL },
    { source: "/proc/1/root", rw: KERNEL, ro: KERNEL },
    { source: "/sys", rw: KERNEL, ro: KERNEL },
    { source: "/sys/fs/cgroup", rw: KERNEL, ro: KERNEL },
    { source: "/srv/system/proc", rw: KERNEL, ro: KERNEL },
    { source: "/srv/system/proc/4711/root", rw: KERNEL, ro: KERNEL },
    { source: SHIELD, rw: writes(SHIELD) },
    { source: `${HOME}/.local/state`, rw: writes(SHIELD) },
    { source: HOME, rw: writes(SHIELD) },
    { source: "/home/me/link-to-home", rw: writes(SHIELD) },
    { source: "/proc/self/root/home/me", rw: writes(SHIELD) },
    { source: `${SHIELD}/containers/web`, rw: writes(SHIELD) },
    { source: `${SHIELD}/containers/other/ruleset.nft`, rw: writes(SHIELD) },
    { source: `${HOME}/.config`, rw: writes(`${HOME}/.config/terok/shield`) },
    { source: `${HOME}/.config/containers/oci/hooks.d`, rw: writes(`${HOME}/.config/containers`) },
    { source: `${HOME}/.config/systemd/user`, rw: writes(`${HOME}/.config/systemd`) },
    { source: "/usr", rw: writes("/usr/bin") },
    { source: `${PODMAN}/storage`, rw: writes(PODMAN) },
    { source: `${PODMAN}/storage/overlay-containers/${OTHER_ID}/userdata/config.json`, rw: writes(PODMAN) },
    { source: `${PODMAN}/storage/overlay/${OTHER_ID}/merged`, rw: writes(PODMAN) },
    { source: `${PODMAN}/storage/volumes/cache/_data` },
    { source: `${PODMAN}/storage/volumes/cache/_data/sub` },
    { source: `${PODMAN}/storage/volumes/cache/_database`, rw: writes(PODMAN) },
    { source: `${PODMAN}/storage/volumes/cache`, rw: writes(PODMAN) },
    { source: "/home/me/source" },
    { source: "/home/me/link-to-source" },
    { source: "/home/me/.local/state/terok/shield-not" },
    { source: "/home/other" },
    { source: "/dev/kvm" },
    { source: "/tmp" },
  ])("of $source", ({ source, rw, ro }) => {
    const show = (fault: string | undefined) =>
      fault === undefined ? [] : [`the mount of ${JSON.stringify(source)} ${fault}`];
    const mounting = (...options: string[]): Change => {
      return ({ mounts }) => mounts.push(mount("/work", "bind", source, ...options));
    };
    expect(faults(mounting("rprivate", "rbind"))).toEqual(show(rw));
    expect(faults(mounting("ro", "rprivate", "bind"))).toEqual(show(ro));
  });

  test.each<[string, string[], string[]]>([
    ["bind without a word on writing", ["bind"], [writes(SHIELD)]],
    ["read-only and then writable", ["bind", "ro", "rw"], [writes(SHIELD)]],
    ["writable and then read-only", ["bind", "rw", "ro"], []],
    ["recursively read-only", ["rbind", "rro"], []],
    ["read-only in capitals", ["bind", "RO"], [writes(SHIELD)]],
  ])("with the options %s", (_, options, reasons) => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "none", SHIELD, ...options));
    expect(faults(change)).toEqual(reasons.map((reason) => `the mount of "${SHIELD}" ${reason}`));
  });

  test.each(["missing", "", "source", "./source", "/home/me/missing"])(
    "from %j, which is nowhere",
    (source) => {
      const change: Change = ({ mounts }) => mounts.push(mount("/work", "bind", source, "rbind"));
      expect(faults(change)).toEqual([`the mount source ${JSON.stringify(source)} does not exist`]);
    },
  );

  test("whose type alone makes it one", () => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "bind", SHIELD));
    expect(faults(change)).toEqual([`the mount of "${SHIELD}" ${writes(SHIELD)}`]);
  });

  test("lies in the deepest file system, in whatever order the kernel lists them", () => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "bind", "/srv/system/proc/1", "ro"));
    expect(faults(change, { hostMounts: [...hostMounts].reverse() })).toEqual([
      `the mount of "/srv/system/proc/1" ${KERNEL}`,
    ]);
  });

  test("without a source", () => {
    const change: Change = ({ mounts }) =>
      mounts.push({ destination: "/work", type: "bind", options: ["bind"] } as never);
    expect(faults(change)).toEqual(['the mount source "" does not exist']);
  });

  test("that the owner trusts may show what it likes, by its real path", () => {
    const change: Change = ({ mounts }) =>
      mounts.push(
        mount("/work", "bind", "/home/me/link-to-home", "rbind"),
        mount("/run/podman.sock", "bind", "/run/user/1000/podman/podman.sock", "rbind"),
        mount("/config", "bind", `${HOME}/.config`, "rbind"),
      );
    expect(faults(change, { manifest: manifest([HOME, "/run/user/1000/podman/podman.sock"]) })).toEqual([
      `the mount of "${HOME}/.config" ${writes(`${HOME}/.config/terok/shield`)}`,
    ]);
  });
});

describe("file systems below a read-only mount stay as writable as they are", () => {
  const below = (path: string) =>
    `, by way of ${JSON.stringify(path)} below it, which only a mount with bind-nonrecursive leaves out`;
  const overlay = `${PODMAN}/storage/overlay`;
  const shm = (id: string) => `${PODMAN}/storage/overlay-containers/${id}/userdata/shm`;

  test.each<[string, string, string[], MountPoint[], string[]]>([
    [
      "the container's own shared memory",
      HOME,
      ["ro", "rbind"],
      [mounted(shm(CONTAINER_ID), "0:60", { type: "tmpfs" })],
      [],
    ],
    [
      "another container's shared memory",
      HOME,
      ["ro", "rbind"],
      [mounted(shm(OTHER_ID), "0:60", { type: "tmpfs" })],
      [`${writes(PODMAN)}${below(shm(OTHER_ID))}`],
    ],
    ["a home on its own disk", "/home", ["ro", "rbind"], [], [`${writes(SHIELD)}${below(HOME)}`]],
    ["the same without what is mounted below", "/home", ["ro", "bind"], [], []],
    ["the same, read-only all the way down", "/home", ["rro", "rbind"], [], []],
    [
      "podman's storage, which podman mounts over itself",
      HOME,
      ["ro", "rbind"],
      [mounted(overlay, "254:2", { root: "/@home/me/.local/share/containers/storage/overlay" })],
      [`${writes(PODMAN)}${below(overlay)}`],
    ],
    [
      "the state on a disk that is read-only itself",
      `${HOME}/.local`,
      ["ro", "rbind"],
      [mounted(SHIELD, "254:6", { writable: false })],
      [],
    ],
    ["a disk that holds nothing of ours", `${HOME}/work`, ["ro", "rbind"], [], []],
    ["another system's /proc", "/srv", ["ro", "rbind"], [], [`${KERNEL}${below("/srv/system/proc")}`]],
    [
      "another system's /proc, below a writable mount",
      "/srv",
      ["rbind"],
      [],
      [`${KERNEL}${below("/srv/system/proc")}`],
    ],
    ["another system without its /proc", "/srv/system", ["ro", "bind"], [], []],
    [
      "a /proc that something else is mounted over",
      "/srv/system/proc",
      ["ro", "bind"],
      [mounted("/srv/system/proc", "0:50", { type: "tmpfs" })],
      [],
    ],
  ])("%s", (_, source, options, more, reasons) => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "bind", source, ...options));
    expect(faults(change, { hostMounts: [...hostMounts, ...more] })).toEqual(
      reasons.map((reason) => `the mount of ${JSON.stringify(source)} ${reason}`),
    );
  });
});

describe("what is mounted in two places is the same in both:", () => {
  const volume = `${PODMAN}/storage/volumes/sly/_data`;
  const overlay = `${PODMAN}/storage/overlay`;

  test.each<[string, string, MountPoint, string[]]>([
    ["a volume of its own device", volume, mounted(volume, "254:7"), []],
    ["a volume of a directory of the owner", volume, home(volume, "/source"), []],
    ["a volume of the home", volume, home(volume, ""), [writes(SHIELD)]],
    [
      "a volume of a bundle",
      volume,
      home(volume, "/.local/state/terok/shield/containers/web"),
      [writes(SHIELD)],
    ],
    [
      "a volume of another container's root",
      volume,
      home(volume, `/.local/share/containers/storage/overlay/${OTHER_ID}`),
      [writes(PODMAN)],
    ],
    [
      "a volume of all volumes",
      volume,
      home(volume, "/.local/share/containers/storage/volumes"),
      [writes(PODMAN)],
    ],
    ["a volume of the host's root", volume, mounted(volume, "254:1"), [writes("/usr/bin")]],
    [
      "a volume of the directory of sockets",
      volume,
      mounted(volume, "0:40"),
      [handsOver("/run/user/1000/podman")],
    ],
    [
      "a volume of a socket's directory",
      volume,
      mounted(volume, "0:40", { root: "/podman" }),
      [handsOver("/run/user/1000/podman")],
    ],
    ["a volume of /dev/net", volume, mounted(volume, "0:5", { root: "/net" }), [NET]],
    ["a volume of /proc", volume, mounted(volume, "0:22", { type: "proc" }), [KERNEL]],
    [
      "a volume where podman mounts its storage over itself",
      volume,
      home(overlay, "/.local/share/containers/storage/overlay"),
      [],
    ],
    ["a home under another name", "/mnt/me", home("/mnt/me", ""), [writes(SHIELD)]],
    ["a directory under another name", "/mnt/me/sub", home("/mnt/me", "/source"), []],
    [
      "the state under another name",
      "/mnt/shield",
      home("/mnt/shield", "/.local/state/terok/shield"),
      [writes(SHIELD)],
    ],
    [
      "the name of the state on another disk",
      "/mnt/disk",
      mounted("/mnt/disk", "254:8", { root: "/@home/me" }),
      [],
    ],
  ])("%s", (_, source, extra, reasons) => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "bind", source, "bind"));
    expect(faults(change, { hostMounts: [...hostMounts, extra] })).toEqual(
      reasons.map((reason) => `the mount of ${JSON.stringify(source)} ${reason}`),
    );
  });

  /** A directory of the home, mounted elsewhere. */
  function home(path: string, directory: string): MountPoint {
    return mounted(path, "254:2", { root: `/@home/me${directory}`, type: "btrfs" });
  }
});

describe("an overlay shows the directories of its options", () => {
  const own = `${PODMAN}/storage/overlay-containers/${CONTAINER_ID}/userdata/overlay/1`;

  test.each<[string, string[], string[]]>([
    ["as podman makes it for :O", [`lowerdir=${HOME}`, `upperdir=${own}/upper`, `workdir=${own}/work`], []],
    [
      "with an upper directory that is the shield's",
      ["lowerdir=/tmp", `upperdir=${SHIELD}`],
      [`the mount of "${SHIELD}" ${writes(SHIELD)}`],
    ],
    ["with the host as a lower one", ["lowerdir=/tmp:/:/opt"], [`the mount of "/" ${NET}`]],
    [
      "with a colon in a name",
      ["lowerdir=/home/me/missing\\:x:/tmp"],
      ['the mount source "/home/me/missing:x" does not exist'],
    ],
    ["without directories", ["volatile"], []],
  ])("%s", (_, options, expected) => {
    const change: Change = ({ mounts }) => mounts.push(mount("/work", "overlay", "overlay", ...options));
    expect(faults(change)).toEqual(expected);
  });
});

describe("what podman keeps for the container in its own storage is no fault,", () => {
  test.each([
    ["the container's", CONTAINER_ID, []],
    ["and another's is", OTHER_ID, [writes(PODMAN)]],
    ["and that of a longer id is", `${CONTAINER_ID}0`, [writes(PODMAN)]],
    ["and that of an id with something before it is", `0${CONTAINER_ID}`, [writes(PODMAN)]],
  ])("%s", (_, id, reasons) => {
    const source = `${PODMAN}/storage/overlay-containers/${id}/userdata/secrets/token`;
    const change: Change = ({ mounts }) => mounts.push(mount("/run/secrets/token", "bind", source, "bind"));
    expect(faults(change)).toEqual(reasons.map((reason) => `the mount of "${source}" ${reason}`));
  });
});

describe("the container's root", () => {
  test.each<[string, string | undefined, string[]]>([
    ["in overlay storage", `${PODMAN}/storage/overlay/${OTHER_ID}/merged`, []],
    ["in vfs storage", `${PODMAN}/storage/vfs/dir/${OTHER_ID}`, []],
    ["in a directory of the owner", "/home/me/source", []],
    ["that is the host's", "/", [`the mount of "/" ${NET}`]],
    ["that is not named", undefined, [`the mount of "/" ${NET}`]],
    ["that is the owner's home", HOME, [`the mount of "${HOME}" ${writes(SHIELD)}`]],
    ["that is a bundle", BUNDLE, [`the mount of "${BUNDLE}" ${writes(SHIELD)}`]],
    ["that is missing", "/home/me/missing", ['the mount source "/home/me/missing" does not exist']],
    ["that is relative", "rootfs", ['the mount source "rootfs" does not exist']],
  ])("%s", (_, path, expected) => {
    const change: Change = (spec) => {
      spec.root = { path } as StandInSpec["root"];
    };
    expect(faults(change)).toEqual(expected);
  });

  const reached = "/var/tmp/intermediate-mountpoint-1000.0";
  test.each<[string, string, string[]]>([
    ["of vfs storage", `/.local/share/containers/storage/vfs/dir/${OTHER_ID}`, []],
    [
      "of a layer's parent",
      "/.local/share/containers/storage/vfs/dir",
      [`the mount of "${reached}" ${writes(PODMAN)}`],
    ],
    ["of the home", "", [`the mount of "${reached}" ${writes(SHIELD)}`]],
    [
      "of what another container keeps",
      `/.local/share/containers/storage/vfs-containers/${OTHER_ID}/userdata`,
      [`the mount of "${reached}" ${writes(PODMAN)}`],
    ],
  ])("mounted elsewhere, %s", (_, directory, expected) => {
    const change: Change = (spec) => {
      spec.root = { path: reached };
    };
    const extra = mounted(reached, "254:2", { root: `/@home/me${directory}`, type: "btrfs" });
    expect(faults(change, { hostMounts: [...hostMounts, extra] })).toEqual(expected);
  });

  test("mounted elsewhere, is no layer by the name of a place that shows something else", () => {
    const change: Change = (spec) => {
      spec.root = { path: reached };
    };
    const layer = `/srv/${OTHER_ID}`;
    const extra = [
      mounted(reached, "254:2", { root: "/@home/me/.local/share/containers/storage", type: "btrfs" }),
      mounted(layer, "254:2", { root: "/@home/me/.local/share/containers/storage", type: "btrfs" }),
      mounted(layer, "254:9"),
    ];
    expect(faults(change, { hostMounts: [...hostMounts, ...extra] })).toEqual([
      `the mount of "${reached}" ${writes(PODMAN)}`,
    ]);
  });
});

describe("/etc/resolv.conf", () => {
  const RESOLV_CONF = "/etc/resolv.conf is not the shield's; drop the option that changes it";
  const own = mount("/etc/resolv.conf", "bind", `${BUNDLE}/resolv.conf`, "ro", "bind");
  const foreign = (destination: string) => mount(destination, "bind", "/home/me/source", "ro", "bind");
  const isOther = ({ destination }: { destination: string }) => destination !== "/etc/resolv.conf";

  test.each<[string, StandInSpec["mounts"], string[]]>([
    ["is missing", [], [RESOLV_CONF]],
    ["is another's", [foreign("/etc/resolv.conf")], [RESOLV_CONF]],
    ["is a tmpfs", [mount("/etc/resolv.conf", "tmpfs", "tmpfs", "ro")], [RESOLV_CONF]],
    ["is covered", [own, foreign("/etc/resolv.conf")], [RESOLV_CONF]],
    ["is covered in another spelling", [own, foreign("//etc/./x/../resolv.conf/")], [RESOLV_CONF]],
    ["is covered by /etc", [own, foreign("/etc")], [RESOLV_CONF]],
    ["covers another", [foreign("/etc"), foreign("/etc/resolv.conf"), own], []],
    ["has others beside it", [own, foreign("/etc/resolv.conf.d"), foreign("/etc/hosts")], []],
    [
      "is writable",
      [{ ...own, options: ["bind"] }],
      [`the mount of "${own.source}" ${writes(SHIELD)}`, RESOLV_CONF],
    ],
  ])("%s", (_, mounts, expected) => {
    const change: Change = (spec) => {
      spec.mounts = [...spec.mounts.filter(isOther), ...mounts];
    };
    expect(faults(change)).toEqual(expected);
  });
});

describe("the kernel's files in the container", () => {
  test.each(["/proc", "/proc/sys/net", ""])("/proc/sys is writable when %j is read-only instead", (path) => {
    const change: Change = ({ linux }) => {
      linux.readonlyPaths = [path];
    };
    expect(faults(change)).toEqual(["the container may write to /proc/sys"]);
  });

  test("the host's /sys, read-only, is no fault: podman binds it with --userns=keep-id", () => {
    const change: Change = (spec) => {
      spec.mounts = spec.mounts.filter(({ destination }) => destination !== "/sys");
      spec.mounts.push(mount("/sys", "bind", "/sys", "rprivate", "nosuid", "noexec", "nodev", "ro", "rbind"));
    };
    expect(faults(change)).toEqual([]);
  });

  test.each<[string, string, string, string[]]>([
    ["writable", "/sys", "/sys", ["rbind"]],
    ["writable after all", "/sys", "/sys", ["rbind", "ro", "rw"]],
    ["elsewhere", "/host-sys", "/sys", ["rbind", "ro"]],
    ["in part", "/sys", "/sys/class/net", ["rbind", "ro"]],
  ])("the host's /sys, %s, is one", (_, destination, source, options) => {
    const change: Change = ({ mounts }) => mounts.push(mount(destination, "bind", source, ...options));
    expect(faults(change)).toEqual([`the mount of "${source}" ${KERNEL}`]);
  });
});

test("every fault is named, not the first alone", () => {
  const change: Change = ({ process, linux, mounts }) => {
    process.capabilities = { bounding: ["CAP_NET_RAW", "CAP_SYS_ADMIN"] };
    linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid");
    mounts.push(mount("/a", "bind", "/proc", "rbind"), mount("/b", "bind", "/dev", "rbind"));
  };
  expect(faults(change)).toEqual([
    "the container holds CAP_NET_RAW, with which it could undo its shield",
    "the container holds CAP_SYS_ADMIN, with which it could undo its shield",
    "the container shares a pid namespace",
    `the mount of "/proc" ${KERNEL}`,
    `the mount of "/dev" ${NET}`,
  ]);
});

test("a mount that is not made yet is judged by the same rule", () => {
  const judge = (source: string, writable: boolean) =>
    findMountFault({ source, writable }, protectedPaths, host.isSocket);
  expect([
    judge(HOME, true),
    judge(HOME, false),
    judge("/home/me/agent.sock", false),
    judge("/home/me/source", true),
  ]).toEqual([writes(SHIELD), undefined, SOCKET, undefined]);
});

test("no specification throws anything but a refusal, whatever stands where", () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(null, 5, "x", "", [], {}, [null], [[]], [{}], { path: null }, -0, true),
  );
  const places = findPlaces(standInSpec());
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...places), anything), { maxLength: 3 }), (changes) => {
      const spec = changes.reduce<unknown>((value, [place, item]) => put(value, place, item), standInSpec());
      try {
        findSpecFaults(parseContainerSpec(JSON.stringify(spec)), host);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldRefusal);
      }
    }),
    { numRuns: 3000 },
  );
});

function mounted(path: string, device: string, rest: Partial<MountPoint> = {}): MountPoint {
  return { path, device, root: "/", type: "ext4", writable: true, ...rest };
}

function manifest(trustedMounts: readonly string[]): BundleManifest {
  return {
    version: 1,
    container: "web",
    dns: { tier: "dig" },
    table: { family: "inet", name: "terok_shield" },
    programs: { nft: "/usr/sbin/nft", nsenter: "/usr/bin/nsenter", setpriv: "/usr/bin/setpriv" },
    protectedPaths,
    isAudited: true,
    trustedMounts,
    files: {},
  };
}

/** The path of every value in a JSON value, its own first. */
function findPlaces(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [[]];
  return [
    [],
    ...Object.entries(value).flatMap(([key, item]) => findPlaces(item).map((place) => [key, ...place])),
  ];
}

/** A copy with `item` in a place, which an earlier change may have taken away. */
function put(value: unknown, [key, ...rest]: readonly string[], item: unknown): unknown {
  if (key === undefined) return item;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value))
    return value.map((entry, index) => (String(index) === key ? put(entry, rest, item) : entry));
  return { ...value, [key]: put((value as Record<string, unknown>)[key], rest, item) };
}
